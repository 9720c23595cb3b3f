//! The store on DynamoDB against a real server (DynamoDB Local), which `MURMUR_TEST_DYNAMODB` names.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use murmur::ErrorKind;
use murmur::source::{Offset, PartitionId, RecordOutcome, Records};
use murmur::store::{
    Applied, Column, Consistency, DynamoConfig, DynamoStore, Number, Outcome, Store, Table, TileId, Write, conformance,
};
use murmur::time::{Level, Slot, Tile, Timestamp};
use murmur_tests::oracle;
use murmur_tests::process::{self, example, output};
use murmur_tests::random::Random;
use serde_json::Value;

use crate::page_views::{Stream, answers, answers_of};

/// Where the server is. A missing one fails the test: a suite that skips what it is for shows nothing.
pub(crate) fn endpoint() -> String {
    std::env::var("MURMUR_TEST_DYNAMODB").unwrap_or_else(|_| {
        panic!(
            "MURMUR_TEST_DYNAMODB names no DynamoDB server; start DynamoDB Local and set it to its URL, such as \
             http://127.0.0.1:18000"
        )
    })
}

/// A prefix for tables that nobody has used yet; the server keeps those of earlier runs.
pub(crate) fn prefix() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis();
    format!("t{now}-{}-{}-", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}

async fn store(prefix: &str) -> Arc<DynamoStore> {
    let config = DynamoConfig { prefix: prefix.to_owned(), endpoint: Some(endpoint()), ..DynamoConfig::new() };
    Arc::new(DynamoStore::open(&config).await.unwrap())
}

async fn fresh() -> Arc<DynamoStore> {
    store(&prefix()).await
}

#[tokio::test]
async fn keeps_the_promises_of_a_store() {
    conformance::run(async || fresh().await as _).await;
}

#[tokio::test]
async fn does_what_the_model_does() {
    conformance::random(async || fresh().await as _, 0..12).await;
}

#[tokio::test]
async fn an_item_that_the_server_finds_full_is_closed_by_its_mark() {
    let (store, table, partition) = (fresh().await, Table::new("views", 1), PartitionId::new("k:0"));
    store.ensure(&table.shelf(), &[]).await.unwrap();
    let tile = Tile { level: Level::Forever, start: Timestamp::EPOCH };
    let id = TileId { key: "=the-page".into(), tile, part: None };
    // Added by the server itself, some five kilobytes each time.
    let add = |round: u64| {
        let slots = round as u16 * 240..(round as u16 + 1) * 240;
        let at = Offset::from_u64(round);
        Write::Add {
            id: id.clone(),
            numbers: slots
                .map(|n| ((Slot(n), Column { field: 1, part: 0 }), Number::Int(10i128.pow(25) + 1)))
                .collect(),
            applied: vec![Applied { partition: partition.clone(), first: at, last: at }],
            expires: None,
        }
    };
    let mut rounds = 0;
    let error = loop {
        match store.write(&table, [add(rounds)].into()).await.remove(0) {
            Ok(outcome) => assert_eq!(outcome, Outcome::Applied),
            Err(error) => break error,
        }
        rounds += 1;
    };
    assert_eq!(error.kind(), ErrorKind::Oversize);
    assert!(rounds > 50 && error.to_string().contains(&id.to_string()), "{rounds} rounds: {error}");
    let close = add(rounds).closing().unwrap();
    assert_eq!(store.write(&table, [close].into()).await.remove(0).unwrap(), Outcome::Applied);
    let item = store.get(&table, std::slice::from_ref(&id), Consistency::Strong).await.unwrap().remove(0).unwrap();
    assert_eq!(item.numbers.len() as u64, rounds * 240);
    assert!(item.holds(&partition, Offset::from_u64(rounds - 1)) && !item.holds(&partition, Offset::from_u64(rounds)));
    // One that would fit is refused too.
    let small = Write::Add {
        id: id.clone(),
        numbers: vec![((Slot(0), Column { field: 1, part: 0 }), Number::Int(1))],
        applied: vec![Applied { partition, first: Offset::from_u64(rounds), last: Offset::from_u64(rounds) }],
        expires: None,
    };
    assert_eq!(store.write(&table, [small].into()).await.remove(0).unwrap(), Outcome::Refused(item));
}

