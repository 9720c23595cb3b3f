use bytes::Bytes;
use futures_util::future::{join, join_all};

use super::expiry::{at, expire, expiring};
use super::subject::{Subject, add, applied, counter, hour, must, part, place};
use crate::ErrorKind;
use crate::aggregate::{Column, Number};
use crate::store::{Item, Outcome, TileId, Write};
use crate::time::{Slot, Timestamp};

type Numbers = Vec<((Slot, Column), Number)>;
type Values = Vec<(Slot, Bytes)>;

fn roll(id: &TileId, slots: &[u16], numbers: Numbers, values: Values) -> Write {
    Write::Roll { id: id.clone(), slots: marks(slots), numbers, values, expires: None }
}

/// A roll of one number into each of these slots.
fn count(id: &TileId, counts: &[(u16, i128)]) -> Write {
    let slots: Vec<u16> = counts.iter().map(|(slot, _)| *slot).collect();
    let numbers = counts.iter().map(|(slot, n)| (place(*slot, 1, 0), Number::Int(*n))).collect();
    roll(id, &slots, numbers, Vec::new())
}

fn marks(slots: &[u16]) -> Vec<Slot> {
    slots.iter().copied().map(Slot).collect()
}

/// The item that rolls of one number into each of these slots leave.
fn counted(counts: &[(u16, i128)]) -> Item {
    let numbers = counts.iter().map(|(slot, n)| (place(*slot, 1, 0), Number::Int(*n))).collect();
    Item { numbers, rolled: counts.iter().map(|(slot, _)| Slot(*slot)).collect(), ..Item::default() }
}

fn float(sum: f64, rest: f64) -> Number {
    Number::Float { sum, rest }
}

pub(super) async fn a_rolled_slot_comes_back_exactly(subject: Subject) {
    let id = hour("a", -7);
    let numbers = vec![
        (place(0, 0, 0), Number::Int(0)),
        (place(0, u32::MAX, 255), Number::Int(-1)),
        (place(3, 1, 0), float(0.1, -1.5e-18)),
        (place(3, 1, 1), float(-0.0, 0.0)),
        (place(3, 2, 0), float(-f64::MIN_POSITIVE, 5e-324)),
        (place(30, 1, 0), Number::Int(i128::from(u64::MAX) + 1)),
        (place(u16::MAX, 1, 2), float(f64::MAX, 0.0)),
    ];
    let values = vec![(Slot(3), Bytes::from_static(b"\0fold")), (Slot(7), Bytes::new())];
    let slots = [0, 3, 7, 8, 30, u16::MAX];
    // Whatever order they are given in, they are kept sorted.
    let mut given = roll(&id, &slots, numbers.clone(), values.clone());
    if let Write::Roll { slots, numbers, values, .. } = &mut given {
        slots.reverse();
        numbers.reverse();
        values.reverse();
    }
    subject.applied(given).await;
    let stands = Item { numbers, values, rolled: marks(&slots), ..Item::default() };
    let found = subject.get(&id).await;
    assert_eq!(found.as_ref(), Some(&stands));
    // Equal numbers are not yet the same bits: there are two zeros.
    let zero = found.and_then(|item| item.number(Slot(3), Column { field: 1, part: 1 }));
    assert!(matches!(zero, Some(Number::Float { sum, .. }) if sum.is_sign_negative()), "{zero:?}");
    assert_eq!(subject.scan(10).await, [(id.clone(), stands.clone())]);
    assert!(stands.is_rolled(Slot(8)) && !stands.is_rolled(Slot(9)));

    let nothing = hour("b", 0);
    subject.applied(roll(&nothing, &[5], Vec::new(), Vec::new())).await;
    let empty = Item { rolled: marks(&[5]), ..Item::default() };
    assert_eq!(subject.get(&nothing).await, Some(empty), "a child without anything is known to have nothing");
}

