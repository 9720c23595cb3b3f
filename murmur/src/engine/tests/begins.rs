//! Where reading goes on: by the record in the store, and by the source for whoever has none.

use std::time::Duration;

use super::faulty::Faulty;
use super::panics::{Narrows, narrow};
use super::*;
use crate::source::{RecordOutcome, Records};

fn after(offset: u64) -> Start {
    Start::After(Offset::from_u64(offset))
}

/// Read all payloads, where `start` is what the source says to those who are new.
async fn read(store: &Arc<MemoryStore>, start: Start, payloads: &[&'static str]) -> Summary {
    to_the_end(worker_of(store, List::from(start, payloads), &Letters::default()).pipeline::<Words>()).await
}

#[tokio::test]
async fn a_table_that_was_restored_is_counted_on_from_where_it_is() {
    let store = Arc::new(MemoryStore::new());
    read(&store, Start::Beginning, &["a"]).await;
    let yesterday = store.copy();
    read(&store, Start::Beginning, &["a", "a", "a"]).await;
    store.restore(&yesterday);
    // The source has seen a commit of 3, and whoever is new would begin after it.
    let summary = read(&store, after(3), &["a", "a", "a", "a"]).await;
    assert_eq!((summary.progress.read, count(&store, "words", "a").await), (3, 4));
}

/// A list whose table is restored to what it was at first, before its last payload comes.
struct Restored {
    list: Box<List>,
    store: Arc<MemoryStore>,
    first: MemoryStore,
}

impl Source for Restored {
    fn poll(&mut self) -> BoxFuture<'_, Result<Poll>> {
        if self.list.next + 1 == self.list.payloads.len() {
            self.store.restore(&self.first);
        }
        self.list.poll()
    }

    fn seek<'a>(&'a mut self, partition: &'a PartitionId, after: Option<Offset>) -> BoxFuture<'a, Result<()>> {
        self.list.seek(partition, after)
    }

    fn commit<'a>(&'a mut self, commits: &'a [(PartitionId, Offset)]) -> BoxFuture<'a, Result<()>> {
        self.list.commit(commits)
    }
}

#[tokio::test]
async fn a_table_that_is_restored_under_a_worker_is_not_counted_on_when_it_reads_a_partition_again() {
    let (store, letters) = (Arc::new(MemoryStore::new()), Letters::default());
    let payloads = ["100", "100", "200"];
    to_the_end(worker(&store, &payloads[..1], &letters).pipeline::<Narrows>()).await;
    let first = store.copy();
    to_the_end(worker(&store, &payloads[..2], &letters).pipeline::<Narrows>()).await;
    // The last one does not fit, which has it read again from the commits before it has written anything.
    let list = List::from(Start::Beginning, &payloads);
    let source = Box::new(Restored { list, store: store.clone(), first });
    let (_stop, stopped) = watch::channel(false);
    let error = worker_of(&store, source, &letters).pipeline::<Narrows>().build().run(stopped).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    let said = error.to_string();
    assert!(said.contains("taking partition `list`") && said.contains("Stop all workers"), "{said}");
    assert_eq!(narrow(&store, "all").await.1, 1, "and is left as it was restored");
    assert_eq!(letters.0.lock().unwrap().len(), 0);
}

#[tokio::test]
async fn a_first_position_is_durable_before_anything_is_read() {
    let store = Arc::new(MemoryStore::new());
    // Nothing to flush by this run: what it leaves is where it began.
    read(&store, after(2), &["a", "a"]).await;
    let summary = read(&store, after(4), &["a", "a", "a", "a"]).await;
    assert_eq!((summary.progress.read, count(&store, "words", "a").await), (2, 2));

    // The same for a beginning that is no offset.
    let store = Arc::new(MemoryStore::new());
    read(&store, Start::Beginning, &[]).await;
    read(&store, after(1), &["a", "a"]).await;
    assert_eq!(count(&store, "words", "a").await, 2);
}

#[tokio::test]
async fn each_pipeline_goes_by_its_own_record_and_is_spared_what_it_has() {
    let (store, letters) = (Arc::new(MemoryStore::new()), Letters::default());
    let payloads = ["a@860000", "a@860001", "a@860002", "!"];
    read(&store, Start::Beginning, &payloads[..2]).await;
    // The one that is new begins further back, or further on.
    let both = |start, payloads: &[&'static str]| {
        to_the_end(worker_of(&store, List::from(start, payloads), &letters).pipeline::<Words>().pipeline::<Hours>())
    };
    let summary = both(after(1), &payloads).await;
    assert_eq!((summary.progress.read, summary.progress.already_applied), (3, 1));
    assert_eq!((count(&store, "words", "a").await, hours(&store).await), (3, 2));
    let store = Arc::new(MemoryStore::new());
    read(&store, Start::Beginning, &payloads[..1]).await;
    let worker = worker_of(&store, List::from(after(2), &payloads), &letters).pipeline::<Words>().pipeline::<Hours>();
    to_the_end(worker).await;
    assert_eq!((count(&store, "words", "a").await, hours(&store).await), (3, 1));
}

