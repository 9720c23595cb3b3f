//! Makes single calls by the client that `cargo murmur clients` has made for page-traffic.
//!
//!     ask URL one [CA]      makes one call with a token; prints how it ended; CA is a file of authorities
//!     ask URL brief         the same with a deadline of a second
//!     ask URL watch         prints the views in two replies, each when it comes
//!     ask URL absence=MS    watches, and asks for a server that is away for so many milliseconds; prints how that ended
//!     ask URL renew         watches with another token each time; prints how that ended
//!     ask URL unfit         tries a token that is none; prints what is said of it
//!     ask URL fine          asks about half a microsecond, then about one and a half; prints what is said of the first
//!     ask URL first         runs what the README of the client begins with

mod first;

use std::sync::Mutex;
use std::time::{Duration, SystemTime};

use page_traffic_client::{PageTrafficClient, PageTrafficKey};
use serde_json::json;
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint};
use tonic::{Code, Status};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// Long, as a machine that is busy is no reason to fail.
const PATIENCE: Duration = Duration::from_secs(300);

/// The number of gRPC's code.
fn code<T>(ended: std::result::Result<T, Status>) -> i32 {
    ended.map_or_else(|status| status.code(), |_| Code::Ok) as i32
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
        let client = client.absence(Duration::from_millis(milliseconds.parse()?)).token("secret\n");
        println!("{}", json!(code(client.watch(PageTrafficKey::default(), None).await)));
        return Ok(());
    }
    if asked == "renew" {
        let tokens = Mutex::new(["first", "second", "third"].into_iter());
        let client = client.token_from(move || tokens.lock().unwrap().next().unwrap().to_owned());
        println!("{}", json!(code(client.watch(PageTrafficKey::default(), None).await)));
        return Ok(());
    }
    if asked == "unfit" {
        let client = client.token("two\ns3cr\u{e9}ts");
        println!("{:?}", client.get(PageTrafficKey::default()).await);
        println!("{:?}", client.watch(PageTrafficKey::default(), None).await.err());
        return Ok(());
    }
    if asked == "fine" {
        let up_to = |nanos| SystemTime::UNIX_EPOCH + Duration::from_nanos(nanos);
        let asks = |end| client.range(PageTrafficKey::default(), up_to(0), end);
        println!("{:?}", asks(up_to(500)).await.err());
        asks(up_to(1_500)).await?;
        return Ok(());
    }
    let timeout = match asked.as_str() {
        "one" => PATIENCE,
        "brief" => Duration::from_secs(1),
        other => return Err(format!("`{other}` is not known").into()),
    };
    let client = client.timeout(timeout).token("secret\n");
    // A task of its own, as servers have it: what a call is made of can be sent to another thread.
    let ended = tokio::spawn(async move { client.get(PageTrafficKey { page_id: "/home".into() }).await }).await?;
    println!("{}", json!(code(ended)));
    Ok(())
}
