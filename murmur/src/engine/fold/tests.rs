//! What Form B takes, refuses and writes.

use super::*;
use crate::aggregate::{Count, Last, Max, Monoid, Sum, envelope};
use crate::engine::record::Standing;
use crate::event::Event;
use crate::pipeline::{Emissions, Pipeline, Spec};
use crate::source::{PartitionId, Start};
use crate::time::{Span, Window};

/// Whose, when (in hours) and how much.
struct Booking(&'static str, i64, u64);

impl Event for Booking {
    const NAME: &'static str = "Booking";
    const FIELDS: &'static [&'static str] = &["key", "amount"];

    fn time(&self) -> Option<Timestamp> {
        Some(Timestamp::from_seconds(self.1 * 3_600))
    }
}

crate::key! {
    /// An account.
    struct AccountKey: "test.v1.AccountKey" {
        /// Its name.
        name: String = 1,
    }
}

#[derive(Clone, Debug)]
struct Account {
    total: Sum<u64>,
    largest: Max<u64>,
}

crate::aggregate_struct! {
    impl Account;
    struct AccountReply: "test.v1.Account" {
        total: Sum<u64> = 1,
        largest: Max<u64> = 2,
    }
    retired [];
}

struct Accounts;

impl Pipeline for Accounts {
    type Event = Booking;
    type Key = AccountKey;
    type Aggregate = Account;
    const SPEC: Spec = Spec {
        name: "accounts",
        package: "test.v1",
        service: "AccountsService",
        about: "",
        window: Window::Tumbling { size: Span::from_seconds(3_600), keep: Span::from_seconds(864_000) },
        fingerprint: 0,
    };

    fn apply(Booking(key, _, amount): &Booking, out: &mut Emissions<Account>) {
        out.begin("").field(&(*key).to_owned());
        out.emit(Account { total: Sum::of(*amount), largest: Max::of(*amount) });
    }
}

const FLUSH_BYTES: usize = 1 << 20;

/// One partition.
fn owned() -> Vec<Owned> {
    vec![Owned::new(PartitionId::new("p"), Start::Beginning, vec![Standing::default()])]
}

/// Fold one event onto what `item` is, if that is asked for; why it is not taken.
fn take<P: Pipeline<Event = Booking>>(
    table: &mut FoldTable<P>,
    item: Option<&Item>,
    offset: u64,
    booking: &Booking,
) -> Option<String> {
    let at = At { partition: 0, offset: Offset::from_u64(offset), catching_up: false, front: None, needs_marks: false };
    assert_eq!(table.stage(booking, at, Timestamp::EPOCH, None), Ok(Fate::Staged(Staged::default())));
    let wanted = table.wanted(&owned());
    let mut settled = table.settle(wanted.iter().map(|_| item.cloned()).collect(), &owned()).unwrap();
    settled.shut_out.pop().map(|(of, why)| {
        assert_eq!(of, at.offset);
        why
    })
}

fn put(table: &mut FoldTable<Accounts>) -> (Item, Offset) {
    match table.writes(&owned()).pop() {
        Some(Write::Put { id, values, first, last, .. }) => {
            (Item { offsets: vec![(id.part.unwrap(), last)], values, ..Item::default() }, first)
        }
        other => panic!("{other:?}"),
    }
}

fn totals(item: &Item) -> Vec<u64> {
    let read = |bytes| {
        envelope::unseal(bytes)
            .and_then(Account::decode)
            .unwrap()
            .reply(&crate::aggregate::Question::default())
            .unwrap()
            .total
    };
    item.values.iter().map(|(_, bytes)| read(bytes)).collect()
}

const MOST: u64 = u64::MAX;

#[test]
fn an_event_that_a_sum_does_not_take_is_refused_and_a_smaller_one_is_taken() {
    let mut table = FoldTable::<Accounts>::new(1, FLUSH_BYTES);
    assert_eq!(take(&mut table, None, 1, &Booking("a", 0, MOST - 5)), None);
    let why = take(&mut table, None, 2, &Booking("a", 0, 6)).unwrap();
    assert!(why.contains("in `total`, the sum would leave the range of `uint64`"), "{why}");
    assert_eq!(take(&mut table, None, 3, &Booking("a", 0, 5)), None);
    assert!(take(&mut table, None, 4, &Booking("a", 0, 1)).is_some());
    // Another slot has a sum of its own.
    assert_eq!(take(&mut table, None, 5, &Booking("a", 1, MOST)), None);
    assert_eq!(totals(&put(&mut table).0), [MOST, MOST]);
}