/// How many events lie in the hours.
async fn hours(store: &MemoryStore) -> i128 {
    let items = store.scan(&Table::new("hours", 1), None, 10).await.unwrap();
    let numbers = items.iter().flat_map(|(_, item)| &item.numbers);
    numbers.map(|(_, number)| if let crate::store::Number::Int(n) = number { *n } else { 0 }).sum()
}

#[tokio::test]
async fn without_a_record_and_a_place_to_begin_it_is_an_error_that_names_the_pipeline() {
    let store = Arc::new(MemoryStore::new());
    let nowhere = || List::from(Start::Nowhere("say where".into()), &["a"]);
    let (_stop, stopped) = watch::channel(false);
    let worker = worker_of(&store, nowhere(), &Letters::default()).pipeline::<Words>().build();
    let error = worker.run(stopped).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.to_string().contains("words") && error.to_string().contains("say where"), "{error}");
    read(&store, Start::Beginning, &["a"]).await;
    to_the_end(worker_of(&store, nowhere(), &Letters::default()).pipeline::<Words>()).await;
    assert_eq!(count(&store, "words", "a").await, 1);
}

/// Partitions of one payload each, all of them ours from the start on.
struct Many {
    /// Whether each is to be read.
    sought: Vec<bool>,
    said: bool,
    next: usize,
    /// Hangs from the moment on that the partitions are assigned.
    hangs: Option<Arc<Faulty>>,
}

impl Many {
    fn new(partitions: usize, hangs: Option<Arc<Faulty>>) -> Box<Self> {
        Box::new(Self { sought: vec![false; partitions], said: false, next: 0, hangs })
    }

    fn id(at: usize) -> PartitionId {
        PartitionId::new(format!("p{at}"))
    }
}

impl Source for Many {
    fn poll(&mut self) -> BoxFuture<'_, Result<Poll>> {
        let poll = if !std::mem::replace(&mut self.said, true) {
            if let Some(store) = &self.hangs {
                store.hangs.send_replace(true);
            }
            let all = 0..self.sought.len();
            let all = all.map(|at| Assignment { partition: Self::id(at), start: Start::Beginning, among: None });
            Poll::Assigned(all.collect())
        } else if self.next < self.sought.len() {
            assert!(self.sought[self.next], "polled before it was said from where");
            self.next += 1;
            let payload = Payload { offset: Offset::from_u64(1), bytes: 0..1, broken: None };
            Poll::Batch(Batch {
                partition: Some(Self::id(self.next - 1)),
                buffer: b"a".to_vec(),
                payloads: vec![payload],
                ..Batch::default()
            })
        } else {
            Poll::End
        };
        Box::pin(async { Ok(poll) })
    }

    fn seek<'a>(&'a mut self, partition: &'a PartitionId, _: Option<Offset>) -> BoxFuture<'a, Result<()>> {
        let at: usize = partition.as_str()[1..].parse().unwrap();
        self.sought[at] = true;
        Box::pin(async { Ok(()) })
    }

    fn commit<'a>(&'a mut self, _: &'a [(PartitionId, Offset)]) -> BoxFuture<'a, Result<()>> {
        Box::pin(async { Ok(()) })
    }
}

#[tokio::test(start_paused = true)]
async fn many_partitions_are_taken_at_a_time_and_not_all_of_them() {
    let (store, at_once) = (Arc::new(MemoryStore::new()), super::super::assignment::AT_ONCE);
    let hanging = Faulty::over(&store);
    let source = Many::new(100, Some(hanging.clone()));
    let worker = Worker::builder(hanging.clone(), source, decode, Box::new(Letters::default())).pipeline::<Words>();
    let (_stop, stopped) = watch::channel(false);
    let running = tokio::spawn(worker.build().run(stopped));
    let mut under_way = hanging.under_way.subscribe();
    let waiting = under_way.wait_for(|requests| *requests == at_once);
    tokio::time::timeout(Duration::from_secs(60), waiting)
        .await
        .expect("they are not taken so many at a time")
        .unwrap();
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(*hanging.under_way.borrow(), at_once);
    hanging.hangs.send_replace(false);
    let summary = running.await.unwrap().unwrap();
    assert_eq!((summary.progress.read, count(&store, "words", "a").await), (100, 100));
}

#[tokio::test]
async fn of_many_partitions_that_are_taken_an_error_names_the_one() {
    let (store, table) = (Arc::new(MemoryStore::new()), Table::new("words", 1));
    let name = PartitionRecord::name(&Many::id(41));
    let put = store.put_record(&table.shelf(), &name, b"torn".to_vec(), None).await.unwrap();
    assert!(matches!(put, RecordOutcome::Written(_)));
    let worker = worker_of(&store, Many::new(100, None), &Letters::default()).pipeline::<Words>().build();
    let (_stop, stopped) = watch::channel(false);
    let error = worker.run(stopped).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert!(error.to_string().contains("`p41`") && error.to_string().contains("`words`"), "{error}");
}
