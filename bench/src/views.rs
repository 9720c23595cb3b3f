//! Views of pages: the events, the pipeline and the oracle's side of what several measurements count.

use std::collections::HashMap;

use futures_util::future::BoxFuture;
use murmur::prelude::*;
use murmur::source::{Commits, DeadLetters, Letter, PartitionId};
use murmur::store::{Number, Store, Table};

/// A view of a page; of the nine fields of its JSON the pipeline needs two.
#[murmur::event]
#[derive(serde::Deserialize)]
pub(crate) struct View {
    /// Which page.
    pub(crate) page_id: String,
    /// When.
    #[murmur(time)]
    pub(crate) viewed_at: Timestamp,
}

/// Views per page and hour.
#[murmur::pipeline(key = page_id, window = tumbling("1h", keep = "30d"))]
pub(crate) fn views(_: &View) -> Count {
    Count::one()
}

/// One event as JSON, about 245 bytes; `at` in milliseconds.
pub(crate) fn line(rng: &mut fastrand::Rng, page: u64, at: i64) -> String {
    format!(
        "{{\"user_id\":\"{:016x}\",\"page_id\":\"page-{page:08}\",\"session\":\"{:032x}\",\
         \"event_type\":\"view\",\"dwell_ms\":{},\"referrer\":\"https://example.com/{:06}\",\
         \"viewed_at\":{at},\"ip\":\"10.{}.{}.{}\",\"agent\":\"Mozilla/5.0\"}}",
        rng.u64(..),
        rng.u128(..),
        rng.u32(..10_000),
        rng.u32(..1_000_000),
        rng.u8(..),
        rng.u8(..),
        rng.u8(..)
    )
}

/// Counts per page and start of the hour, in microseconds.
pub(crate) type Counts = HashMap<(String, i64), u64>;

/// What a store holds.
pub(crate) async fn counts(store: &dyn Store) -> murmur::Result<Counts> {
    let (table, mut counts, mut after) = (Table::new("views", 1), Counts::new(), None);
    loop {
        let page = store.scan(&table, after.as_ref(), 10_000).await?;
        let Some((last, _)) = page.last() else { return Ok(counts) };
        after = Some(last.clone());
        for (id, item) in page {
            for ((slot, _), number) in item.numbers {
                if let Number::Int(n) = number {
                    let hour = id.tile.start.as_micros() + i64::from(slot.0) * 3_600_000_000;
                    *counts.entry((id.key.trim_start_matches('=').to_owned(), hour)).or_default() += n as u64;
                }
            }
        }
    }
}

/// Per page alone.
pub(crate) fn over_all_hours(counts: Counts) -> HashMap<String, u64> {
    let mut all = HashMap::new();
    for ((page, _), count) in counts {
        *all.entry(page).or_default() += count;
    }
    all
}

/// No payload of a measurement is bad; one that comes here is an error.
pub(crate) struct NoLetters;

impl DeadLetters for NoLetters {
    fn rewind<'a>(&'a mut self, _: &'a PartitionId, _: Commits<'a>) -> BoxFuture<'a, murmur::Result<()>> {
        Box::pin(async { Ok(()) })
    }

    fn passed<'a>(&'a mut self, _: &'a PartitionId, _: Commits<'a>) -> BoxFuture<'a, ()> {
        Box::pin(async {})
    }

    fn put(&mut self, letters: Vec<Letter>) -> BoxFuture<'_, murmur::Result<()>> {
        let reason = letters.first().map(|letter| letter.reason.clone()).unwrap_or_default();
        Box::pin(async move { Err(murmur::Error::new(murmur::ErrorKind::Internal, reason)) })
    }

    fn sync(&mut self) -> BoxFuture<'_, murmur::Result<()>> {
        Box::pin(async { Ok(()) })
    }
}