#[test]
fn an_item_tells_whoever_reads_it_which_events_are_not_in_it() {
    let bookings = [MOST - 1, 2, 1, 7, 0].map(|amount| Booking("a", 0, amount));
    let mut table = FoldTable::<Accounts>::new(1, FLUSH_BYTES);
    let fold = |table: &mut FoldTable<Accounts>, item: Option<&Item>| -> Vec<bool> {
        (1..).zip(&bookings).map(|(at, booking)| take(table, item, at, booking).is_some()).collect()
    };
    let right = [false, true, false, true, false];
    assert_eq!(fold(&mut table, None), right);
    let (item, _) = put(&mut table);
    let mut later = FoldTable::<Accounts>::new(1, FLUSH_BYTES);
    assert_eq!(fold(&mut later, Some(&item)), right, "all of it is in the item, or refused");
    assert_eq!(later.dirty(), 0);
    // And it goes on saying so.
    assert_eq!(take(&mut later, Some(&item), 6, &Booking("a", 0, 0)), None);
    let (item, _) = put(&mut later);
    assert_eq!(fold(&mut FoldTable::new(1, FLUSH_BYTES), Some(&item)), right);
}

#[test]
fn a_fold_that_is_too_large_is_closed_to_the_events_that_it_refused_since_the_last_write() {
    let mut table = FoldTable::<Accounts>::new(1, FLUSH_BYTES);
    take(&mut table, None, 1, &Booking("a", 0, MOST));
    assert_eq!(put(&mut table).1, Offset::from_u64(1));
    assert!(take(&mut table, None, 2, &Booking("a", 0, 1)).is_some());
    take(&mut table, None, 3, &Booking("a", 0, 0));
    let (full, first) = put(&mut table);
    assert_eq!(first, Offset::from_u64(2), "no item tells of the second event");
    // Whoever reads the closed item meets the second event as one behind the mark, and the first as one that is in it.
    let closed = Item { offsets: vec![(PartitionId::new("p"), first.closed())], ..full };
    let mut later = FoldTable::<Accounts>::new(1, FLUSH_BYTES);
    assert_eq!(take(&mut later, Some(&closed), 1, &Booking("a", 0, MOST)), None);
    assert!(take(&mut later, Some(&closed), 2, &Booking("a", 0, 1)).unwrap().contains("is closed"));
    assert_eq!(later.dirty(), 0);
}

/// The largest booking of each account: it only grows.
struct Largest;

impl Pipeline for Largest {
    type Event = Booking;
    type Key = AccountKey;
    type Aggregate = Max<u64>;
    const SPEC: Spec = Spec { name: "largest", service: "LargestService", ..Accounts::SPEC };

    fn apply(Booking(key, _, amount): &Booking, out: &mut Emissions<Max<u64>>) {
        out.begin("").field(&(*key).to_owned());
        out.emit(Max::of(*amount));
    }
}

#[test]
fn what_changes_nothing_is_not_written_where_values_only_grow() {
    let mut table = FoldTable::<Largest>::new(1, FLUSH_BYTES);
    for (at, amount, writes) in [(1, 5, 1), (2, 5, 0), (3, 4, 0), (4, 6, 1), (5, 6, 0)] {
        take(&mut table, None, at, &Booking("a", 0, amount));
        assert_eq!(table.writes(&owned()).len(), writes, "{at}");
    }
    // A sum has been another one meanwhile, which an earlier owner may be about to write.
    let mut table = FoldTable::<Accounts>::new(1, FLUSH_BYTES);
    for at in 1..4 {
        take(&mut table, None, at, &Booking("a", 0, 0));
        assert_eq!(put(&mut table).1, Offset::from_u64(at));
    }
}

#[test]
fn what_has_something_to_write_is_found_again_when_the_rest_is_dropped() {
    let tiling = Accounts::tiling();
    let tile = tiling.locate(Timestamp::EPOCH).0;
    let mut entries = entry::Entries::<Account>::new();
    let keys: Vec<String> = (0..1_000).map(|n| format!("key {n}")).collect();
    for (n, key) in keys.iter().enumerate() {
        let hash = entries.hash(key, tile, Some(0));
        let at = entries.of(hash, None, key, tile, Some(0));
        entries.list[at as usize].dirty = n % 3 == 0;
    }
    let before = entries.bytes();
    entries.keep(|entry| entry.dirty);
    assert!(entries.list.len() == 334 && entries.bytes() < before / 2);
    for (n, key) in keys.iter().enumerate() {
        let hash = entries.hash(key, tile, Some(0));
        let at = entries.of(hash, None, key, tile, Some(0));
        assert_eq!((&*entries.list[at as usize].text(), entries.list[at as usize].dirty), (key.as_str(), n % 3 == 0));
    }
    assert_eq!(entries.list.len(), 1_000);
}

