use std::collections::BTreeSet;

use super::subject::{Subject, add, applied, counter, fold, hour, must, part, put};
use crate::store::{Consistency, Outcome, Table, TileId};
use crate::time::{Level, Tile, TimeRange, Timestamp};

pub(super) async fn get_answers_in_the_order_asked(subject: Subject) {
    for n in 0..5 {
        subject.applied(add(&hour("a", n), i128::from(n), &[applied("p", 1, 1)])).await;
    }
    let asked = [4, 9, 0, 2, 9, 4].map(|n| hour("a", n));
    let there = [Some(4), None, Some(0), Some(2), None, Some(4)].map(|n| n.map(|n| counter(n, &[("p", 1)])));
    assert_eq!(subject.get_all(&asked).await, there);
    assert_eq!(subject.get_all(&[]).await, []);
    let eventual = must(subject.store.get(&subject.table, &asked, Consistency::Eventual).await);
    assert_eq!(eventual.len(), asked.len());
}

pub(super) async fn range_is_half_open_and_in_order(subject: Subject) {
    let hours = [-500_000, -2, -1, 0, 1, 2, 700_000];
    // Written in no order at all, in two levels, some tiles in parts.
    for (n, at) in hours.iter().enumerate().rev() {
        subject.applied(add(&hour("a", *at), n as i128, &[applied("p", 1, 1)])).await;
        for name in ["q", "p", "p:10", "p:9"] {
            subject.applied(put(&part(hour("a", *at), name), b"v", 1)).await;
        }
        let tile = Tile { level: Level::Day, start: hour("a", *at).tile.start };
        subject.applied(add(&TileId { key: "a".into(), tile, part: None }, -1, &[applied("p", 1, 1)])).await;
    }
    let all: Vec<(i64, Option<&str>)> = hours
        .iter()
        .flat_map(|at| [None, Some("p"), Some("p:10"), Some("p:9"), Some("q")].map(|name| (*at, name)))
        .collect();
    let found = async |from: Timestamp, to: Timestamp, limit| -> Vec<(i64, Option<String>)> {
        let items = subject.range("a", Level::Hour, TimeRange::new(from, to), limit).await;
        for (id, item) in &items {
            assert_eq!((&*id.key, id.tile.level), ("a", Level::Hour));
            match &id.part {
                None => assert!(item.values.is_empty() && item.numbers.len() == 1),
                Some(part) => assert_eq!(*item, fold(b"v", part.as_str(), 1)),
            }
        }
        let name = |id: TileId| (id.tile.start.as_micros() / 3_600_000_000, id.part.map(|p| p.as_str().to_owned()));
        items.into_iter().map(|(id, _)| name(id)).collect()
    };
    let expected = |from: i64, to: i64, limit| -> Vec<(i64, Option<String>)> {
        let inside = all.iter().filter(|(at, _)| (from..to).contains(at)).take(limit);
        inside.map(|(at, part)| (*at, part.map(str::to_owned))).collect()
    };
    let at = |hours| hour("a", hours).tile.start;
    for (from, to) in [(-2, 2), (-1, 1), (0, 1), (1, 1), (2, -2), (-500_000, 700_000), (3, 700_000), (-9, -2)] {
        assert_eq!(found(at(from), at(to), 100).await, expected(from, to, 100), "[{from}h, {to}h)");
    }
    assert_eq!(found(Timestamp::MIN, Timestamp::MAX, 100).await, expected(-500_000, 700_001, 100));
    for limit in [0, 1, 3, 5, 6, all.len()] {
        let some = found(Timestamp::MIN, Timestamp::MAX, limit).await;
        assert_eq!(some, expected(-500_000, 700_001, limit), "the first {limit}");
    }
    assert_eq!(subject.range("b", Level::Hour, TimeRange::new(at(-9), at(9)), 9).await, []);
}

