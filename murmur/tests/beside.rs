//! Events that take fields from beside their payloads, from a source through the worker.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::sync::{Arc, Mutex};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use murmur::engine::{Clock, Worker, json};
use murmur::prelude::*;
use murmur::query::Reader;
use murmur::source::{
    Assignment, Batch, Beside, Commits, DeadLetters, Letter, Offset, PartitionId, Payload, Poll, Source, Start,
};
use murmur::store::{Consistency, MemoryStore};
use murmur::time::TimeRange;
use murmur::{ErrorKind, Result};
use tokio::sync::watch;

#[murmur::event]
#[derive(serde::Deserialize)]
struct Call {
    #[murmur(header = "tenant")]
    tenant: String,
    #[murmur(header = "weight")]
    weight: Option<u64>,
    #[murmur(record_key)]
    caller: Option<String>,
    #[murmur(time, broker_time)]
    at: Timestamp,
    cost: u64,
}

/// What calls cost, by the tenant that a header names.
#[murmur::pipeline(key = tenant, window = tumbling("1h", keep = "30d"))]
fn calls(call: &Call) -> Option<Sum<u64>> {
    (call.caller.as_deref() != Some("robot")).then(|| Sum::of(call.cost * call.weight.unwrap_or(1)))
}

/// Its fields can all be absent.
#[murmur::pipeline(name = "marks")]
#[derive(serde::Deserialize)]
struct Marked {
    #[murmur(key)]
    page: String,
    #[murmur(header = "mark", distinct)]
    mark: Option<String>,
}

/// A record: payload, key, headers, and the seconds of its time.
type Sent = (&'static str, Option<&'static str>, &'static [(&'static str, &'static str)], Option<i64>);

/// Records in one partition, in one batch; without what stands beside them unless that was asked for.
struct Records {
    sent: Vec<Sent>,
    has_beside: bool,
    asked: bool,
    stage: usize,
}

impl Records {
    fn new(sent: &[Sent], has_beside: bool) -> Box<Self> {
        Box::new(Self { sent: sent.to_vec(), has_beside, asked: false, stage: 0 })
    }

    fn batch(&self) -> Batch {
        let mut batch = Batch { partition: Some(PartitionId::new("records")), ..Batch::default() };
        for (at, (payload, key, headers, seconds)) in self.sent.iter().enumerate() {
            let mut put = |text: &str| {
                let start = batch.buffer.len();
                batch.buffer.extend_from_slice(text.as_bytes());
                start..batch.buffer.len()
            };
            let bytes = put(payload);
            let beside = Beside {
                key: key.map(&mut put),
                headers: headers.iter().map(|(name, value)| (put(name), Some(put(value)))).collect(),
                stamped: seconds.map(Timestamp::from_seconds),
            };
            batch.payloads.push(Payload { offset: Offset::from_u64(at as u64), bytes, broken: None });
            batch.beside.extend(self.asked.then_some(beside));
        }
        batch
    }
}

impl Source for Records {
    fn carry_beside(&mut self) -> bool {
        self.asked = self.has_beside;
        self.has_beside
    }

    fn poll(&mut self) -> BoxFuture<'_, Result<Poll>> {
        self.stage += 1;
        let poll = match self.stage {
            1 => Poll::Assigned(vec![Assignment {
                partition: PartitionId::new("records"),
                start: Start::Beginning,
                among: None,
            }]),
            2 => Poll::Batch(self.batch()),
            _ => Poll::End,
        };
        async { Ok(poll) }.boxed()
    }

    fn seek<'a>(&'a mut self, _: &'a PartitionId, _: Option<Offset>) -> BoxFuture<'a, Result<()>> {
        async { Ok(()) }.boxed()
    }

    fn commit<'a>(&'a mut self, _: &'a [(PartitionId, Offset)]) -> BoxFuture<'a, Result<()>> {
        async { Ok(()) }.boxed()
    }
}

#[derive(Clone, Default)]
struct Letters(Arc<Mutex<Vec<Letter>>>);

impl DeadLetters for Letters {
    fn rewind<'a>(&'a mut self, _: &'a PartitionId, _: Commits<'a>) -> BoxFuture<'a, Result<()>> {
        async { Ok(()) }.boxed()
    }

    fn passed<'a>(&'a mut self, _: &'a PartitionId, _: Commits<'a>) -> BoxFuture<'a, ()> {
        Box::pin(async {})
    }

    fn put(&mut self, letters: Vec<Letter>) -> BoxFuture<'_, Result<()>> {
        self.0.lock().unwrap().extend(letters);
        async { Ok(()) }.boxed()
    }

    fn sync(&mut self) -> BoxFuture<'_, Result<()>> {
        async { Ok(()) }.boxed()
    }
}