#[test]
fn what_is_held_back_keeps_its_fold_and_is_not_written_until_it_is_let_go() {
    // There is no room for what is clean.
    let mut table = FoldTable::<Accounts>::new(1, 0);
    for key in ["a", "b"] {
        take(&mut table, None, 1, &Booking(key, 0, 5));
    }
    let writes = table.writes(&owned());
    let of_a = writes.iter().filter(|write| &*write.id().key == "=a").cloned().collect::<Vec<_>>();
    assert_eq!((writes.len(), of_a.len()), (2, 1));
    table.hold_back(&of_a, &owned());
    assert_eq!(table.writes(&owned()).len(), 0);
    // What the store says of it is not asked for: it would be what stood there before.
    take(&mut table, None, 2, &Booking("a", 0, 2));
    take(&mut table, None, 3, &Booking("c", 0, 2));
    assert_eq!((table.dirty(), table.writes(&owned()).len()), (1, 1));
    table.let_go();
    assert_eq!(table.dirty(), 1);
    let (item, first) = put(&mut table);
    assert_eq!((totals(&item), first), (vec![7], Offset::from_u64(2)));
}

/// The newest text of each account, which is long.
struct Texts;

const LONG: usize = 1_000;

impl Pipeline for Texts {
    type Event = Booking;
    type Key = AccountKey;
    type Aggregate = Last<String>;
    const SPEC: Spec = Spec { name: "texts", service: "TextsService", ..Accounts::SPEC };

    fn apply(Booking(key, _, amount): &Booking, out: &mut Emissions<Last<String>>) {
        out.begin("").field(&format!("{key}{amount}"));
        out.emit(Last::at(Timestamp::EPOCH, "x".repeat(LONG)));
    }
}

#[test]
fn what_a_large_fold_takes_is_known_before_it_is_written_and_when_it_was_loaded() {
    let mut table = FoldTable::<Texts>::new(1, 300 * LONG);
    let mut offset = 0;
    let mut fold = |table: &mut FoldTable<Texts>, key, item: Option<&Item>| {
        for account in 0..100 {
            offset += 1;
            let at = At {
                partition: 0,
                offset: Offset::from_u64(offset),
                catching_up: false,
                front: None,
                needs_marks: false,
            };
            assert_eq!(
                table.stage(&Booking(key, 0, account), at, Timestamp::EPOCH, None),
                Ok(Fate::Staged(Staged::default()))
            );
        }
        let wanted = table.wanted(&owned());
        table.settle(wanted.iter().map(|_| item.cloned()).collect(), &owned()).unwrap();
    };
    let about = |table: &FoldTable<Texts>, folds: usize| {
        let bytes = table.bytes();
        assert!((folds * LONG..folds * LONG * 3 / 2).contains(&bytes), "{folds} folds take {bytes} bytes");
    };
    fold(&mut table, "new", None);
    about(&table, 100);
    let writes = table.writes(&owned());
    about(&table, 100);
    let Write::Put { values, .. } = &writes[0] else { panic!("{writes:?}") };
    // Other folds, which the store holds up to an offset that lies beyond all that is folded here.
    let offsets = vec![(PartitionId::new("p"), Offset::from_u64(1_000_000))];
    let item = Item { offsets, values: values.clone(), ..Item::default() };
    fold(&mut table, "loaded", Some(&item));
    assert_eq!(table.dirty(), 0);
    about(&table, 200);
    fold(&mut table, "new", None);
    about(&table, 200);
    // What is clean goes once it takes more than half of the room.
    table.writes(&owned());
    about(&table, 100);
}

/// How many bookings each account has.
struct Counts;

impl Pipeline for Counts {
    type Event = Booking;
    type Key = AccountKey;
    type Aggregate = Count;
    const SPEC: Spec = Spec {
        name: "counts",
        service: "CountsService",
        window: Window::Sliding { span: Span::from_seconds(864_000), slot: Span::from_seconds(60) },
        ..Accounts::SPEC
    };

