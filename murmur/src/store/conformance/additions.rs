use futures_util::future::join_all;

use super::subject::{Subject, add, applied, counter, hour, must, part, place, put};
use crate::ErrorKind;
use crate::aggregate::Number;
use crate::source::{Offset, PartitionId};
use crate::store::{Applied, Outcome, Write};
use crate::time::Timestamp;

pub(super) async fn first_addition_creates_the_tile(subject: Subject) {
    let id = hour("a", 5);
    assert_eq!(subject.get(&id).await, None, "a tile that was never written is absent");
    subject.applied(add(&id, 7, &[applied("p", 3, 9)])).await;
    assert_eq!(subject.get(&id).await, Some(counter(7, &[("p", 9)])));
}

pub(super) async fn only_offsets_after_the_applied_ones_are_added(subject: Subject) {
    // How a delta of `first..=last` can lie to the applied offset 10.
    let relations = [(1, 5), (1, 9), (1, 10), (1, 20), (10, 10), (10, 20), (11, 11), (11, 20), (30, 40)];
    for (first, last) in relations {
        let id = hour(&format!("{first}-{last}"), 0);
        subject.applied(add(&id, 1, &[applied("p", 2, 10)])).await;
        let outcome = must(subject.write(add(&id, 100, &[applied("p", first, last)])).await);
        let stands = if first > 10 {
            assert_eq!(outcome, Outcome::Applied, "{first}..={last} lies after 10");
            counter(101, &[("p", last)])
        } else {
            let stands = counter(1, &[("p", 10)]);
            assert_eq!(outcome, Outcome::Refused(stands.clone()), "{first}..={last} begins at or before 10");
            stands
        };
        assert_eq!(subject.get(&id).await, Some(stands), "{first}..={last}");
    }
}

pub(super) async fn the_same_addition_again_changes_nothing(subject: Subject) {
    let id = hour("a", 0);
    let write = add(&id, 5, &[applied("p", 1, 4), applied("q", 7, 7)]);
    subject.applied(write.clone()).await;
    let stands = counter(5, &[("p", 4), ("q", 7)]);
    for _ in 0..3 {
        assert_eq!(must(subject.write(write.clone()).await), Outcome::Refused(stands.clone()));
    }
    assert_eq!(subject.get(&id).await, Some(stands));
}

pub(super) async fn all_partitions_of_a_delta_must_fit(subject: Subject) {
    let id = hour("a", 0);
    subject.applied(add(&id, 1, &[applied("p", 1, 10)])).await;
    subject.applied(add(&id, 1, &[applied("q", 1, 5), applied("p", 11, 12)])).await;
    let stands = counter(2, &[("p", 12), ("q", 5)]);
    for misfit in [
        vec![applied("p", 12, 20), applied("q", 6, 6)],
        vec![applied("p", 13, 20), applied("q", 5, 6)],
        vec![applied("new", 1, 1), applied("p", 1, 12)],
    ] {
        assert_eq!(must(subject.write(add(&id, 1, &misfit)).await), Outcome::Refused(stands.clone()), "{misfit:?}");
    }
    subject.applied(add(&id, 1, &[applied("new", 1, 1), applied("q", 6, 9), applied("p", 20, 20)])).await;
    assert_eq!(subject.get(&id).await, Some(counter(3, &[("new", 1), ("p", 20), ("q", 9)])));
}

pub(super) async fn writes_of_one_call_are_independent(subject: Subject) {
    let [fresh, stale, full, last] = ["z", "y", "x", "w"].map(|key| hour(key, 0));
    subject.applied(add(&stale, 1, &[applied("p", 1, 10)])).await;
    subject.applied(add(&full, Number::MAX_INT, &[applied("p", 1, 10)])).await;
    let writes = [
        add(&fresh, 2, &[applied("p", 5, 9)]),
        add(&stale, 2, &[applied("p", 5, 9)]),
        add(&full, 2, &[applied("p", 11, 19)]),
        add(&last, 2, &[applied("p", 5, 9)]),
    ];
    let outcomes = subject.write_all(&writes).await;
    assert!(matches!(&outcomes[0], Ok(Outcome::Applied)), "{outcomes:?}");
    assert!(matches!(&outcomes[1], Ok(Outcome::Refused(_))), "{outcomes:?}");
    assert!(matches!(&outcomes[2], Err(error) if error.kind() == ErrorKind::Overflow), "{outcomes:?}");
    assert!(matches!(&outcomes[3], Ok(Outcome::Applied)), "{outcomes:?}");
    let stand = [counter(2, &[("p", 9)]), counter(1, &[("p", 10)]), counter(Number::MAX_INT, &[("p", 10)])];
    assert_eq!(subject.get_all(&[fresh, stale, full]).await, stand.map(Some));
    assert_eq!(subject.write_all(&[]).await.len(), 0);
}

