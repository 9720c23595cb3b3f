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

#[tokio::test(start_paused = true)]
async fn history_that_is_read_for_a_pipeline_that_joins_does_not_wait_for_those_that_have_it() {
    let (store, letters, payloads) = (Arc::new(MemoryStore::new()), Letters::default(), vec!["a"; 5]);
    to_the_end(worker(&store, &payloads, &letters).pipeline::<Words>()).await;
    let source = Box::new(Backlog { list: List::new(&payloads), tells: true, stops_short: false });
    let worker = worker_of(&store, source, &letters).pipeline::<Words>().pipeline::<Hours>().build();
    let mut progress = worker.progress();
    let (_stop, stopped) = watch::channel(false);
    let running = tokio::spawn(worker.run(stopped));
    let progress = progress.wait_for(|progress| progress.read == 2).await.unwrap().clone();
    assert_eq!((progress.lag, progress.lag_of("hours"), progress.lag_of("words")), (Some(3), Some(3), Some(0)));
    running.await.unwrap().unwrap();
}

/// A partition of which something comes ten times a second, beside one that is far behind and delivers nothing.
struct BesideStuck {
    list: Box<List>,
    said: bool,
}

fn stuck() -> PartitionId {
    PartitionId::new("stuck")
}

impl Source for BesideStuck {
    fn poll(&mut self) -> BoxFuture<'_, Result<Poll>> {
        Box::pin(async {
            if !self.list.assigned {
                self.list.assigned = true;
                let both = [partition(), stuck()];
                let assigned = both.map(|partition| Assignment { partition, start: Start::Beginning, among: None });
                return Ok(Poll::Assigned(assigned.into()));
            }
            if !std::mem::replace(&mut self.said, true) {
                return Ok(Poll::Batch(Batch { partition: Some(stuck()), lag: Some(1_000_000), ..Batch::default() }));
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
            Ok(match self.list.poll().await? {
                Poll::Batch(batch) => Poll::Batch(Batch { lag: Some(0), ..batch }),
                poll => poll,
            })
        })
    }

    fn seek<'a>(&'a mut self, of: &'a PartitionId, after: Option<Offset>) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move { if *of == partition() { self.list.seek(of, after).await } else { Ok(()) } })
    }

    fn commit<'a>(&'a mut self, commits: &'a [(PartitionId, Offset)]) -> BoxFuture<'a, Result<()>> {
        self.list.commit(commits)
    }
}

#[tokio::test(start_paused = true)]
async fn a_partition_that_cannot_be_read_puts_off_no_flush_of_the_others() {
    let (store, list) = (Arc::new(MemoryStore::new()), List::new(&["a"; 100]));
    let source = Box::new(BesideStuck { list, said: false });
    let worker = worker_of(&store, source, &Letters::default()).pipeline::<Words>().build();
    let mut progress = worker.progress();
    let began = tokio::time::Instant::now();
    let (_stop, stopped) = watch::channel(false);
    let running = tokio::spawn(worker.run(stopped));
    progress.wait_for(|progress| progress.flushes > 0).await.unwrap();
    let first = began.elapsed();
    assert!(first < Duration::from_secs(2), "the first flush came after {first:?}");
    progress.wait_for(|progress| progress.flushes >= 5).await.unwrap();
    let fifth = began.elapsed();
    assert!(fifth < Duration::from_secs(7), "the fifth one after {fifth:?}");
    running.await.unwrap().unwrap();
}
