//! Reads that run at the same time share one call, and nothing else.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use futures_util::future::BoxFuture;
use tokio::sync::Semaphore;

use super::*;
use crate::ErrorKind;
use crate::query::tests::hooked::{Hook, Hooked};
use crate::store::Consistency;

/// Counts the reads of a store and lets them through when told.
struct Gate {
    reads: AtomicUsize,
    arrived: Semaphore,
    open: Semaphore,
    broken: AtomicBool,
}

impl Gate {
    fn new() -> Self {
        let (arrived, open) = (Semaphore::new(0), Semaphore::new(0));
        Self { reads: AtomicUsize::new(0), arrived, open, broken: AtomicBool::new(false) }
    }

    async fn pass(&self) -> crate::Result<()> {
        self.reads.fetch_add(1, Ordering::SeqCst);
        self.arrived.add_permits(1);
        self.open.acquire().await.unwrap().forget();
        if self.broken.load(Ordering::SeqCst) {
            return Err(crate::Error::new(ErrorKind::Unavailable, "the store is away"));
        }
        Ok(())
    }

    async fn wait_for_read(&self) {
        self.arrived.acquire().await.unwrap().forget();
    }

    fn reads(&self) -> usize {
        self.reads.load(Ordering::SeqCst)
    }
}

impl Hook for Gate {
    fn before_read<'a>(&'a self, _: &'a [TileId]) -> BoxFuture<'a, crate::Result<()>> {
        Box::pin(self.pass())
    }
}

type Counted = Test<AllTime, Count>;
type Texts = Test<AllTime, Text<8>>;

async fn gate<P>() -> (Arc<Gate>, Reader<P>)
where
    P: Pipeline<Event = Happening>,
    P::Aggregate: OfEvent,
{
    let event = |id: &str, what| Happening { id: id.into(), at: Timestamp::EPOCH, partition: 0, what };
    let inner = MemoryStore::new();
    let events = [event("a", 'A'), event("b", 'B'), event("a|b", 'C'), event("a\0b", 'D'), event("a,b", 'E')];
    fill::<P>(&inner, &events).await;
    let gate = Arc::new(Gate::new());
    (gate.clone(), Reader::new(Arc::new(Hooked { inner: Arc::new(inner), hook: gate }), 1))
}

fn spawn<P: Pipeline<Key = Id>>(
    reader: &Reader<P>,
    keys: &[&str],
    consistency: Consistency,
) -> tokio::task::JoinHandle<crate::Result<Vec<<P::Aggregate as Monoid>::Reply>>> {
    let (reader, keys) = (reader.clone(), keys.iter().map(|id| Id::new(*id)).collect::<Vec<_>>());
    tokio::spawn(async move {
        let answers = reader.get_many(&keys, consistency).await?;
        Ok(answers.into_iter().map(|answer| answer.value).collect())
    })
}