pub(super) async fn overflow_names_the_tile_and_changes_nothing(subject: Subject) {
    let id = hour("the-full-one", 0);
    let (low, high) = (place(0, 1, 0), place(3, 2, 1));
    let both = |a, b, at| Write::Add {
        id: id.clone(),
        numbers: vec![(low, a), (high, b)],
        applied: vec![applied("p", at, at)],
        expires: None,
    };
    subject.applied(both(Number::Int(1), Number::Int(-Number::MAX_INT), 1)).await;
    let stands = subject.get(&id).await;
    for (a, b) in [
        (Number::Int(1), Number::Int(-1)),
        (Number::Int(Number::MAX_INT), Number::Int(1)),
        (Number::Int(i128::MAX), Number::Int(1)),
        (Number::Int(1), Number::Float { sum: f64::INFINITY, rest: 0.0 }),
    ] {
        let error = match subject.write(both(a, b, 2)).await {
            Err(error) => error,
            Ok(outcome) => panic!("adding {a:?} and {b:?} cannot be {outcome:?}"),
        };
        assert_eq!(error.kind(), ErrorKind::Overflow, "{error}");
        let said = error.to_string();
        assert!(said.contains(&id.to_string()), "the message names the tile: {said}");
        assert!(!said.contains("the-full-one"), "and not its key: {said}");
        assert!(!error.is_retryable());
        assert_eq!(subject.get(&id).await, stands, "nothing has changed, neither numbers nor offsets");
    }
    let float = subject.write(both(Number::Float { sum: 1.0, rest: 0.0 }, Number::Int(1), 2)).await;
    assert!(matches!(&float, Err(error) if error.kind() == ErrorKind::Foreign), "{float:?}");
    assert_eq!(subject.get(&id).await, stands);
}

/// Up to the last number that fits, by small and by large steps.
pub(super) async fn numbers_end_where_their_range_does(subject: Subject) {
    let id = hour("a", 0);
    let steps = [Number::MAX_INT / 2, Number::MAX_INT / 2 - 4, 2, 2, 1];
    let mut total = 0;
    for (at, step) in (1..).zip(steps) {
        subject.applied(add(&id, step, &[applied("p", at, at)])).await;
        total += step;
        assert_eq!(subject.get(&id).await, Some(counter(total, &[("p", at)])));
    }
    assert_eq!(total, Number::MAX_INT);
    for step in [1, Number::MAX_INT] {
        let outcome = subject.write(add(&id, step, &[applied("p", 9, 9)])).await;
        assert!(matches!(&outcome, Err(error) if error.kind() == ErrorKind::Overflow), "{outcome:?}");
    }
    subject.applied(add(&id, -1, &[applied("p", 9, 9)])).await;
    assert_eq!(subject.get(&id).await, Some(counter(total - 1, &[("p", 9)])));
}

/// An hour of minutes of many fields from many partitions, as a replay writes it.
pub(super) async fn wide_additions_are_one_write(subject: Subject) {
    let id = hour("a", 0);
    let numbers = |factor: i128| -> Vec<_> {
        let places = (0..60).flat_map(|slot| (1..=12).map(move |field| (slot, field)));
        places.map(|(slot, field)| (place(slot, field, 0), Number::Int(factor * i128::from(field)))).collect()
    };
    let names: Vec<String> = (0..90).map(|n| format!("k:0a1b2c3d:{n}")).collect();
    let write = |factor, at| Write::Add {
        id: id.clone(),
        numbers: numbers(factor),
        applied: names.iter().map(|name| applied(name, at, at)).collect(),
        expires: None,
    };
    subject.applied(write(1, 1)).await;
    subject.applied(write(2, 2)).await;
    let Some(item) = subject.get(&id).await else { panic!("{id} was written") };
    assert_eq!(item.numbers, numbers(3));
    assert!(item.offsets.len() == names.len() && item.offsets.iter().all(|(_, at)| *at == Offset::from_u64(2)));
    assert_eq!(must(subject.write(write(5, 2)).await), Outcome::Refused(item.clone()));
    // One of them lies behind, and so none is added.
    subject.applied(add(&id, 0, &[applied(&names[80], 3, 7)])).await;
    assert!(matches!(must(subject.write(write(5, 4)).await), Outcome::Refused(_)));
    assert_eq!(subject.get(&id).await.map(|item| item.numbers), Some(numbers(3)));
}

pub(super) async fn writes_that_make_no_sense_are_refused(subject: Subject) {
    let id = hour("a", 0);
    let number = |sum, rest| Write::Add {
        id: id.clone(),
        numbers: vec![(place(0, 1, 0), Number::Float { sum, rest })],
        applied: vec![applied("p", 1, 1)],
        expires: None,
    };
    let twice = Write::Add {
        id: id.clone(),
        numbers: vec![
            (place(1, 1, 0), Number::Int(1)),
            (place(0, 1, 0), Number::Int(1)),
            (place(1, 1, 0), Number::Int(1)),
        ],
        applied: vec![applied("p", 1, 1)],
        expires: None,
    };
    let senseless = [
        add(&id, 1, &[]),
        add(&id, 1, &[applied("p", 2, 1)]),
        add(&id, 1, &[applied("p", 1, 1), applied("q", 1, 1), applied("p", 2, 2)]),
        add(&part(id.clone(), "p"), 1, &[applied("p", 1, 1)]),
        put(&id, b"value", 1),
        twice,
        number(f64::NAN, 0.0),
        number(f64::INFINITY, f64::NAN),
        number(0.0, f64::NAN),
    ];
    for write in senseless {
        let outcome = subject.write(write.clone()).await;
        assert!(matches!(&outcome, Err(e) if e.kind() == ErrorKind::InvalidArgument), "{write:?}: {outcome:?}");
    }
    assert_eq!(subject.scan(10).await, [], "and none of them left a trace");
}

