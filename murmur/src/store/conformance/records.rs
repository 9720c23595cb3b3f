use futures_util::future::join_all;

use super::subject::{Subject, must};
use crate::source::{Record, RecordOutcome, Shelf, Version};

pub(super) async fn records_are_compared_and_set(subject: Subject) {
    let store = &subject.store;
    let put =
        async |bytes: &[u8], expected| must(store.put_record(&subject.shelf, "a/b", bytes.to_vec(), expected).await);
    assert_eq!(must(store.record(&subject.shelf, "a/b").await), None);
    assert_eq!(put(b"early", Some(Version(1))).await, RecordOutcome::Refused(None));
    assert_eq!(put(b"one", None).await, RecordOutcome::Written(Version(1)));
    let first = Record { bytes: b"one".to_vec(), version: Version(1) };
    assert_eq!(must(store.record(&subject.shelf, "a/b").await), Some(first.clone()));
    for wrong in [None, Some(Version(0)), Some(Version(2))] {
        assert_eq!(put(b"wrong", wrong).await, RecordOutcome::Refused(Some(first.clone())), "{wrong:?}");
    }
    assert_eq!(put(b"", Some(Version(1))).await, RecordOutcome::Written(Version(2)));
    assert_eq!(
        must(store.record(&subject.shelf, "a/b").await),
        Some(Record { bytes: Vec::new(), version: Version(2) })
    );
    let big: Vec<u8> = (0..300_000u32).map(|n| n as u8).collect();
    assert_eq!(put(&big, Some(Version(2))).await, RecordOutcome::Written(Version(3)));
    assert_eq!(must(store.record(&subject.shelf, "a/b").await), Some(Record { bytes: big, version: Version(3) }));
}

pub(super) async fn one_of_many_creators_wins(subject: Subject) {
    let store = &subject.store;
    let creators = (0..20u8).map(async |n| must(store.put_record(&subject.shelf, "owner", vec![n], None).await));
    let outcomes = join_all(creators).await;
    let winners: Vec<u8> =
        (0..).zip(&outcomes).filter_map(|(n, o)| matches!(o, RecordOutcome::Written(_)).then_some(n)).collect();
    let [winner] = winners[..] else { panic!("not one winner but {winners:?}") };
    let stands = Record { bytes: vec![winner], version: Version(1) };
    for outcome in outcomes.iter().filter(|o| !matches!(o, RecordOutcome::Written(_))) {
        assert_eq!(*outcome, RecordOutcome::Refused(Some(stands.clone())), "the refusal shows the winner");
    }
    assert_eq!(must(store.record(&subject.shelf, "owner").await), Some(stands));
}

pub(super) async fn records_are_found_by_prefix_in_order(subject: Subject) {
    let store = &subject.store;
    let names = ["p/g/10", "p/g/9", "p/g", "p/h/1", "p", "q", "p/g/\u{e4}", "p/g/\0", "p/g/", ""];
    let named = |name: &str| Record { bytes: name.as_bytes().to_vec(), version: Version(1) };
    for name in names {
        must(store.put_record(&subject.shelf, name, name.as_bytes().to_vec(), None).await);
    }
    for prefix in ["", "p", "p/g", "p/g/", "p/g/1", "p/h/1", "r", "p/g/\u{e4}"] {
        let mut expected: Vec<&str> = names.into_iter().filter(|name| name.starts_with(prefix)).collect();
        expected.sort_unstable();
        let expected: Vec<(String, Record)> = expected.into_iter().map(|name| (name.to_owned(), named(name))).collect();
        assert_eq!(must(store.records(&subject.shelf, prefix).await), expected, "beginning with {prefix:?}");
    }
    for name in names {
        assert_eq!(must(store.record(&subject.shelf, name).await), Some(named(name)));
    }
}

pub(super) async fn shelves_never_mix_and_are_no_tiles(subject: Subject) {
    let store = &subject.store;
    let shelves = [subject.shelf.clone(), Shelf::Sources];
    for shelf in &shelves {
        must(store.ensure(shelf, &[]).await);
        must(store.put_record(shelf, "a", shelf.to_string().into_bytes(), None).await);
    }
    for shelf in shelves {
        let there = Record { bytes: shelf.to_string().into_bytes(), version: Version(1) };
        assert_eq!(must(store.record(&shelf, "a").await), Some(there.clone()));
        assert_eq!(must(store.records(&shelf, "").await), [("a".to_owned(), there)]);
    }
    assert_eq!(subject.scan(10).await, [], "records are no tiles");
}
