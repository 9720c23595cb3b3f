//! A worker that has much to catch up with.

use std::time::Duration;

use super::*;

/// A list of which one payload comes a second, with what waits; and nothing at all before the last of them.
struct Backlog {
    list: Box<List>,
    tells: bool,
    stops_short: bool,
}

impl Source for Backlog {
    fn poll(&mut self) -> BoxFuture<'_, Result<Poll>> {
        Box::pin(async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            let left = self.list.payloads.len() - self.list.next;
            if self.stops_short && left == 1 {
                self.stops_short = false;
                return Ok(Poll::Idle);
            }
            Ok(match self.list.poll().await? {
                Poll::Batch(batch) => Poll::Batch(Batch { lag: self.tells.then_some(left as u64 - 1), ..batch }),
                poll => poll,
            })
        })
    }

    fn seek<'a>(&'a mut self, partition: &'a PartitionId, after: Option<Offset>) -> BoxFuture<'a, Result<()>> {
        self.list.seek(partition, after)
    }

    fn commit<'a>(&'a mut self, commits: &'a [(PartitionId, Offset)]) -> BoxFuture<'a, Result<()>> {
        self.list.commit(commits)
    }
}

/// Tiles written for so many events of one key.
async fn written(events: usize, tells: bool, stops_short: bool) -> u64 {
    let (store, list) = (Arc::new(MemoryStore::new()), List::new(&vec!["a"; events]));
    let source = Box::new(Backlog { list, tells, stops_short });
    let summary = to_the_end(worker_of(&store, source, &Letters::default()).pipeline::<Words>()).await;
    assert_eq!(count(&store, "words", "a").await, events as i128);
    summary.progress.writes
}

#[tokio::test(start_paused = true)]
async fn what_waits_is_read_first_and_each_tile_written_once_for_all_of_it() {
    assert_eq!(written(6, true, false).await, 1);
    assert!(written(6, false, false).await >= 5, "nobody knows that something waits");
}

#[tokio::test(start_paused = true)]
async fn what_was_read_does_not_wait_for_a_source_that_has_stopped() {
    assert_eq!(written(6, true, true).await, 2);
}

#[tokio::test(start_paused = true)]
async fn what_was_read_does_not_wait_for_ever_for_what_comes() {
    // One flush in ten seconds, and the last one.
    assert!((3..=4).contains(&written(30, true, false).await));
}
