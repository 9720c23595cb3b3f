//! A key that many workers count: each has a place of its own in it.

use super::*;
use crate::aggregate::Last;

/// A list under another name of its partition.
struct Named {
    list: Box<List>,
    partition: PartitionId,
}

impl Source for Named {
    fn poll(&mut self) -> BoxFuture<'_, Result<Poll>> {
        Box::pin(async {
            // The others get their turn: all of them write at the same time.
            tokio::task::yield_now().await;
            Ok(match self.list.poll().await? {
                Poll::Assigned(_) => Poll::Assigned(vec![Assignment {
                    partition: self.partition.clone(),
                    start: Start::Beginning,
                    among: None,
                }]),
                Poll::Batch(batch) => Poll::Batch(Batch { partition: Some(self.partition.clone()), ..batch }),
                other => other,
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

/// The last time of each word, which no store can add up.
pub(super) struct Lasts;

impl Pipeline for Lasts {
    type Event = Word;
    type Key = WordKey;
    type Aggregate = Last<String>;
    const SPEC: Spec = spec("lasts", Window::AllTime);

    fn apply(event: &Word, out: &mut Emissions<Last<String>>) {
        out.begin("").field(&event.text);
        out.emit(Last::at(event.at.unwrap(), "x"));
    }
}

const WORKERS: usize = 16;
const WORDS: usize = 20;

/// All workers write the same key, again and again.
async fn together<P: Pipeline<Event = Word>>(store: &Arc<MemoryStore>) {
    // What changes nothing would not be written.
    let words: Vec<&'static str> = (0..WORDS).map(|n| &*format!("hot@{n}").leak()).collect();
    let workers = (0..WORKERS).map(|n| {
        let source = Named { list: List::new(&words), partition: PartitionId::new(format!("list{n:02}")) };
        let options = Options { flush_interval: Span::ZERO, ..Options::default() };
        to_the_end(worker_of(store, Box::new(source), &Letters::default()).options(options).pipeline::<P>())
    });
    for summary in futures_util::future::join_all(workers).await {
        let progress = summary.progress;
        assert_eq!((progress.read, progress.rewinds, progress.resent), (WORDS as u64, 0, 0));
        assert!(progress.flushes >= WORDS as u64 / 4, "they hardly meet: {} flushes", progress.flushes);
    }
}

#[tokio::test(start_paused = true)]
async fn many_workers_write_one_key_and_none_has_to_try_again() {
    let store = Arc::new(MemoryStore::new());
    together::<Words>(&store).await;
    assert_eq!(count(&store, "words", "hot").await, (WORKERS * WORDS) as i128);
    together::<Lasts>(&store).await;
    let parts = store.scan(&Table::new("lasts", 1), None, 2 * WORKERS).await.unwrap();
    assert_eq!(parts.len(), WORKERS, "an item for each partition");
    let parts_are_whole = parts.iter().all(|(_, item)| item.offsets[0].1 == Offset::from_u64(WORDS as u64));
    assert!(parts_are_whole, "{parts:?}");
}