pub(super) async fn keys_never_mix(subject: Subject) {
    let keys = [
        "",
        "=",
        "\0",
        "\0\0",
        "\0\u{1}",
        "\u{1}",
        "\u{1}\0",
        "a",
        "a\0",
        "a\0\0",
        "a\0b",
        "a\u{1}",
        "a ",
        "aa",
        "ab",
        "=a\0",
        "=a\0\0",
        "=a\0b",
        "=\0a\0b",
        "a#h",
        "h#0",
        "\u{7f}",
        "\u{80}",
        "\u{e4}\u{f6}",
        "\u{ffff}",
        "\u{10ffff}",
        "\u{10ffff}\u{10ffff}",
        "\"'\\/",
        "\n",
    ];
    let long = "x".repeat(crate::key::MAX_KEY_BYTES);
    let keys: Vec<&str> = keys.into_iter().chain([long.as_str()]).collect();
    for (n, key) in keys.iter().enumerate() {
        subject.applied(add(&hour(key, 0), n as i128, &[applied("p", 1, 1)])).await;
        subject.applied(put(&part(hour(key, 0), "p"), b"v", 1)).await;
    }
    for (n, key) in keys.iter().enumerate() {
        let number = counter(n as i128, &[("p", 1)]);
        assert_eq!(subject.get(&hour(key, 0)).await, Some(number.clone()), "key {key:?}");
        let all = TimeRange::new(Timestamp::MIN, Timestamp::MAX);
        let tiles = [(hour(key, 0), number), (part(hour(key, 0), "p"), fold(b"v", "p", 1))];
        assert_eq!(subject.range(key, Level::Hour, all, 10).await, tiles, "key {key:?}");
    }
    let seen: BTreeSet<TileId> = subject.scan(7).await.into_iter().map(|(id, _)| id).collect();
    let written = keys.iter().flat_map(|key| [hour(key, 0), part(hour(key, 0), "p")]).collect();
    assert_eq!(seen, written);
}

pub(super) async fn tables_never_mix(subject: Subject) {
    let id = hour("a", 0);
    let tables = [Table::new("conformance", 1), Table::new("conformance", 2), Table::new("conformance_v1", 1)];
    for (n, table) in tables.iter().enumerate() {
        must(subject.store.ensure(&table.shelf(), &[]).await);
        let writes = [add(&id, n as i128 + 1, &[applied("p", 1, 1)])];
        let outcomes = subject.store.write(table, writes.into()).await;
        assert!(matches!(outcomes[..], [Ok(Outcome::Applied)]), "{outcomes:?}");
    }
    for (n, table) in tables.into_iter().enumerate() {
        let in_table = Subject { store: subject.store.clone(), shelf: table.shelf(), table };
        let there = counter(n as i128 + 1, &[("p", 1)]);
        assert_eq!(in_table.get(&id).await, Some(there.clone()));
        assert_eq!(in_table.scan(10).await, [(id.clone(), there)]);
    }
    let unknown = Subject::of(subject.store.clone(), Table::new("never_written", 1)).await;
    assert_eq!(unknown.get(&id).await, None);
    assert_eq!(unknown.scan(10).await, []);
    assert_eq!(unknown.range("a", Level::Hour, TimeRange::new(Timestamp::MIN, Timestamp::MAX), 10).await, []);
    assert_eq!(must(unknown.store.remove_expired(&unknown.table, Timestamp::MAX, 10).await), 0);
}

pub(super) async fn scan_pages_give_each_item_once(subject: Subject) {
    assert_eq!(subject.scan(10).await, []);
    let mut ids = BTreeSet::new();
    for key in ["a", "b", "c\0", "c"] {
        for at in [-3, 0, 8] {
            ids.insert(hour(key, at));
            ids.insert(part(hour(key, at), "q"));
        }
    }
    for id in &ids {
        let write = if id.part.is_some() { put(id, b"v", 1) } else { add(id, 1, &[applied("p", 1, 1)]) };
        subject.applied(write).await;
    }
    let whole = subject.scan(1_000).await;
    assert_eq!(whole.iter().map(|(id, _)| id.clone()).collect::<BTreeSet<_>>(), ids);
    for page in [1, 2, 5, ids.len() - 1, ids.len()] {
        assert_eq!(subject.scan(page).await, whole, "in pages of {page}");
    }
}
