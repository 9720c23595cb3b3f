use serde_json::json;

use super::ask::Ask;
use super::call::{Json, Server, Service};
use super::cli::QueryArgs;
use super::exit::Exit;
use super::print::{self, Cell, Output};
use super::units::Step;
use super::{App, certificates, explain, open, serve, sets, token, top};
use crate::time::Span;
use crate::{Error, ErrorKind, Result};

/// `query`: one key, the largest keys, or a series, from a running server or straight from a store.
pub(super) async fn query(app: &App, args: &QueryArgs) -> Result<Exit> {
    let entry = app.entry(&args.pipeline)?;
    let ask = Ask::new(&args.interval, &args.question)?;
    let ask = if args.explain { ask.explained() } else { ask };
    let by_calendar = args.interval.calendar.is_some() || matches!(args.series, Some(Step::Calendar(_)));
    if args.interval.zone.is_some() && !by_calendar {
        let context = "`--zone` is of a calendar; give it with `--calendar`, or with `--series day`, `week` or `month`";
        return Err(Error::new(ErrorKind::InvalidArgument, context));
    }
    // Without a key clap has made sure of `--top`.
    let key = match args.top {
        None => (entry.parse_key)(&args.key).map_err(|error| {
            let fields = entry.key_fields.join(" ");
            Error::new(ErrorKind::InvalidArgument, format!("the key of `{}` is <{fields}>: {error}", entry.spec.name))
        })?,
        Some(_) => Vec::new(),
    };
    let (server, store) = match &args.place.store {
        Some(location) => {
            let store = open::standing_store(location).await?;
            (Server::Local(serve::in_process(app, store.clone()).await?), Some(store))
        }
        None => {
            let tls = certificates::client(&args.place.tls)?;
            let token = token::read(args.place.token_file.as_deref())?;
            (Server::connect(&args.place.at, tls.as_ref(), token).await?, None)
        }
    };
    let service = Service::new(server, &app.contracts, entry)?.patient(args.timeout);
    if let Some(count) = args.top {
        let Some(store) = store else {
            let context = "`--top` looks at all keys, which only a store can tell; give it with `--store`";
            return Err(Error::new(ErrorKind::InvalidArgument, context));
        };
        let rows = top::top(&*store, entry, &service, &ask, count, args.by.as_deref()).await?;
        print::rows(args.output, &rows, |row| service.columns(row))?;
        return Ok(Exit::Done);
    }
    if sets::combine(entry, &service, &key, &ask, args).await? {
        return Ok(Exit::Done);
    }
    match args.series {
        Some(step) => {
            let request = ask.series(step, args.interval.zone.unwrap_or_default(), entry)?;
            series(&service, &key, request, args.output).await?;
        }
        None => {
            let (method, request) = ask.call(false);
            let mut row = service.ask(method, &key, request).await?;
            if let Some(row) = row.as_object_mut() {
                row.insert("key".to_owned(), service.show_key(&key)?);
            }
            print::one(args.output, &row, |row| service.columns(row))?;
            if args.output == Output::Table {
                explain(args.output, &row)?;
            }
            tell(&row);
        }
    }
    Ok(Exit::Done)
}

async fn series(service: &Service, key: &[u8], request: Json, output: Output) -> Result<()> {
    let reply = service.ask("Series", key, request).await?;
    let points = reply.get("points").and_then(Json::as_array).cloned().unwrap_or_default();
    if output == Output::Json {
        let mut reply = reply;
        if let Some(reply) = reply.as_object_mut() {
            reply.insert("key".to_owned(), service.show_key(key)?);
        }
        return print::data(&format!("{reply:#}\n"));
    }
    let size = |point: &Json| service.size(point, None).unwrap_or(0.0);
    let most = points.iter().map(size).fold(0.0, f64::max);
    print::rows(output, &points, |point| {
        let start = point.get("start").and_then(Json::as_str).unwrap_or_default();
        let bar = print::bar(size(point), most);
        let mut columns = vec![("start".to_owned(), Cell::text(start)), (String::new(), Cell::text(bar))];
        columns.extend(service.columns(point));
        columns
    })?;
    explain(output, &reply)?;
    tell(&reply);
    Ok(())
}

/// What was read for an answer, below what has no place for it: for a person, or as a line of its own behind the points of a
/// series.
fn explain(output: Output, reply: &Json) -> Result<()> {
    match reply.pointer("/answer/explanation") {
        Some(explanation) if explanation.is_object() => print::data(&match output {
            Output::Table => explain::table(reply, explanation),
            Output::Json | Output::Ndjson => format!("{}\n", json!({ "explanation": explanation })),
        }),
        _ => Ok(()),
    }
}

/// What an answer says about itself, on standard error.
pub(super) fn tell(reply: &Json) {
    let answer = reply.get("answer").cloned().unwrap_or_else(|| json!({}));
    let text = |path: &str| answer.pointer(path).and_then(Json::as_str).unwrap_or("-").to_owned();
    let presence = text("/presence").trim_start_matches("PRESENCE_").to_ascii_lowercase().replace('_', " ");
    // Protobuf's JSON writes a duration as seconds with their fraction.
    let fresh = text("/as_of/freshness").trim_end_matches('s').parse().ok();
    let fresh = fresh.map(|seconds: f64| Span::from_millis((seconds * 1e3) as u64));
    print::note(format_args!(
        "{presence}; from {} to {}; every partition has reached {}, newest event {} ago",
        text("/start"),
        text("/end"),
        text("/as_of/watermark"),
        fresh.map_or_else(|| "-".to_owned(), print::ago),
    ));
}
