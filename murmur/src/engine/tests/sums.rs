//! A sum that would leave its type refuses the event, whoever folds it and however often.

use super::*;
use crate::aggregate::{Max, Monoid, envelope};
use crate::engine::flush::Patience;
use crate::engine::ownership::Ownership;
use crate::source::LetterClass;
use crate::store::Write;

#[derive(Clone, Debug, PartialEq)]
struct Account {
    cents: Sum<i64>,
    largest: Max<i64>,
}

crate::aggregate_struct! {
    impl Account;
    struct AccountReply: "test.v1.Account" {
        cents: Sum<i64> = 1,
        largest: Max<i64> = 2,
    }
    retired [];
}

/// What is booked in all, and the events that say an even number twice, under another key.
struct Accounts;

impl Pipeline for Accounts {
    type Event = Word;
    type Key = WordKey;
    type Aggregate = Account;
    const SPEC: Spec = spec("accounts", Window::AllTime);

    fn apply(event: &Word, out: &mut Emissions<Account>) {
        let cents: i64 = event.text.parse().unwrap();
        for key in ["all", "even"] {
            if key == "all" || cents % 2 == 0 {
                out.begin("").field(&key.to_owned());
                out.emit(Account { cents: Sum::of(cents), largest: Max::of(cents) });
            }
        }
    }
}

/// `i64::MAX` in all, after the second and the fifth were left out.
const BOOKINGS: [&str; 6] = ["9223372036854775807", "4", "-5", "3", "3", "2"];

async fn kept(store: &MemoryStore) -> Vec<(String, AccountReply)> {
    let items = store.scan(&Table::new("accounts", 1), None, 10).await.unwrap();
    let read = |(id, item): (TileId, crate::store::Item)| {
        let [(_, bytes)] = &item.values[..] else { panic!("{item:?}") };
        let account = envelope::unseal(bytes).and_then(Account::decode).unwrap();
        (id.key.to_string(), account.reply(&crate::aggregate::Question::default()).unwrap())
    };
    items.into_iter().map(read).collect()
}

/// The store as a worker leaves it that is killed after its flush and before its commit.
async fn without_records(store: &MemoryStore) -> Arc<MemoryStore> {
    let (killed, table) = (MemoryStore::new(), Table::new("accounts", 1));
    Ownership::of::<Accounts>(1).claim(&killed, &table, &Patience::new(1)).await.unwrap();
    for (id, item) in store.scan(&table, None, 10).await.unwrap() {
        let last = item.offsets[0].1;
        let put = Write::Put { id, values: item.values, first: last, last, expires: item.expires };
        killed.write(&table, [put].into()).await.remove(0).unwrap();
    }
    Arc::new(killed)
}

#[tokio::test]
async fn an_event_that_a_sum_does_not_take_is_a_dead_letter_whenever_the_worker_is_killed() {
    for (killed, again) in (0..=BOOKINGS.len()).flat_map(|killed| [(killed, 1), (killed, 3)]) {
        let (mut store, letters) = (Arc::new(MemoryStore::new()), Letters::default());
        for _ in 0..again {
            to_the_end(worker(&store, &BOOKINGS[..killed], &letters).pipeline::<Accounts>()).await;
            store = without_records(&store).await;
        }
        let summary = to_the_end(worker(&store, &BOOKINGS, &letters).pipeline::<Accounts>()).await;
        assert_eq!((summary.progress.read, summary.progress.dead, summary.progress.rewinds), (6, 2, 0));
        let reply = |cents, largest| AccountReply { cents, largest: Some(largest) };
        let right = [("=all".to_owned(), reply(i64::MAX, i64::MAX)), ("=even".to_owned(), reply(6, 4))];
        assert_eq!(kept(&store).await, right, "killed after {killed}");
        let letters = letters.0.lock().unwrap();
        let dead: Vec<(u64, &[u8])> =
            letters.iter().map(|letter| (letter.offset.words()[3], letter.payload.as_slice())).collect();
        assert_eq!(dead, [(2, b"4".as_slice()), (5, b"3")], "killed after {killed}");
        for letter in letters.iter() {
            let why = "`accounts`: `=all`, tile key~551e6a1345f0cbfd a#1970-01-01T00:00:00Z#list does not take the event: \
                       in `cents`, the sum would leave the range of `int64`; what the event adds to other tiles is counted";
            assert_eq!(letter.reason, why);
            assert_eq!((letter.pipelines.as_slice(), letter.class), (["accounts"].as_slice(), LetterClass::Full));
        }
    }
}

/// Sums of floats, which the store adds up.
pub(super) struct Floats;

impl Pipeline for Floats {
    type Event = Word;
    type Key = WordKey;
    type Aggregate = Sum<f64>;
    const SPEC: Spec = spec("floats", Window::AllTime);

    fn apply(event: &Word, out: &mut Emissions<Sum<f64>>) {
        let (key, number) = event.text.split_once(' ').unwrap();
        out.begin("").field(&key.to_owned());
        out.emit(Sum::of(number.parse::<f64>().unwrap()));
    }
}

#[tokio::test]
async fn a_float_that_leaves_its_range_in_the_store_closes_its_tile_and_the_worker_goes_on() {
    let payloads = ["a 1e308", "b 1", "a 1e308", "a 1", "b 2"];
    // In one flush nothing of it can be written; after each event there is one that was.
    for (interval, kept, dead) in [(3_600, None, vec![1, 3, 4]), (0, Some(1e308), vec![3, 4])] {
        let (store, letters) = (Arc::new(MemoryStore::new()), Letters::default());
        for round in 0..2 {
            let options = Options { flush_interval: Span::from_seconds(interval), ..Options::default() };
            let summary = to_the_end(worker(&store, &payloads, &letters).options(options).pipeline::<Floats>()).await;
            assert_eq!(summary.progress.read == 0, round == 1, "the second one finds nothing to do");
        }
        let items = store.scan(&Table::new("floats", 1), None, 10).await.unwrap();
        let of = |key: &str| {
            let item = items.iter().find(|(id, _)| *id.key == *key).map(|(_, item)| item)?;
            let (_, number) = item.numbers.first()?;
            Some(*number)
        };
        let float = |sum| crate::store::Number::Float { sum, rest: 0.0 };
        assert_eq!((of("=a"), of("=b")), (kept.map(float), Some(float(3.0))));
        let letters = letters.0.lock().unwrap();
        assert_eq!(letters.iter().map(|letter| letter.offset.words()[3]).collect::<Vec<_>>(), dead);
        assert!(letters.iter().all(|letter| letter.reason.contains("a number in it would have left its range")));
    }
}