/// Let every other task run until it waits.
async fn settle() {
    for _ in 0..32 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn the_same_tile_asked_for_at_the_same_time_is_read_once() {
    let (store, reader) = gate::<Counted>().await;
    let callers: Vec<_> = (0..10).map(|_| spawn(&reader, &["a"], Consistency::Eventual)).collect();
    store.wait_for_read().await;
    settle().await;
    store.open.add_permits(1);
    for caller in callers {
        assert_eq!(caller.await.unwrap().unwrap(), [u64::from('A')]);
    }
    assert_eq!(store.reads(), 1);
    // Later callers read again.
    store.open.add_permits(1);
    spawn(&reader, &["a"], Consistency::Eventual).await.unwrap().unwrap();
    assert_eq!(store.reads(), 2);
}

#[tokio::test]
async fn each_caller_gets_its_own_order_of_keys() {
    let (store, reader) = gate::<Counted>().await;
    let (a, b) = (u64::from('A'), u64::from('B'));
    let first = spawn(&reader, &["a", "b"], Consistency::Eventual);
    store.wait_for_read().await;
    let second = spawn(&reader, &["b", "a", "b"], Consistency::Eventual);
    let third = spawn(&reader, &["b", "nobody"], Consistency::Eventual);
    settle().await;
    // The third caller's `nobody` is new: it costs one more call, for that tile alone.
    store.open.add_permits(2);
    assert_eq!(first.await.unwrap().unwrap(), [a, b]);
    assert_eq!(second.await.unwrap().unwrap(), [b, a, b]);
    assert_eq!(third.await.unwrap().unwrap(), [b, 0]);
    assert_eq!(store.reads(), 2);
}

/// Lists of keys that are one text when they are joined, by whatever stands between them, and their answers.
const JOINED: [(&[&str], &[char]); 5] = [
    (&["a|b"], &['C']),
    (&["a", "b"], &['A', 'B']),
    (&["a\0b"], &['D']),
    (&["a,b"], &['E']),
    (&["b", "a"], &['B', 'A']),
];

#[tokio::test]
async fn keys_that_look_alike_when_they_are_joined_never_share_an_answer() {
    let (store, reader) = gate::<Counted>().await;
    let (texts_store, texts) = gate::<Texts>().await;
    let counts = JOINED.map(|(keys, _)| spawn(&reader, keys, Consistency::Eventual));
    let readings = JOINED.map(|(keys, _)| spawn(&texts, keys, Consistency::Eventual));
    store.wait_for_read().await;
    texts_store.wait_for_read().await;
    settle().await;
    // Five tiles; tiles with parts are a call each, and single ones go with those that are asked for with them.
    for gate in [&store, &texts_store] {
        gate.open.add_permits(5);
    }
    for ((_, right), (count, reading)) in JOINED.into_iter().zip(counts.into_iter().zip(readings)) {
        assert_eq!(count.await.unwrap().unwrap(), right.iter().map(|what| u64::from(*what)).collect::<Vec<_>>());
        assert_eq!(reading.await.unwrap().unwrap(), right.iter().map(char::to_string).collect::<Vec<_>>());
    }
    assert_eq!((store.reads(), texts_store.reads()), (4, 5));
}

#[tokio::test]
async fn ranges_are_shared_by_key_and_not_by_list() {
    let (store, reader) = gate::<Texts>().await;
    let first = spawn(&reader, &["a", "b"], Consistency::Eventual);
    let second = spawn(&reader, &["b", "a"], Consistency::Eventual);
    store.wait_for_read().await;
    settle().await;
    store.open.add_permits(2);
    assert_eq!(first.await.unwrap().unwrap(), ["A", "B"]);
    assert_eq!(second.await.unwrap().unwrap(), ["B", "A"]);
    assert_eq!(store.reads(), 2);
}

#[tokio::test]
async fn a_caller_that_goes_away_takes_nothing_from_the_others() {
    let (store, reader) = gate::<Counted>().await;
    let leader = spawn(&reader, &["a"], Consistency::Eventual);
    store.wait_for_read().await;
    let follower = spawn(&reader, &["a"], Consistency::Eventual);
    settle().await;
    leader.abort();
    assert!(leader.await.unwrap_err().is_cancelled());
    store.open.add_permits(1);
    assert_eq!(follower.await.unwrap().unwrap(), [u64::from('A')]);
    assert_eq!(store.reads(), 1);
}

#[tokio::test]
async fn when_all_callers_have_gone_the_call_is_dropped_and_the_next_one_reads_anew() {
    let (store, reader) = gate::<Counted>().await;
    let only = spawn(&reader, &["a"], Consistency::Eventual);
    store.wait_for_read().await;
    only.abort();
    assert!(only.await.unwrap_err().is_cancelled());
    store.open.add_permits(1);
    assert_eq!(spawn(&reader, &["a"], Consistency::Eventual).await.unwrap().unwrap(), [u64::from('A')]);
    assert_eq!(store.reads(), 2);
}

#[tokio::test]
async fn a_failed_read_fails_those_who_share_it_and_no_later_one() {
    let (store, reader) = gate::<Counted>().await;
    store.broken.store(true, Ordering::SeqCst);
    let callers = [spawn(&reader, &["a"], Consistency::Eventual), spawn(&reader, &["a"], Consistency::Eventual)];
    store.wait_for_read().await;
    settle().await;
    store.open.add_permits(1);
    for caller in callers {
        assert_eq!(caller.await.unwrap().unwrap_err().kind(), ErrorKind::Unavailable);
    }
    store.broken.store(false, Ordering::SeqCst);
    store.open.add_permits(1);
    assert!(spawn(&reader, &["a"], Consistency::Eventual).await.unwrap().is_ok());
}

#[tokio::test]
async fn a_strong_read_never_joins_one_that_began_before_it() {
    let (store, reader) = gate::<Counted>().await;
    let eventual = spawn(&reader, &["a"], Consistency::Eventual);
    store.wait_for_read().await;
    let strong = [spawn(&reader, &["a"], Consistency::Strong), spawn(&reader, &["a"], Consistency::Strong)];
    store.wait_for_read().await;
    store.wait_for_read().await;
    store.open.add_permits(3);
    for caller in strong.into_iter().chain([eventual]) {
        assert_eq!(caller.await.unwrap().unwrap(), [u64::from('A')]);
    }
    assert_eq!(store.reads(), 3);
}

/// Holds back what reads have found, until told.
struct Late {
    found: Semaphore,
    open: Semaphore,
}

impl Hook for Late {
    fn after_read(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {
            self.found.add_permits(1);
            self.open.acquire().await.unwrap().forget();
        })
    }
}

#[tokio::test(start_paused = true)]
async fn a_read_never_joins_one_that_passed_by_what_its_answer_says_is_contained() {
    let store = Arc::new(MemoryStore::new());
    let late = Arc::new(Late { found: Semaphore::new(0), open: Semaphore::new(0) });
    let reader = Reader::<Counted>::new(Arc::new(Hooked { inner: store.clone(), hook: late.clone() }), 1);
    let ask = || {
        let reader = reader.clone();
        tokio::spawn(async move { reader.get(&Id::new("a"), Consistency::Eventual).await.unwrap() })
    };
    let found = async || late.found.acquire().await.unwrap().forget();
    let before = ask();
    found().await;
    // It has passed by this event, whose offset is in the records that the others look at.
    let event = Happening { id: "a".into(), at: Timestamp::EPOCH, partition: 0, what: 'x' };
    Filler::<Counted>::new(&*store, 1).take(&[event]).await;
    tokio::time::advance(std::time::Duration::from_secs(2)).await;
    let behind = ask();
    found().await;
    let joins = ask();
    settle().await;
    late.open.add_permits(2);
    let before = before.await.unwrap();
    assert_eq!((before.value, before.as_of.partitions.len()), (0, 0));
    for answer in [behind, joins] {
        let answer = answer.await.unwrap();
        let offsets: Vec<_> = answer.as_of.partitions.iter().map(|known| known.offset).collect();
        assert_eq!((answer.value, &offsets[..]), (u64::from('x'), &[Some(Offset::from_u64(1))][..]));
    }
    assert_eq!(late.found.available_permits(), 0, "those who know the same share a call");
}