pub(super) async fn every_number_and_offset_comes_back(subject: Subject) {
    let id = hour("a", -7);
    let numbers = vec![
        (place(0, 0, 0), Number::Int(0)),
        (place(0, 0, 255), Number::Int(-1)),
        (place(0, u32::MAX, 7), Number::Int(Number::MAX_INT)),
        (place(59, 1, 0), Number::Int(-Number::MAX_INT)),
        (place(59, 1, 1), Number::Float { sum: 0.1, rest: -1.5e-18 }),
        (place(59, 1, 2), Number::Float { sum: f64::MAX, rest: 0.0 }),
        (place(60, 1, 2), Number::Float { sum: -f64::MIN_POSITIVE, rest: 0.0 }),
        (place(u16::MAX, 1, 2), Number::Int(i128::from(u64::MAX) + 1)),
    ];
    let offsets = [
        ("", Offset::ZERO),
        ("f:0123abcd:17", Offset::from_pair(3, 1 << 40)),
        ("k:topic", Offset::from_u64(u64::MAX)),
        ("s:shard\u{e4}", Offset::from_words([1, 0, u64::MAX, 5])),
        ("t", Offset::from_words([u64::MAX; 4])),
    ]
    .map(|(partition, offset)| (PartitionId::new(partition), offset));
    let mut applied: Vec<Applied> =
        offsets.iter().map(|(p, o)| Applied { partition: p.clone(), first: *o, last: *o }).collect();
    // Whatever order they are given in, they are kept sorted.
    applied.reverse();
    let mut given = numbers.clone();
    given.reverse();
    let expires = Some(Timestamp::MAX);
    subject.applied(Write::Add { id: id.clone(), numbers: given, applied, expires }).await;
    let Some(item) = subject.get(&id).await else { panic!("{id} was written") };
    assert_eq!(item.numbers, numbers);
    assert_eq!(item.offsets, offsets);
    assert_eq!(item.expires, expires);
    assert!(item.values.is_empty());
}

pub(super) async fn concurrent_additions_all_count(subject: Subject) {
    const WRITERS: usize = 8;
    const ROUNDS: u64 = 12;
    let ids = [hour("a", 0), hour("b", 0)];
    let writer = async |n: usize| {
        for round in 1..=ROUNDS {
            let delta = [applied(&format!("p{n}"), round, round)];
            let writes = [add(&ids[0], 1, &delta), add(&ids[1], 2, &delta)];
            for outcome in subject.write_all(&writes).await {
                assert_eq!(must(outcome), Outcome::Applied);
            }
        }
    };
    join_all((0..WRITERS).map(writer)).await;
    let total = WRITERS as i128 * i128::from(ROUNDS);
    for (id, total) in ids.iter().zip([total, 2 * total]) {
        let Some(item) = subject.get(id).await else { panic!("{id} was written") };
        assert_eq!(item.numbers, [(place(0, 1, 0), Number::Int(total))]);
        assert!(item.offsets.len() == WRITERS && item.offsets.iter().all(|(_, o)| *o == Offset::from_u64(ROUNDS)));
    }
}

/// A float is read, added to and put back, by many at once; who comes too late does it again.
pub(super) async fn concurrent_additions_of_floats_all_count(subject: Subject) {
    const WRITERS: usize = 8;
    const ROUNDS: u64 = 12;
    let id = hour("a", 0);
    let writer = async |n: usize| {
        for round in 1..=ROUNDS {
            let write = Write::Add {
                id: id.clone(),
                numbers: vec![(place(0, 1, 0), Number::Float { sum: 0.5, rest: 0.0 })],
                applied: vec![applied(&format!("p{n}"), round, round)],
                expires: None,
            };
            loop {
                match subject.write_all(std::slice::from_ref(&write)).await.remove(0) {
                    Ok(outcome) => break assert_eq!(outcome, Outcome::Applied),
                    Err(error) => assert!(error.is_retryable(), "{error}"),
                }
            }
        }
    };
    join_all((0..WRITERS).map(writer)).await;
    let Some(item) = subject.get(&id).await else { panic!("{id} was written") };
    let sum = 0.5 * (WRITERS as u64 * ROUNDS) as f64;
    assert_eq!(item.numbers, [(place(0, 1, 0), Number::Float { sum, rest: 0.0 })]);
    assert!(item.offsets.len() == WRITERS && item.offsets.iter().all(|(_, o)| *o == Offset::from_u64(ROUNDS)));
}
