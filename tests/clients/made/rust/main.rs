//! Calls every method of the client that `cargo murmur clients` has made for page-traffic.
//!
//!     ask URL QUESTION      prints a JSON object with all replies; QUESTION is one too
//!     ask URL one [CA]      makes one call with a token; prints how it ended; CA is a file of authorities
//!     ask URL brief         the same with a deadline of a second
//!     ask URL watch         prints the views in two replies, each when it comes
//!     ask URL absence=MS    watches, and asks for a server that is away for so many milliseconds; prints how that ended
//!     ask URL first         runs what the README of the client begins with

mod first;

use std::time::{Duration, SystemTime};

use page_traffic_client::murmur::{Answer, Calendar, CalendarStep, ReadOptions, SetOperation};
use page_traffic_client::{
    PageTrafficClient, PageTrafficEntry, PageTrafficKey, PageTrafficServiceSetOperand, Traffic,
};
use serde_json::{Value, json};
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint};
use tonic::{Code, Status};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// Long, as a machine that is busy is no reason to fail.
const PATIENCE: Duration = Duration::from_secs(300);

fn code<T>(ended: std::result::Result<T, Status>) -> String {
    match ended.map_err(|status| status.code()) {
        Ok(_) => "OK".into(),
        Err(Code::Unavailable) => "UNAVAILABLE".into(),
        Err(Code::Internal) => "INTERNAL".into(),
        Err(Code::ResourceExhausted) => "RESOURCE_EXHAUSTED".into(),
        Err(Code::InvalidArgument) => "INVALID_ARGUMENT".into(),
        Err(Code::DeadlineExceeded) => "DEADLINE_EXCEEDED".into(),
        Err(other) => format!("{other:?}"),
    }
}

/// As protobuf's JSON has it, as far as the comparison looks at it.
fn plain(present: bool, value: Option<Traffic>) -> Value {
    let value = value.map(|traffic| {
        let visitors = traffic.visitors.unwrap_or_default();
        let items = traffic.referrers.unwrap_or_default().items;
        let items: Vec<_> = items.iter().map(|item| json!({ "item": item.item, "count": item.count.to_string() })).collect();
        json!({
            "views": traffic.views.to_string(),
            "dwellMs": traffic.dwell_ms.to_string(),
            "slowest": traffic.slowest.unwrap_or_default().to_string(),
            "visitors": { "value": visitors.value, "lower": visitors.lower, "upper": visitors.upper },
            "referrers": { "items": items },
        })
    });
    json!({ "present": present, "value": value })
}

fn entries(all: Vec<PageTrafficEntry>) -> Value {
    let entry = |entry: PageTrafficEntry| {
        let key = json!({ "pageId": entry.key.unwrap_or_default().page_id });
        let mut reply = plain(entry.present, entry.value);
        reply["key"] = key;
        reply
    };
    json!({ "entries": all.into_iter().map(entry).collect::<Vec<_>>() })
}

fn key(page: &Value) -> PageTrafficKey {
    PageTrafficKey { page_id: page.as_str().unwrap_or_default().into() }
}

fn keys(pages: &Value) -> Vec<PageTrafficKey> {
    pages.as_array().into_iter().flatten().map(key).collect()
}

fn at(seconds: &Value) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds.as_u64().unwrap_or_default())
}