#[tokio::test]
async fn a_roll_into_an_item_that_the_server_finds_full_is_said() {
    let (store, table) = (fresh().await, Table::new("views", 1));
    store.ensure(&table.shelf(), &[]).await.unwrap();
    let tile = Tile { level: Level::Month, start: Timestamp::EPOCH };
    let id = TileId { key: "=the-page".into(), tile, part: None };
    let roll = |slot: u16| Write::Roll {
        id: id.clone(),
        slots: vec![Slot(slot)],
        numbers: Vec::new(),
        values: vec![(Slot(slot), vec![0; 250_000].into())],
        expires: None,
    };
    assert_eq!(store.write(&table, [roll(0)].into()).await.remove(0).unwrap(), Outcome::Applied);
    let error = store.write(&table, [roll(1)].into()).await.remove(0).unwrap_err();
    assert!(error.kind() == ErrorKind::Oversize && error.to_string().contains(&id.to_string()), "{error}");
    let item = store.get(&table, std::slice::from_ref(&id), Consistency::Strong).await.unwrap().remove(0).unwrap();
    assert_eq!((item.rolled, item.values.len()), (vec![Slot(0)], 1));
}

#[tokio::test]
async fn a_table_that_holds_what_no_pipeline_wrote_is_left_alone() {
    let (prefix, table) = (prefix(), Table::new("page_traffic", 1));
    let (store, url) = (store(&prefix).await, url(&prefix));
    store.ensure(&table.shelf(), &[]).await.unwrap();
    let tile = Tile { level: Level::Forever, start: Timestamp::EPOCH };
    let roll = Write::Roll {
        id: TileId { key: "=x".into(), tile, part: None },
        slots: vec![Slot(0)],
        numbers: Vec::new(),
        values: Vec::new(),
        expires: None,
    };
    assert_eq!(store.write(&table, [roll].into()).await.remove(0).unwrap(), Outcome::Applied);
    let stream = Stream::generate(10, 2, 3);
    let run =
        ["run", "--until-end", "--source", &stream.source(), "--store", &url, "--dead-letters", &letters(&stream)];
    for arguments in [&run[..], &["table", "ensure", "--store", &url]] {
        let refused = output(example("page-traffic"), arguments);
        assert_eq!(refused.status.code(), Some(3), "{refused:?}");
        assert!(String::from_utf8_lossy(&refused.stderr).contains("it holds items, and no record"), "{refused:?}");
    }
    assert_eq!(store.records(&table.shelf(), "").await.unwrap(), [], "nothing was written");
}

#[tokio::test]
async fn whoever_reads_or_writes_where_there_is_no_table_is_told_the_way() {
    let prefix = prefix();
    let error = store(&prefix).await.record(&Table::new("views", 1).shelf(), "owner").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.to_string().contains(&format!("`{prefix}views_v1`")), "{error}");

    let (stream, url) = (Stream::generate(10, 2, 3), url(&prefix));
    let refused = output(
        example("page-traffic"),
        &["run", "--until-end", "--source", &stream.source(), "--store", &url, "--dead-letters", &letters(&stream)],
    );
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("table ensure"), "{refused:?}");
}

fn url(prefix: &str) -> String {
    format!("dynamodb://{prefix}?endpoint={}", endpoint())
}

fn letters(stream: &Stream) -> String {
    stream.store("letters").display().to_string()
}