struct Noon;

/// 1970-01-11T12:00:00Z.
const NOON: i64 = 10 * 86_400 + 43_200;

impl Clock for Noon {
    fn now(&self) -> Timestamp {
        Timestamp::from_seconds(NOON)
    }
}

async fn run<P: Pipeline<Event: serde::de::DeserializeOwned>>(
    source: Box<Records>,
) -> Result<(Arc<MemoryStore>, Vec<Letter>)> {
    let (store, letters) = (Arc::new(MemoryStore::new()), Letters::default());
    let worker =
        Worker::builder(store.clone(), source, json::<P::Event>, Box::new(letters.clone())).clock(Arc::new(Noon));
    let (_stop, stopped) = watch::channel(false);
    worker.pipeline::<P>().build().run(stopped).await?;
    let letters = letters.0.lock().unwrap().clone();
    Ok((store, letters))
}

#[tokio::test]
async fn key_and_time_of_a_pipeline_stand_beside_the_payload() {
    let hour = |hours: i64| NOON - hours * 3_600;
    let two: &[_] = &[("tenant", "blue"), ("weight", "3"), ("tenant", "red")];
    let source = Records::new(
        &[
            (r#"{"cost":10}"#, None, &[("tenant", "red")], Some(hour(2))),
            // What the payload says of such a field is nothing.
            (r#"{"cost":1,"tenant":"green","at":"x"}"#, Some("me"), two, Some(hour(2) + 1)),
            (r#"{"cost":5}"#, Some("robot"), &[("tenant", "red")], Some(hour(2))),
            (r#"{"cost":7}"#, None, &[("tenant", "red")], Some(hour(1))),
            (r#"{"cost":2}"#, None, &[("Tenant", "red")], Some(hour(1))),
            (r#"{"cost":2}"#, None, &[("tenant", "red")], None),
            (r#"{"cost":2}"#, None, &[("tenant", "red"), ("weight", "heavy")], Some(hour(1))),
        ],
        true,
    );
    let (store, letters) = run::<Calls>(source).await.unwrap();
    let reader = Reader::<Calls>::new(store, 1).clock(Arc::new(Noon));
    let cost = async |hours| {
        let range = TimeRange::new(Timestamp::from_seconds(hour(hours)), Timestamp::from_seconds(hour(hours - 1)));
        let key = CallsKey { tenant: "red".to_owned() };
        reader.range(&key, range, Consistency::Strong).await.unwrap().value
    };
    assert_eq!((cost(2).await, cost(1).await), (10 + 3, 7));

    let reasons: Vec<&str> = letters.iter().map(|letter| letter.reason.as_str()).collect();
    assert_eq!(
        reasons,
        [
            "not a `Call`: the header `tenant`, which its field `tenant` is read from, is not there",
            "not a `Call`: the time of the record, which its field `at` is read from, is not there",
            "not a `Call`: the header `weight` is `heavy`, which is no `u64`: invalid digit found in string",
        ]
    );
    assert_eq!(letters[0].metadata.headers, [("Tenant".to_owned(), Some(b"red".to_vec()))]);
    assert_eq!(letters[0].metadata.stamped, Some(Timestamp::from_seconds(hour(1))));
}

#[tokio::test]
async fn a_source_of_payloads_alone_is_refused_unless_all_such_fields_can_be_absent() {
    let refused = run::<Calls>(Records::new(&[], false)).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Configuration);
    for part in ["`Call`", "`tenant`", "the header `tenant`", "topic of Kafka", "`Option`"] {
        assert!(refused.to_string().contains(part), "{part}: {refused}");
    }

    let (store, letters) =
        run::<Marks>(Records::new(&[(r#"{"page":"/"}"#, None, &[("mark", "m")], None)], false)).await.unwrap();
    assert_eq!(letters, []);
    let key = MarksKey { page: "/".to_owned() };
    let totals = Reader::<Marks>::new(store, 1).get(&key, Consistency::Strong).await.unwrap().value;
    assert_eq!((totals.count, totals.mark_distinct.value), (1, 0.0));
}