#[tokio::main]
async fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().collect();
    let (url, asked) = (&arguments[1], &arguments[2]);
    let client = match arguments.get(3) {
        Some(authorities) => {
            let tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(std::fs::read(authorities)?));
            PageTrafficClient::over(Endpoint::from_shared(url.clone())?.tls_config(tls)?.connect_lazy())
        }
        None => PageTrafficClient::new(url)?,
    };
    if asked == "first" {
        return first::ask().await;
    }
    if asked == "watch" {
        let mut watching = client.watch(PageTrafficKey { page_id: "/home".into() }, None).await?;
        for _ in 0..2 {
            let reply = watching.message().await?.ok_or("the stream ended")?;
            println!("{}", json!(reply.value.unwrap_or_default().views.to_string()));
        }
        return Ok(());
    }
    if let Some(milliseconds) = asked.strip_prefix("absence=") {
        let client = client.absence(Duration::from_millis(milliseconds.parse()?));
        println!("{}", json!(code(client.watch(PageTrafficKey::default(), None).await)));
        return Ok(());
    }
    let client = client.timeout(if asked == "brief" { Duration::from_secs(1) } else { PATIENCE });
    if asked == "one" || asked == "brief" {
        let client = client.token("secret");
        // A task of its own, as servers have it: what a call is made of can be sent to another thread.
        let ended = tokio::spawn(async move { client.get(PageTrafficKey { page_id: "/home".into() }).await }).await?;
        println!("{}", json!(code(ended)));
        return Ok(());
    }
    let question: Value = serde_json::from_str(asked)?;
    let pages = keys(&question["pages"]);
    let first = || pages[0].clone();
    let (start, end) = (at(&question["start"]), at(&question["end"]));
    let length = |name: &str| Duration::from_secs(question[name].as_u64().unwrap_or_default());
    let (window, step) = (length("window"), length("step"));
    let today = || Calendar { days: 1, zone: question["zone"].as_str().unwrap_or_default().into(), ..Default::default() };

    let get = client.get(first()).await?;
    let within = client.window(first(), window, Some(end)).await?;
    let range = client.range(first(), start, end).await?;
    let series = client.series(first(), start, Some(end), Some(step)).await?;
    let points = series.points.into_iter().map(|point| plain(point.present, point.value));
    let watched = client.watch(first(), None).await?.message().await?.ok_or("the stream ended")?;
    let set = client.watch_many(pages.clone(), None).await?.message().await?.ok_or("the stream ended")?;
    let calendar = client.calendar(first(), today(), Some(end)).await?;
    let many = client.calendar_many(pages.clone(), today(), Some(end)).await?.swap_remove(0);
    let days = CalendarStep { days: 1, ..Default::default() };
    let day = client.calendar_series(first(), today(), Some(end), Some(days)).await?.points.swap_remove(0);
    let mut presence = json!({});
    for (name, of) in question["presence"].as_object().ok_or("no presence is asked for")? {
        let reply = client.range(key(&of["page"]), at(&of["start"]), at(&of["end"])).await?;
        presence[name] = reply.answer.unwrap_or_default().presence().as_str_name().into();
    }
    let explaining = client.clone().reading(ReadOptions { explain: true, ..Default::default() });
    let Answer { explanation, .. } = explaining.get(first()).await?.answer.unwrap_or_default();
    let operand = |key: PageTrafficKey| PageTrafficServiceSetOperand { key: Some(key), ..Default::default() };
    let sets = vec![operand(first()), operand(pages[1].clone())];
    let combined = client.combine_sets(sets, SetOperation::Union, "").await;
    let answers = json!({
        "replies": {
            "Get": plain(get.present, get.value),
            "GetMany": entries(client.get_many(pages.clone()).await?),
            "GetWindow": plain(within.present, within.value),
            "GetWindowMany": entries(client.window_many(pages.clone(), window, Some(end)).await?),
            "GetRange": plain(range.present, range.value),
            "GetRangeMany": entries(client.range_many(pages.clone(), start, end).await?),
            "Series": { "points": points.collect::<Vec<_>>() },
            "Watch": plain(watched.present, watched.value),
            "WatchMany": entries(set.entries),
        },
        "today": [plain(calendar.present, calendar.value), plain(many.present, many.value), plain(day.present, day.value)],
        "edges": entries(client.get_many(keys(&question["edges"])).await?),
        "presence": presence,
        "explained": explanation.is_some(),
        "combined": code(combined),
    });
    println!("{answers}");
    Ok(())
}