#[test]
fn tables_are_ensured_once_and_again_and_what_the_server_lacks_is_told() {
    let url = url(&prefix());
    let ensure = || process::json(example("page-traffic"), &["table", "ensure", "--store", &url, "-o", "json"]);
    let made =
        |rows: &Value| rows.as_array().unwrap().iter().map(|row| row["made"].as_bool().unwrap()).collect::<Vec<_>>();
    let first = ensure();
    assert_eq!(made(&first), [true, true], "the pipeline's table and that of the sources");
    let tables: Vec<&str> = first.as_array().unwrap().iter().map(|row| row["table"].as_str().unwrap()).collect();
    assert_eq!(tables, ["page_traffic_v1", "sources"]);
    assert_eq!(made(&ensure()), [false, false]);
    let unset: Vec<&str> =
        first[0]["unset"].as_array().unwrap().iter().map(|unset| unset["what"].as_str().unwrap()).collect();
    assert_eq!(unset, ["point-in-time recovery", "tags"], "DynamoDB Local has neither, and both have their reason");
    assert!(first[0]["unset"].as_array().unwrap().iter().all(|unset| !unset["why"].as_str().unwrap().is_empty()));
}

#[test]
fn the_same_stream_gives_the_same_answers_as_in_the_embedded_store() {
    let (stream, url) = (Stream::generate(3_000, 40, 11), url(&prefix()));
    let arguments = ["run", "--until-end", "--source", &stream.source(), "--store", &url, "-o", "json"];
    let letters = letters(&stream);
    let more = ["--create-tables", "--dead-letters", &letters];
    let summary = process::json(example("page-traffic"), &[arguments.as_slice(), &more].concat());
    assert_eq!(summary["read"], 3_000);
    let folder = stream.store("embedded");
    stream.count_into(&folder);
    let sorted = |mut answers: Vec<(String, Value)>| {
        answers.sort_by(|(a, _), (b, _)| a.cmp(b));
        answers
    };
    let counted = sorted(answers_of(&url));
    assert!(!counted.is_empty());
    assert_eq!(counted, sorted(answers(&folder)));
    // Once more over the same input: everything is there already.
    let again = process::json(example("page-traffic"), &[arguments.as_slice(), &more].concat());
    assert_eq!(again["applied"], 0);
    assert_eq!(sorted(answers_of(&url)), counted);
}

#[test]
fn a_worker_killed_at_random_moments_counts_each_event_once() {
    const KILLS: usize = 10;
    let mut random = Random::from_environment();
    let (stream, url) = (Stream::generate(12_000, 40, random.below(1 << 32)), url(&prefix()));
    let letters = letters(&stream);
    let source = stream.source();
    let arguments =
        ["run", "--until-end", "--create-tables", "--source", &source, "--store", &url, "--dead-letters", &letters];
    let arguments = [arguments.as_slice(), &["--flush-interval", "20ms"]].concat();
    let kills = process::kill_until_it_ends(example("page-traffic"), &arguments, KILLS, || {
        Duration::from_millis(50) + random.shorter_than(Duration::from_millis(400))
    });
    assert!(kills > 0, "it was never in the middle of its work");
    oracle::assert_pages(&answers_of(&url), &stream.views.whole_truth());
}

#[tokio::test]
async fn a_table_of_another_pipeline_is_refused_with_its_own_exit_code() {
    let prefix = prefix();
    let (stream, url) = (Stream::generate(50, 3, 5), url(&prefix));
    let letters = letters(&stream);
    let arguments = [
        "run",
        "--until-end",
        "--create-tables",
        "--source",
        &stream.source(),
        "--store",
        &url,
        "--dead-letters",
        &letters,
    ];
    process::success(example("page-traffic"), &arguments);
    let (store, shelf) = (store(&prefix).await, Table::new("page_traffic", 1).shelf());
    let owner = store.record(&shelf, "owner").await.unwrap().unwrap();
    let mut other: Value = serde_json::from_slice(&owner.bytes).unwrap();
    other["pipeline"] = "blog.v1/page_traffic".into();
    let put = store.put_record(&shelf, "owner", other.to_string().into_bytes(), Some(owner.version)).await.unwrap();
    assert!(matches!(put, RecordOutcome::Written(_)));
    let refused = output(example("page-traffic"), &arguments);
    assert_eq!(refused.status.code(), Some(3));
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(said.contains("page_traffic_v1") && said.contains("blog.v1/page_traffic"), "{said}");
}
