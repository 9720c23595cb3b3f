//! What is asked, prepared as bytes, and what has to come back.

use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use murmur::grpc::messages::{
    EntriesResponse, GetManyRequest, GetRequest, GetWindowRequest, Point, SeriesRequest, SeriesResponse, ValueResponse,
};
use murmur::prelude::*;
use murmur::time::{Span, TimeRange};
use prost::Message;
use serde_json::{Value, json};

use super::pages::{PageTotalKey, PageWindowKey, Pages, Stays, Visited};
use super::{Method, Protocol, Result, Visits, hello, text};

type Reply = <Stays as Monoid>::Reply;

/// How many different requests there are at most: so many that what is asked again has left the caches by then.
const DIFFERENT: u64 = 200_000;
/// Keys of a `GetMany`.
const MANY: u32 = 100;
/// Replies that have to be read as a whole to be checked are checked this often: once in so many.
const SAMPLE: u64 = 16;

/// A request with what its reply has to say.
pub(super) struct Call {
    /// The message of the request.
    pub(super) message: Bytes,
    expected: Expected,
}

enum Expected {
    /// The value comes first in a reply; how fresh it is, behind it, changes.
    Begins(Bytes),
    /// These pages, each with what is true of it.
    Totals(Vec<u32>),
    /// This page, over the interval that the reply says.
    Until(Arc<Pages>, u32),
}

impl Call {
    /// Requests of a method, for so many calls. Of many pages each is as likely as any other; busy ones take turns.
    pub(super) fn prepare(method: Method, protocol: Protocol, pages: &Arc<Pages>, calls: u64) -> Result<Vec<Self>> {
        let mut rng = fastrand::Rng::with_seed(7);
        let counts = pages.counts;
        let mut any = || rng.u32(..counts.totals);
        let different = calls.min(DIFFERENT);
        match method {
            Method::Hello => (0..100).map(|n| greet(&format!("caller {n}"))).collect(),
            Method::Get => (0..different).map(|_| get(protocol, any())).collect(),
            Method::GetMany => {
                let many = (0..different.min(DIFFERENT / u64::from(MANY))).map(|_| (0..MANY).map(|_| any()).collect());
                Ok(many.map(|pages| get_many(protocol, pages)).collect())
            }
            Method::Last90d(visits) => {
                Ok(asked(pages, visits, different).map(|page| get_90d(protocol, pages, page)).collect())
            }
            Method::Window(visits) => {
                asked(pages, visits, different).map(|page| window(protocol, pages, page)).collect()
            }
            Method::Series(visits) => {
                asked(pages, visits, different).map(|page| series(protocol, pages, page)).collect()
            }
        }
    }

    /// Whether this is the reply, the message alone, to the call that was made as the `n`-th.
    pub(super) fn is_right(&self, protocol: Protocol, reply: &[u8], n: u64) -> bool {
        match &self.expected {
            Expected::Begins(with) => reply.starts_with(with),
            _ if !n.is_multiple_of(SAMPLE) => !reply.is_empty(),
            Expected::Totals(pages) => entries(protocol, reply).is_some_and(|entries| {
                entries.into_iter().eq(pages.iter().map(|page| (Pages::name(*page), Pages::total(*page))))
            }),
            Expected::Until(pages, page) => {
                over_interval(protocol, reply).is_some_and(|(range, value)| pages.within(*page, range) == value)
            }
        }
    }
}

/// Pages whose visits are counted by the minute.
fn asked(pages: &Pages, visits: Visits, different: u64) -> Box<dyn Iterator<Item = u32>> {
    let mut rng = fastrand::Rng::with_seed(7);
    let seldom = pages.seldom();
    match visits {
        Visits::EveryMinute => Box::new(0..pages.counts.busy),
        Visits::Seldom => Box::new((0..different).map(move |_| rng.u32(seldom.clone()))),
    }
}

fn greet(name: &str) -> Result<Call> {
    let expected = Expected::Begins(hello::greeting(name).encode_to_vec().into());
    Ok(Call { message: name.to_owned().encode_to_vec().into(), expected })
}

fn get(protocol: Protocol, page: u32) -> Result<Call> {
    let name = Pages::name(page);
    let message = match protocol {
        Protocol::Grpc => GetRequest { key: Some(PageTotalKey { page: name }), options: None }.encode_to_vec(),
        Protocol::Json => json!({ "key": { "page": name } }).to_string().into_bytes(),
    };
    Ok(Call { message: message.into(), expected: Expected::Begins(value(protocol, Pages::total(page))?) })
}

fn get_90d(protocol: Protocol, pages: &Arc<Pages>, page: u32) -> Call {
    let name = Pages::name(page);
    let message = match protocol {
        Protocol::Grpc => GetRequest { key: Some(PageWindowKey { page: name }), options: None }.encode_to_vec(),
        Protocol::Json => json!({ "key": { "page": name } }).to_string().into_bytes(),
    };
    Call { message: message.into(), expected: Expected::Until(pages.clone(), page) }
}

fn get_many(protocol: Protocol, pages: Vec<u32>) -> Call {
    let names = pages.iter().map(|page| Pages::name(*page));
    let message = match protocol {
        Protocol::Grpc => {
            let keys = names.map(|page| PageTotalKey { page }).collect();
            GetManyRequest { keys, options: None }.encode_to_vec()
        }
        Protocol::Json => {
            let keys: Vec<Value> = names.map(|page| json!({ "page": page })).collect();
            json!({ "keys": keys }).to_string().into_bytes()
        }
    };
    Call { message: message.into(), expected: Expected::Totals(pages) }
}