pub(super) async fn the_same_roll_again_changes_nothing(subject: Subject) {
    let id = hour("a", 0);
    let numbers = vec![(place(1, 1, 0), Number::Int(5)), (place(2, 1, 0), float(0.5, 1e-20))];
    let write = roll(&id, &[1, 2, 3], numbers, vec![(Slot(2), Bytes::from_static(b"fold"))]);
    subject.applied(write.clone()).await;
    let stands = subject.get(&id).await;
    for _ in 0..3 {
        subject.applied(write.clone()).await;
        assert_eq!(subject.get(&id).await, stands);
    }
}

pub(super) async fn rolls_of_different_slots_all_stand(subject: Subject) {
    let id = hour("a", 0);
    subject.applied(count(&id, &[(4, 40), (9, 90)])).await;
    subject.applied(count(&id, &[(2, 20)])).await;
    // One slot again, a new one, and one without anything.
    subject.applied(roll(&id, &[9, 30, 1], count_numbers(&[(9, 90), (30, 300)]), Vec::new())).await;
    let mut stands = counted(&[(2, 20), (4, 40), (9, 90), (30, 300)]);
    stands.rolled.insert(0, Slot(1));
    assert_eq!(subject.get(&id).await, Some(stands));
}

fn count_numbers(counts: &[(u16, i128)]) -> Numbers {
    counted(counts).numbers
}

pub(super) async fn a_roll_leaves_other_slots_and_offsets(subject: Subject) {
    let id = hour("a", 0);
    subject.applied(add(&id, 7, &[applied("p", 3, 9), applied("q", 1, 1)])).await;
    subject.applied(count(&id, &[(1, 10)])).await;
    let mut stands = counter(7, &[("p", 9), ("q", 1)]);
    stands.numbers.push((place(1, 1, 0), Number::Int(10)));
    stands.rolled = marks(&[1]);
    assert_eq!(subject.get(&id).await.as_ref(), Some(&stands));
    // It sets, whatever was added there before, also a number of another kind.
    subject.applied(count(&id, &[(0, 3)])).await;
    subject.applied(roll(&id, &[1], vec![(place(1, 1, 0), float(1.5, 0.0))], Vec::new())).await;
    stands.numbers = vec![(place(0, 1, 0), Number::Int(3)), (place(1, 1, 0), float(1.5, 0.0))];
    stands.rolled = marks(&[0, 1]);
    assert_eq!(subject.get(&id).await.as_ref(), Some(&stands));
    // And additions go on.
    assert_eq!(must(subject.write(add(&id, 1, &[applied("p", 9, 9)])).await), Outcome::Refused(stands.clone()));
    subject.applied(add(&id, 4, &[applied("p", 10, 10)])).await;
    let item = subject.get(&id).await.unwrap_or_default();
    assert_eq!(item.number(Slot(0), Column { field: 1, part: 0 }), Some(Number::Int(7)));
    assert_eq!(item.rolled, stands.rolled);
    let other = hour("a", 1);
    assert_eq!(subject.get(&other).await, None, "other tiles are not touched");
}

/// Marks of slots, before and after these are rolled, beside numbers that are set.
pub(super) async fn a_slot_that_is_unrolled_stays_so_whatever_is_rolled(subject: Subject) {
    let id = hour("a", 0);
    // Before anything is rolled, and after; again, and another one.
    subject.applied(Write::unroll(id.clone(), Slot(4), None)).await;
    subject.applied(count(&id, &[(4, 40), (9, 90)])).await;
    subject.applied(Write::unroll(id.clone(), Slot(9), None)).await;
    assert!(matches!(must(subject.write(Write::unroll(id.clone(), Slot(4), None)).await), Outcome::Refused(_)));
    subject.applied(count(&id, &[(2, 20), (4, 41), (9, 91)])).await;
    let item = subject.get(&id).await.unwrap_or_default();
    let are = |item: &Item, is: fn(&Item, Slot) -> bool| [2, 4, 9, 30].map(|slot| is(item, Slot(slot)));
    assert_eq!(are(&item, Item::is_rolled), [true, false, false, false]);
    assert_eq!(are(&item, Item::is_unrolled), [false, true, true, false]);
    assert_eq!(item.numbers, count_numbers(&[(2, 20), (4, 41), (9, 91)]));
}