    fn apply(Booking(key, ..): &Booking, out: &mut Emissions<Count>) {
        out.begin("").field(&(*key).to_owned());
        out.emit(Count::one());
    }
}

#[test]
fn what_many_partitions_and_slots_of_one_tile_take_is_known() {
    let mut table = FoldTable::<Counts>::new(1, FLUSH_BYTES);
    let fold = |table: &mut FoldTable<Counts>, partitions: std::ops::Range<u16>| {
        for partition in partitions {
            let offset = Offset::from_u64(7);
            let at = At { partition, offset, catching_up: false, front: None, needs_marks: false };
            table.stage(&Booking("a", 0, 0), at, Timestamp::EPOCH, None).unwrap();
        }
        assert_eq!(table.wanted(&owned()), []);
        table.settle(Vec::new(), &owned()).unwrap();
    };
    fold(&mut table, 0..1);
    let one = table.bytes();
    fold(&mut table, 1..1_000);
    let each = (table.bytes() - one) / 1_000;
    assert!(table.dirty() == 1 && each >= 2 * size_of::<Offset>(), "{each} bytes for each partition of the tile");
    table.clear();
    fold(&mut table, 0..1);
    assert_eq!(table.bytes(), one);
}

#[test]
fn what_the_store_says_of_each_partition_of_a_tile_is_counted_as_long_as_it_is_kept() {
    let names = (0..100).map(|n| PartitionId::new(format!("p{n}")));
    let owned: Vec<Owned> = names.map(|id| Owned::new(id, Start::Beginning, vec![Standing::default()])).collect();
    let all = |table: &mut FoldTable<Counts>, catching_up| {
        for partition in 0..100 {
            let at = At { partition, offset: Offset::from_u64(7), catching_up, front: None, needs_marks: false };
            table.stage(&Booking("a", 0, 0), at, Timestamp::EPOCH, None).unwrap();
            let items = table.wanted(&owned).iter().map(|_| None).collect();
            table.settle(items, &owned).unwrap();
        }
        table.bytes()
    };
    let mut table = FoldTable::<Counts>::new(1, FLUSH_BYTES);
    let none = table.bytes();
    let without = all(&mut table, false);
    table.clear();
    let with = all(&mut table, true);
    assert_eq!(with - without, 100 * size_of::<Option<Offset>>());
    assert_eq!(table.writes(&owned).len(), 1);
    assert_eq!(table.bytes(), none);
}

#[test]
fn what_is_folded_of_a_partition_between_two_flushes_has_no_gap_when_its_tile_is_asked_for_again() {
    let names = ["ahead", "behind"].map(PartitionId::new);
    let owned = names.clone().map(|id| Owned::new(id, Start::Beginning, vec![Standing::default()]));
    let mut table = FoldTable::<Counts>::new(1, FLUSH_BYTES);
    // Somebody else has written more of the first partition, which is found out by the flush.
    let found = names.iter().zip([15, 3]).map(|(id, at)| (id.clone(), Offset::from_u64(at)));
    let item = Item { offsets: found.collect(), ..Item::default() };
    let mut fold = |partition, offset| {
        let at = At {
            partition,
            offset: Offset::from_u64(offset),
            catching_up: partition == 1,
            front: None,
            needs_marks: false,
        };
        table.stage(&Booking("a", 0, 0), at, Timestamp::EPOCH, None).unwrap();
        let wanted = table.wanted(&owned);
        let settled = table.settle(wanted.iter().map(|_| Some(item.clone())).collect(), &owned).unwrap();
        (wanted.len(), settled.already_applied)
    };
    assert_eq!([fold(0, 10), fold(0, 11)], [(0, 0), (0, 0)]);
    assert_eq!([fold(1, 3), fold(1, 4)], [(1, 1), (0, 0)]);
    assert_eq!([fold(0, 12), fold(0, 16)], [(0, 0), (0, 0)]);
    let writes = table.writes(&owned);
    let [Write::Add { numbers, applied, .. }] = &writes[..] else { panic!("{writes:?}") };
    assert_eq!(numbers[0].1, crate::aggregate::Number::Int(5));
    let spans: Vec<_> = applied.iter().map(|of| (&of.partition, of.first, of.last)).collect();
    let at = Offset::from_u64;
    assert_eq!(spans, [(&names[0], at(10), at(16)), (&names[1], at(4), at(4))]);
}