fn window(protocol: Protocol, pages: &Pages, page: u32) -> Result<Call> {
    let (name, range) = (Pages::name(page), pages.thirty_days());
    let span = range.end.since(range.start);
    let message = match protocol {
        Protocol::Grpc => {
            let key = Some(PageWindowKey { page: name });
            let (window, end) = (Some(span), Some(range.end));
            GetWindowRequest { key, window, end, ..Default::default() }.encode_to_vec()
        }
        Protocol::Json => {
            let window = format!("{}s", span.as_micros() / 1_000_000);
            json!({ "key": { "page": name }, "window": window, "end": range.end.to_string() }).to_string().into_bytes()
        }
    };
    Ok(Call { message: message.into(), expected: Expected::Begins(value(protocol, pages.within(page, range))?) })
}

fn series(protocol: Protocol, pages: &Pages, page: u32) -> Result<Call> {
    const STEP: u64 = 86_400;
    let (name, days) = (Pages::name(page), pages.whole_days());
    let (start, end) = (days.first().map(|day| day.start), days.last().map(|day| day.end));
    let message = match protocol {
        Protocol::Grpc => {
            let key = Some(PageWindowKey { page: name });
            let step = Some(Span::from_seconds(STEP));
            SeriesRequest { key, start, end, step, ..Default::default() }.encode_to_vec()
        }
        Protocol::Json => {
            let [start, end] = [start, end].map(|at| at.map(|at| at.to_string()));
            json!({ "key": { "page": name }, "start": start, "end": end, "step": format!("{STEP}s") })
                .to_string()
                .into_bytes()
        }
    };
    let values = days.iter().map(|day| (*day, pages.within(page, *day)));
    let expected: Bytes = match protocol {
        Protocol::Grpc => {
            let points = values.map(|(day, value)| {
                let (start, end) = (Some(day.start), Some(day.end));
                Ok(Point { start, end, value: value.reply()?, present: value.visits > 0 })
            });
            SeriesResponse { points: points.collect::<Result<_>>()?, answer: None }.encode_to_vec().into()
        }
        Protocol::Json => {
            let points = values.map(|(day, value)| {
                let (start, end, present) = (day.start, day.end, value.visits > 0);
                format!(r#"{{"start":"{start}","end":"{end}","value":{},"present":{present}}}"#, in_json(value))
            });
            format!(r#"{{"points":[{}],"#, points.collect::<Vec<_>>().join(",")).into()
        }
    };
    Ok(Call { message: message.into(), expected: Expected::Begins(expected) })
}

/// How a reply with this value begins.
fn value(protocol: Protocol, value: Visited) -> Result<Bytes> {
    Ok(match protocol {
        Protocol::Grpc => ValueResponse { value: value.reply()?, present: true, answer: None }.encode_to_vec().into(),
        Protocol::Json => format!(r#"{{"value":{},"present":true,"#, in_json(value)).into(),
    })
}

fn in_json(Visited { visits, millis }: Visited) -> String {
    format!(r#"{{"visits":"{visits}","millis":"{millis}"}}"#)
}

/// Pages and their values, of a reply of many; `None` where it is none, or one of them is not present.
fn entries(protocol: Protocol, reply: &[u8]) -> Option<Vec<(String, Visited)>> {
    match protocol {
        Protocol::Grpc => {
            let EntriesResponse { entries } = EntriesResponse::<PageTotalKey, Reply>::decode(reply).ok()?;
            let entries = entries.into_iter();
            entries.map(|entry| Some((entry.key?.page, Visited::of(&entry.value)))).collect()
        }
        Protocol::Json => {
            let reply: Value = serde_json::from_slice(reply).ok()?;
            let entries = reply.get("entries")?.as_array()?.iter();
            let entry = |entry: &Value| Some((entry.pointer("/key/page")?.as_str()?.to_owned(), visited(entry)?));
            entries.map(entry).collect()
        }
    }
}

/// The value of a reply, and the interval that it is about.
fn over_interval(protocol: Protocol, reply: &[u8]) -> Option<(TimeRange, Visited)> {
    match protocol {
        Protocol::Grpc => {
            let ValueResponse { value, answer, .. } = ValueResponse::<Reply>::decode(reply).ok()?;
            let answer = answer?;
            Some((TimeRange::new(answer.start?, answer.end?), Visited::of(&value)))
        }
        Protocol::Json => {
            let reply: Value = serde_json::from_slice(reply).ok()?;
            let at = |side: &str| reply.get("answer")?.get(side)?.as_str()?.parse::<Timestamp>().ok();
            Some((TimeRange::new(at("start")?, at("end")?), visited(&reply)?))
        }
    }
}

fn visited(reply: &Value) -> Option<Visited> {
    let number = |field: &str| reply.get("value")?.get(field)?.as_str()?.parse().ok();
    Some(Visited { visits: number("visits")?, millis: number("millis")? })
}

/// A message as gRPC frames it.
pub(super) fn framed(message: &[u8]) -> Result<Bytes> {
    let mut framed = BytesMut::with_capacity(5 + message.len());
    framed.put_u8(0);
    framed.put_u32(message.len().try_into().map_err(text)?);
    framed.put_slice(message);
    Ok(framed.freeze())
}