/// Numbers at the end of their range, and additions after them.
pub(super) async fn large_rolled_numbers_do_not_overflow_unnoticed(subject: Subject) {
    let id = hour("a", 0);
    subject.applied(add(&id, 1, &[applied("p", 1, 1)])).await;
    subject.applied(count(&id, &[(0, Number::MAX_INT), (1, -Number::MAX_INT)])).await;
    let outcome = subject.write(add(&id, 1, &[applied("p", 2, 2)])).await;
    assert!(matches!(&outcome, Err(error) if error.kind() == ErrorKind::Overflow), "{outcome:?}");
    subject.applied(add(&id, -1, &[applied("p", 2, 2)])).await;
    let item = subject.get(&id).await.unwrap_or_default();
    assert_eq!(item.numbers, count_numbers(&[(0, Number::MAX_INT - 1), (1, -Number::MAX_INT)]));
    for (number, kind) in [
        (Number::Int(Number::MAX_INT + 1), ErrorKind::Overflow),
        (float(f64::INFINITY, 0.0), ErrorKind::Overflow),
        (float(0.0, f64::NAN), ErrorKind::InvalidArgument),
    ] {
        let outcome = subject.write(roll(&id, &[2], vec![(place(2, 1, 0), number)], Vec::new())).await;
        assert!(matches!(&outcome, Err(error) if error.kind() == kind), "{number:?}: {outcome:?}");
    }
    assert_eq!(subject.get(&id).await, Some(item));
}

/// A month of days of many fields.
pub(super) async fn wide_rolls_are_one_write(subject: Subject) {
    let id = hour("a", 0);
    let slots: Vec<u16> = (0..31).collect();
    let places = slots.iter().flat_map(|slot| (1..=40).map(move |field| place(*slot, field, 0)));
    let numbers: Numbers = places.map(|at| (at, Number::Int(i128::from(at.1.field) << 60))).collect();
    let values: Values = slots.iter().map(|slot| (Slot(*slot), Bytes::from(vec![*slot as u8; 1_000]))).collect();
    subject.applied(add(&id, 1, &[applied("p", 1, 1)])).await;
    // One of the numbers is that of the addition, which it replaces.
    subject.applied(roll(&id, &slots, numbers.clone(), values.clone())).await;
    let stands = Item { numbers, values, rolled: marks(&slots), ..counter(1, &[("p", 1)]) };
    assert_eq!(subject.get(&id).await, Some(stands));
}

/// Several who roll the same slots, and one who adds meanwhile, what DynamoDB adds and what it cannot.
pub(super) async fn concurrent_rolls_and_additions_all_stand(subject: Subject) {
    const ROUNDS: u16 = 12;
    let id = hour("a", 0);
    let rollers = (0..3).map(async |_| {
        for slot in 1..=ROUNDS {
            subject.applied(count(&id, &[(slot, 100 * i128::from(slot))])).await;
        }
    });
    let adder = async |partition: &str, number| {
        for offset in 1..=u64::from(ROUNDS) {
            subject
                .applied(Write::Add {
                    id: id.clone(),
                    numbers: vec![number],
                    applied: vec![applied(partition, offset, offset)],
                    expires: None,
                })
                .await;
        }
    };
    let adders = join(adder("p", (place(0, 1, 0), Number::Int(1))), adder("q", (place(0, 2, 0), float(0.5, 0.0))));
    join(join_all(rollers), adders).await;
    let counts: Vec<(u16, i128)> = (1..=ROUNDS).map(|slot| (slot, 100 * i128::from(slot))).collect();
    let mut stands = counted(&counts);
    let rounds = f64::from(ROUNDS);
    let added = [(place(0, 1, 0), Number::Int(i128::from(ROUNDS))), (place(0, 2, 0), float(0.5 * rounds, 0.0))];
    stands.numbers.splice(0..0, added);
    stands.offsets = counter(0, &[("p", ROUNDS.into()), ("q", ROUNDS.into())]).offsets;
    assert_eq!(subject.get(&id).await, Some(stands));
}

