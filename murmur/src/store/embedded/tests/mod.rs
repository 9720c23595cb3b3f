mod kill;
mod reopen;

use std::path::Path;
use std::sync::Arc;

use redb::{Database, ReadableDatabase};

use super::format::{self, Names};
use super::*;
use crate::ErrorKind;
use crate::aggregate::{Column, Number};
use crate::key::Mark;
use crate::source::{Offset, PartitionId, Records, Shelf};
use crate::store::{Applied, Consistency, Outcome, Store, Table, TileId, Write, conformance};
use crate::time::{Level, Slot, Tile, TimeRange, Timestamp};

fn open(folder: &Path) -> crate::Result<EmbeddedStore> {
    EmbeddedStore::open(&EmbeddedConfig::new(folder))
}

fn table() -> Table {
    Table::new("views", 1)
}

fn tile(key: &str) -> TileId {
    TileId { key: key.into(), tile: Tile { level: Level::Hour, start: Timestamp::EPOCH }, part: None }
}

/// Adds one at one offset.
fn one(key: &str, partition: &str, offset: u64) -> Write {
    let offset = Offset::from_u64(offset);
    Write::Add {
        id: tile(key),
        numbers: vec![((Slot(0), Column { field: 0, part: 0 }), Number::Int(1))],
        applied: vec![Applied { partition: PartitionId::new(partition), first: offset, last: offset }],
        expires: Some(Timestamp::MAX),
    }
}

#[tokio::test]
async fn keeps_the_promises_of_a_store() {
    let folder = tempfile::tempdir().unwrap();
    let count = std::cell::Cell::new(0);
    let make = async || {
        count.set(count.get() + 1);
        Arc::new(open(&folder.path().join(count.get().to_string())).unwrap()) as _
    };
    conformance::run(make).await;
    conformance::random(make, 0..20).await;
}

#[tokio::test]
async fn a_folder_in_use_is_refused_by_name_and_free_after_the_last_handle() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).unwrap();
    let clone = store.clone();
    drop(store);
    let error = open(folder.path()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    let text = error.to_string();
    assert!(text.contains(&folder.path().display().to_string()), "{text}");
    assert!(text.contains(&format!("process {}", std::process::id())), "{text}");
    drop(clone);
    open(folder.path()).unwrap();
}

#[tokio::test]
async fn a_damaged_tile_is_an_error_with_its_name_and_stays_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).unwrap();
    let outcomes = store.write(&table(), [one("good", "p", 1), one("damaged", "p", 1)].into()).await;
    assert!(outcomes.iter().all(|outcome| matches!(outcome, Ok(Outcome::Applied))));
    store.put_record(&Shelf::Sources, "damaged record", b"bytes".to_vec(), None).await.unwrap();
    drop(store);
    let stored = || -> Vec<u8> {
        let database = Database::open(folder.path().join("tiles.redb")).unwrap();
        let tiles = database.begin_read().unwrap().open_table(Names::of(&table()).tiles()).unwrap();
        tiles.get(format::encode_row(&tile("damaged")).as_slice()).unwrap().unwrap().value().to_vec()
    };
    let mut damaged = stored();
    damaged[12] ^= 1;
    {
        let database = Database::open(folder.path().join("tiles.redb")).unwrap();
        let transaction = database.begin_write().unwrap();
        let row = format::encode_row(&tile("damaged"));
        let names = Names::of(&table());
        transaction.open_table(names.tiles()).unwrap().insert(row.as_slice(), damaged.as_slice()).unwrap();
        transaction
            .open_table(format::ShelfName::of(&Shelf::Sources).records())
            .unwrap()
            .insert("damaged record", b"123456789abcdef".as_slice())
            .unwrap();
        transaction.commit().unwrap();
    }

    let store = open(folder.path()).unwrap();
    let named = |name: &str, error: crate::Error| {
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
        assert!(error.to_string().contains(name), "{error}");
    };
    let of_tile = |error| named(&Mark::of(&*tile("damaged").key).to_string(), error);
    let of_record = |error| named("`damaged record`", error);
    of_tile(store.get(&table(), &[tile("good"), tile("damaged")], Consistency::Strong).await.unwrap_err());
    of_tile(store.scan(&table(), None, 10).await.unwrap_err());
    let all = TimeRange::new(Timestamp::MIN, Timestamp::MAX);
    of_tile(store.range(&table(), "damaged", Level::Hour, all, 10, Consistency::Strong).await.unwrap_err());
    of_record(store.record(&Shelf::Sources, "damaged record").await.unwrap_err());
    of_record(store.records(&Shelf::Sources, "").await.unwrap_err());
    of_record(store.put_record(&Shelf::Sources, "damaged record", Vec::new(), None).await.unwrap_err());
    let mut outcomes = store.write(&table(), [one("damaged", "p", 2), one("good", "p", 2)].into()).await;
    assert!(matches!(outcomes.remove(1), Ok(Outcome::Applied)), "its neighbour is written");
    of_tile(outcomes.remove(0).unwrap_err());
    drop(store);
    assert_eq!(stored(), damaged);
}

#[tokio::test]
async fn a_damaged_file_is_an_error_and_not_a_panic() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).unwrap();
    let writes: Vec<Write> = (0..500).map(|n| one(&format!("key {n}"), "p", 1)).collect();
    assert!(store.write(&table(), writes.into()).await.iter().all(|outcome| matches!(outcome, Ok(Outcome::Applied))));
    drop(store);
    let file = folder.path().join("tiles.redb");
    let whole = std::fs::read(&file).unwrap();
    let mut refused = 0;
    // Overwrite the beginning of each page, where its kind stands; the first page is the file's own.
    for page in (4_096..whole.len()).step_by(4_096) {
        let mut damaged = whole.clone();
        damaged[page..page + 8].copy_from_slice(&[0xde, 0xad, 0xbe, 0xef, 0xde, 0xad, 0xbe, 0xef]);
        std::fs::write(&file, damaged).unwrap();
        match open(folder.path()) {
            Ok(store) => refused += usize::from(store.scan(&table(), None, 1_000).await.is_err()),
            Err(_) => refused += 1,
        }
    }
    assert!(refused > 0, "none of the pages was needed");
}

#[tokio::test]
async fn a_store_of_another_format_is_refused() {
    for other in [format::FORMAT - 1, 99] {
        let folder = tempfile::tempdir().unwrap();
        drop(open(folder.path()).unwrap());
        {
            let database = Database::open(folder.path().join("tiles.redb")).unwrap();
            let transaction = database.begin_write().unwrap();
            transaction.open_table(format::META).unwrap().insert("format", other).unwrap();
            transaction.commit().unwrap();
        }
        let error = open(folder.path()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt);
        assert!(error.to_string().contains(&format!("format {other}")), "{error}");
    }

    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("tiles.redb"), b"something else").unwrap();
    assert_eq!(open(folder.path()).unwrap_err().kind(), ErrorKind::Corrupt);
}

#[test]
fn urls_name_folder_and_cache() {
    let config = EmbeddedConfig::parse("embedded:///var/lib/views?cache=1GiB").unwrap();
    assert_eq!((config.path.to_str(), config.cache.0), (Some("/var/lib/views"), 1 << 30));
    assert_eq!(EmbeddedConfig::parse("state").unwrap().path.to_str(), Some("state"));
    assert!(EmbeddedConfig::parse("dynamodb://state").is_err());
}