pub(super) async fn a_rolled_tile_expires_as_others_do(subject: Subject) {
    let (short, long, never) = (hour("a", 0), hour("b", 0), hour("c", 0));
    subject.applied(expiring(count(&short, &[(0, 1)]), at(10))).await;
    subject.applied(expiring(roll(&long, &[0], Vec::new(), Vec::new()), at(10))).await;
    subject.applied(expiring(count(&long, &[(1, 1)]), Timestamp::from_micros(at(20).as_micros() - 7))).await;
    // Without an expiry it leaves what stands.
    subject.applied(count(&long, &[(2, 1)])).await;
    subject.applied(count(&never, &[(0, 1)])).await;
    let expires = async |id| subject.get(id).await.and_then(|item| item.expires);
    assert_eq!(expires(&short).await, Some(at(10)));
    assert_eq!(expires(&long).await, Some(Timestamp::from_micros(at(20).as_micros() - 7)));
    assert_eq!(expires(&never).await, None);
    if !expire(&subject, at(19), 100, 1).await {
        return;
    }
    assert_eq!(subject.get(&short).await, None);
    assert!(expire(&subject, Timestamp::MAX, 100, 1).await);
    // What is gone takes its marks along.
    subject.applied(count(&long, &[(5, 50)])).await;
    assert_eq!(subject.get(&long).await, Some(counted(&[(5, 50)])));
}

/// A store that has no room for a roll says so, and nothing of it stands; one that has room keeps all of it.
pub(super) async fn a_roll_without_room_is_said_and_leaves_no_trace(subject: Subject) {
    let id = hour("the-full-one", 0);
    subject.applied(count(&id, &[(0, 1)])).await;
    let large = |slot, bytes| roll(&id, &[slot], Vec::new(), vec![(Slot(slot), Bytes::from(vec![slot as u8; bytes]))]);
    // Alone, and together with what stands there.
    for write in [large(1, 500_000), large(2, 250_000), large(3, 250_000)] {
        let before = subject.get(&id).await.unwrap_or_default();
        let Write::Roll { slots, values, .. } = &write else { panic!("not a roll: {write:?}") };
        match subject.write(write.clone()).await {
            Ok(outcome) => {
                assert_eq!(outcome, Outcome::Applied);
                let item = subject.get(&id).await.unwrap_or_default();
                assert!(item.is_rolled(slots[0]) && item.values.contains(&values[0]), "slot {:?}", slots[0]);
            }
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Oversize, "{error}");
                assert!(error.to_string().contains(&id.to_string()), "the message names the tile: {error}");
                assert_eq!(subject.get(&id).await, Some(before), "nothing has changed");
            }
        }
        assert_eq!(write.closing(), None, "no event is lost without it");
    }
}

pub(super) async fn rolls_that_make_no_sense_are_refused(subject: Subject) {
    let id = hour("a", 0);
    let one = |slot| (place(slot, 1, 0), Number::Int(1));
    let value = |slot| (Slot(slot), Bytes::from_static(b"v"));
    let senseless = [
        count(&part(id.clone(), "p"), &[(0, 1)]),
        roll(&id, &[], Vec::new(), Vec::new()),
        roll(&id, &[1, 2], vec![one(3)], Vec::new()),
        roll(&id, &[1, 2], vec![one(1)], vec![value(0)]),
        roll(&id, &[1, 2, 1], Vec::new(), Vec::new()),
        roll(&id, &[1, 2], vec![one(1), one(2), one(1)], Vec::new()),
        roll(&id, &[1, 2], Vec::new(), vec![value(1), value(1)]),
    ];
    for write in senseless {
        let outcome = subject.write(write.clone()).await;
        assert!(matches!(&outcome, Err(e) if e.kind() == ErrorKind::InvalidArgument), "{write:?}: {outcome:?}");
    }
    assert_eq!(subject.scan(10).await, [], "and none of them left a trace");
}
