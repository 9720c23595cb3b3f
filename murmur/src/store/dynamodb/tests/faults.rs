//! What becomes of requests that a server refuses, loses or cuts off.

use std::env;
use std::process::Command;

use bytes::Bytes;

use super::super::*;
use super::server::{Reply, Server, error};
use crate::aggregate::{Column, Number};
use crate::key::Mark;
use crate::source::{Offset, PartitionId, Records};
use crate::store::{Applied, Consistency, Item, Outcome, Store, Table, TileId, Write};
use crate::time::{Level, Slot, Tile, Timestamp};
use crate::{Error, ErrorKind, Result};

fn tile(key: &str) -> TileId {
    TileId { key: key.into(), tile: Tile { level: Level::Hour, start: Timestamp::EPOCH }, part: None }
}

fn add(number: Number) -> Write {
    Write::Add {
        id: tile("=the-page"),
        numbers: vec![((Slot(0), Column { field: 1, part: 0 }), number)],
        applied: vec![Applied { partition: PartitionId::new("p"), first: Offset::ZERO, last: Offset::ZERO }],
        expires: None,
    }
}

fn fold(bytes: usize) -> Write {
    let id = TileId { part: Some(PartitionId::new("p")), ..tile("=the-page") };
    Write::Put {
        id,
        values: vec![(Slot(0), Bytes::from(vec![0; bytes]))],
        first: Offset::ZERO,
        last: Offset::ZERO,
        expires: None,
    }
}

fn roll(number: Number) -> Write {
    Write::Roll {
        id: tile("=the-page"),
        slots: vec![Slot(4), Slot(0)],
        numbers: vec![((Slot(0), Column { field: 1, part: 0 }), number)],
        values: Vec::new(),
        expires: None,
    }
}

async fn write(store: &DynamoStore, write: Write) -> Result<Outcome> {
    store.write(&Table::new("views", 1), [write].into()).await.remove(0)
}

fn kind<T: std::fmt::Debug>(result: Result<T>) -> ErrorKind {
    result.unwrap_err().kind()
}

#[tokio::test]
async fn a_write_is_sent_once_and_what_became_of_it_is_said_to_be_unknown() {
    for reply in [Reply::Cuts, Reply::Waits, error(500, "InternalServerError", "oops"), error(503, "X", "down")] {
        for request in [add(Number::Int(1)), fold(10), roll(Number::Int(1))] {
            let server = Server::start(vec![reply.clone()]);
            let store = server.store().await;
            assert_eq!(kind(write(&store, request).await), ErrorKind::Ambiguous);
            assert_eq!(server.operations().len(), 1, "{:?}", server.operations());
        }
    }
}

#[tokio::test]
async fn a_clock_that_is_wrong_costs_one_more_request_at_first() {
    for code in ["InvalidSignatureException", "RequestTimeTooSkewed", "SignatureDoesNotMatch"] {
        for ahead in [-7_200, 7_200] {
            // Right again in the end, as when somebody sets the clock.
            let off = Reply::Checks(ahead, code);
            let server = Server::start(vec![off.clone(), off.clone(), off, Reply::Checks(0, code)]);
            let store = server.store().await;
            for requests in [2, 3, 5, 6] {
                assert_eq!(write(&store, add(Number::Int(1))).await.unwrap(), Outcome::Applied);
                assert_eq!(server.operations().len(), requests, "{code} {ahead}");
            }
        }
    }
}

#[tokio::test]
async fn a_refusal_that_is_not_about_the_clock_is_not_sent_again() {
    let right = Reply::Checks(0, "");
    for (replies, kind_of_error) in [
        // The clock is right, the signature is wrong.
        (vec![error(400, "InvalidSignatureException", "no")], ErrorKind::Denied),
        // What the clock is off by, nobody says.
        (vec![error(400, "RequestTimeTooSkewed", "no"), right.clone()], ErrorKind::Denied),
        (vec![Reply::Checks(7_200, "ThrottlingException"), right], ErrorKind::Unavailable),
    ] {
        let server = Server::start(replies);
        assert_eq!(kind(write(&server.store().await, add(Number::Int(1))).await), kind_of_error);
        assert_eq!(server.operations().len(), 1);
    }
    // Refused by the server's own time too: said after the second time.
    let refused = [Reply::Checks(7_200, "AccessDeniedException"), error(400, "AccessDeniedException", "no")];
    let server = Server::start(refused.into());
    assert_eq!(kind(write(&server.store().await, add(Number::Int(1))).await), ErrorKind::Denied);
    assert_eq!(server.operations().len(), 2);
}

#[tokio::test]
async fn an_answer_that_was_damaged_on_its_way_counts_as_lost() {
    let sum = crc32fast::hash(b"{}");
    for (sum, is_whole) in [(sum, true), (sum + 1, false)] {
        let server = Server::start(vec![Reply::Summed(sum, "{}".into())]);
        let outcome = write(&server.store().await, add(Number::Int(1))).await;
        match outcome {
            Ok(outcome) => assert!(is_whole && outcome == Outcome::Applied),
            Err(error) => assert!(!is_whole && error.kind() == ErrorKind::Ambiguous, "{error}"),
        }
    }
    // Of a proxy that knows better.
    let server = Server::start(vec![Reply::Says(200, "<html>".into())]);
    assert_eq!(kind(write(&server.store().await, add(Number::Int(1))).await), ErrorKind::Ambiguous);
}

#[tokio::test]
async fn a_condition_that_fails_gives_the_item_as_it_stands() {
    let item = r##"{"pk":{"S":"=the-page"},"sk":{"S":"h#1970-01-01T00:00:00#p"},"op":{"B":"AQk="},"b3":{"B":"AP8="}}"##;
    let reply = format!(
        r#"{{"__type":"com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException","Message":"","Item":{item}}}"#
    );
    let server = Server::start(vec![Reply::Says(400, reply)]);
    let stands = Item {
        offsets: vec![(PartitionId::new("p"), Offset::from_u64(9))],
        values: vec![(Slot(3), Bytes::from_static(b"\0\xff"))],
        ..Item::default()
    };
    assert_eq!(write(&server.store().await, fold(10)).await.unwrap(), Outcome::Refused(stands));
}

#[tokio::test]
async fn what_is_put_leaves_room_for_the_mark_of_a_full_tile() {
    let server = Server::start(vec![Reply::Says(200, "{}".into())]);
    let store = server.store().await;
    let full = fold(409_000);
    assert_eq!(kind(write(&store, full.clone()).await), ErrorKind::Oversize);
    assert_eq!(write(&store, fold(407_000)).await.unwrap(), Outcome::Applied);
    assert_eq!(write(&store, full.closing().unwrap()).await.unwrap(), Outcome::Applied);
    assert_eq!(server.operations(), ["putitem", "updateitem"]);
    // Length with the mark, and the first offset: it sorts above all offsets.
    assert!(server.asked.lock().unwrap()[1].1.contains(r#"":l0":{"B":"gA=="}"#));
}

#[tokio::test]
async fn throttling_is_to_be_tried_again_and_lowers_the_limit() {
    for code in ["ProvisionedThroughputExceededException", "ThrottlingException", "RequestLimitExceeded"] {
        let server = Server::start(vec![error(400, code, "slow down")]);
        let store = server.store().await;
        let error = write(&store, add(Number::Int(1))).await.unwrap_err();
        assert!(error.kind() == ErrorKind::Unavailable && error.is_retryable(), "{error}");
        assert_eq!(store.0.limiter.allowed(), 32);
        assert_eq!(server.operations().len(), 1);
    }
}

#[tokio::test]
async fn errors_name_the_table_and_the_way_out() {
    for (code, message, expected, part) in [
        ("ExpiredTokenException", "expired", ErrorKind::Denied, "renew"),
        ("AccessDeniedException", "no", ErrorKind::Denied, "allow"),
        ("ResourceNotFoundException", "no table", ErrorKind::NotFound, "table ensure"),
        ("SerializationException", "what", ErrorKind::Internal, "what"),
    ] {
        let server = Server::start(vec![error(400, code, message)]);
        let error = write(&server.store().await, fold(10)).await.unwrap_err();
        assert_eq!((error.kind(), error.is_retryable()), (expected, false), "{error}");
        let text = error.to_string();
        assert!(text.contains("views_v1") && text.contains(part) && text.contains(&server.endpoint), "{text}");
    }
}

#[tokio::test]
async fn a_table_with_other_keys_belongs_to_somebody_else() {
    let is_foreign = |error: crate::Error| {
        let text = error.to_string();
        assert_eq!(error.kind(), ErrorKind::Foreign, "{text}");
        assert!(text.contains("views_v1") && text.contains("dynamodb://PREFIX"), "{text}");
    };
    let (table, shelf) = (Table::new("views", 1), Table::new("views", 1).shelf());
    for message in [
        "The number of conditions on the keys is invalid",
        "The provided key element does not match the schema",
        "Query condition missed key schema element: id",
        "Query key condition not supported",
        "One of the required keys was not given a value",
        "One or more parameter values were invalid: Missing the key id in the item",
        "One or more parameter values were invalid: Type mismatch for key pk expected: N actual: S",
        "One or more parameter values were invalid: Condition parameter type does not match schema type",
    ] {
        let server = Server::start(vec![error(400, "ValidationException", message)]);
        let store = server.store().await;
        is_foreign(store.records(&shelf, "").await.unwrap_err());
        is_foreign(store.record(&shelf, "p").await.unwrap_err());
        is_foreign(store.put_record(&shelf, "p", Vec::new(), None).await.unwrap_err());
        is_foreign(store.get(&table, &[tile("=a")], Consistency::Strong).await.unwrap_err());
        is_foreign(write(&store, add(Number::Int(1))).await.unwrap_err());
        is_foreign(write(&store, fold(10)).await.unwrap_err());
    }
    let described = r#"{"Table":{"TableName":"views_v1","TableStatus":"ACTIVE",
        "AttributeDefinitions":[{"AttributeName":"id","AttributeType":"S"}],
        "KeySchema":[{"AttributeName":"id","KeyType":"HASH"}]}}"#;
    let server = Server::start(vec![Reply::Says(200, described.into())]);
    is_foreign(server.store().await.ensure(&shelf, &[]).await.unwrap_err());
    assert_eq!(server.operations(), ["describetable"]);
}

/// Runs itself in a process of its own, in which there are none.
#[tokio::test]
async fn only_servers_behind_https_need_certificates() {
    const ALONE: &str = "MURMUR_TEST_WITHOUT_CERTIFICATES";
    if env::var_os(ALONE).is_none() {
        let (_, module) = module_path!().split_once("::").unwrap();
        let name = format!("{module}::only_servers_behind_https_need_certificates");
        for key in [None, Some("murmur")] {
            let mut run = Command::new(env::current_exe().unwrap());
            run.args(["--exact", &name]).env(ALONE, "1").env("SSL_CERT_FILE", "/dev/null").env_remove("SSL_CERT_DIR");
            run.env_remove("AWS_ACCESS_KEY_ID");
            run.envs(key.map(|key| ("AWS_ACCESS_KEY_ID", key))).env("AWS_SECRET_ACCESS_KEY", "murmur");
            let done = run.output().unwrap();
            let said = String::from_utf8_lossy(&done.stdout);
            assert!(done.status.success() && said.contains("1 passed"), "{said}");
        }
        return;
    }
    let server = Server::start(vec![Reply::Says(200, "{}".into())]);
    let store = server.store().await;
    assert_eq!(write(&store, add(Number::Int(1))).await.unwrap(), Outcome::Applied);
    assert_eq!(store.get(&Table::new("views", 1), &[tile("=a")], Consistency::Strong).await.unwrap(), [None]);
    if env::var_os("AWS_ACCESS_KEY_ID").is_some() {
        // Where credentials are looked for, Amazon's client asserts in debug builds that there are certificates.
        return;
    }
    let config = DynamoConfig { endpoint: Some(server.endpoint.replace("http:", "https:")), ..DynamoConfig::new() };
    let error = DynamoStore::open(&config).await.unwrap_err();
    assert!(error.kind() == ErrorKind::Configuration && error.to_string().contains("SSL_CERT_FILE"), "{error}");
}

#[tokio::test]
async fn a_roll_is_one_update_without_a_condition() {
    for number in [Number::Int(7), Number::Float { sum: 0.5, rest: 0.0 }] {
        let server = Server::start(vec![Reply::Says(200, "{}".into())]);
        let store = server.store().await;
        assert_eq!(write(&store, roll(number)).await.unwrap(), Outcome::Applied);
        assert_eq!(server.operations(), ["updateitem"]);
        let sent = server.asked.lock().unwrap()[0].1.clone();
        assert!(sent.contains(r#""UpdateExpression":"ADD v :v, r :r SET n1s0 = :a0""#), "{sent}");
        assert!(sent.contains(r#"":r":{"NS":["4","0"]}"#), "{sent}");
        assert!(!sent.contains("Condition"), "there is none, and so no reason for one that fails: {sent}");
    }
}

#[tokio::test]
async fn an_item_that_is_too_large_names_its_tile() {
    let mark = Mark::of("=the-page").to_string();
    let is_named = |error: &Error| error.to_string().contains(&mark) && !error.to_string().contains("the-page");
    let server =
        Server::start(vec![error(400, "ValidationException", "Item size has exceeded the maximum allowed size")]);
    let store = server.store().await;
    let large = Write::Roll {
        id: tile("=the-page"),
        slots: vec![Slot(0)],
        numbers: Vec::new(),
        values: vec![(Slot(0), Bytes::from(vec![0; 410_000]))],
        expires: None,
    };
    for request in [fold(410_000), large] {
        let error = write(&store, request).await.unwrap_err();
        assert!(server.operations().is_empty(), "known before it was sent");
        assert_eq!(error.kind(), ErrorKind::Oversize);
        assert!(is_named(&error), "{error}");
    }
    // What an addition or a roll makes of the item, only the server knows.
    for request in [add(Number::Int(1)), roll(Number::Int(1))] {
        let error = write(&store, request).await.unwrap_err();
        assert!(error.kind() == ErrorKind::Oversize && is_named(&error), "{error}");
    }
}

#[tokio::test]
async fn keys_that_dynamodb_cannot_hold_are_refused_before_they_are_sent() {
    let server = Server::start(vec![Reply::Cuts]);
    let store = server.store().await;
    let part = Some(PartitionId::new("p".repeat(1_010)));
    let request = Write::Put {
        id: TileId { part, ..tile("=a") },
        values: Vec::new(),
        first: Offset::ZERO,
        last: Offset::ZERO,
        expires: None,
    };
    assert_eq!(kind(write(&store, request).await), ErrorKind::InvalidArgument);
    assert!(server.operations().is_empty());
}

#[tokio::test]
async fn what_a_batch_leaves_out_is_asked_for_again() {
    let key = |name: &str| format!(r##"{{"pk":{{"S":"{name}"}},"sk":{{"S":"h#1970-01-01T00:00:00"}}}}"##);
    let item = |name: &str| key(name).replacen('{', r#"{"n1s0":{"N":"7"},"#, 1);
    let left = format!(r#"{{"views_v1":{{"Keys":[{}]}}}}"#, key("=b"));
    let server = Server::start(vec![
        Reply::Says(200, format!(r#"{{"Responses":{{"views_v1":[{}]}},"UnprocessedKeys":{left}}}"#, item("=a"))),
        Reply::Says(200, format!(r#"{{"Responses":{{}},"UnprocessedKeys":{left}}}"#)),
        Reply::Says(200, format!(r#"{{"Responses":{{"views_v1":[{}]}},"UnprocessedKeys":{{}}}}"#, item("=b"))),
    ]);
    let store = server.store().await;
    let ids = [tile("=b"), tile("=a"), tile("=b")];
    let items = store.get(&Table::new("views", 1), &ids, Consistency::Strong).await.unwrap();
    let seven = Item { numbers: vec![((Slot(0), Column { field: 1, part: 0 }), Number::Int(7))], ..Item::default() };
    assert_eq!(items, [Some(seven.clone()), Some(seven.clone()), Some(seven)]);
    assert_eq!(server.operations(), ["batchgetitem"; 3]);
    let first = server.asked.lock().unwrap()[0].1.clone();
    assert_eq!(first.matches("=b").count(), 1, "no key stands twice: {first}");
    assert!(first.contains("\"ConsistentRead\":true"), "{first}");
}

#[tokio::test]
async fn a_batch_that_makes_no_progress_is_given_up() {
    let left = r##"{"views_v1":{"Keys":[{"pk":{"S":"=a"},"sk":{"S":"h#1970-01-01T00:00:00"}}]}}"##;
    let server = Server::start(vec![Reply::Says(200, format!(r#"{{"Responses":{{}},"UnprocessedKeys":{left}}}"#))]);
    let store = server.store().await;
    let got = store.get(&Table::new("views", 1), &[tile("=a")], Consistency::Eventual).await;
    assert_eq!(kind(got), ErrorKind::Unavailable);
}

#[tokio::test]
async fn reads_are_tried_again() {
    let server = Server::start(vec![error(500, "InternalServerError", "oops"), Reply::Says(200, "{}".into())]);
    let store = server.store().await;
    assert_eq!(store.get(&Table::new("views", 1), &[tile("=a")], Consistency::Strong).await.unwrap(), [None]);
    assert_eq!(server.operations(), ["batchgetitem"; 2]);
}

/// A put that lost to another writer begins anew from what stands there.
#[tokio::test]
async fn floats_are_added_to_what_stands_there_at_the_moment() {
    let item = |sum: &str, writes: u64| {
        format!(
            r##"{{"pk":{{"S":"=the-page"}},"sk":{{"S":"h#1970-01-01T00:00:00"}},"v":{{"N":"{writes}"}},"n1s0":{{"L":[{{"N":"{sum}"}},{{"N":"0"}}]}}}}"##
        )
    };
    let lost = format!(
        r#"{{"__type":"com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException","message":"","Item":{}}}"#,
        item("40", 8)
    );
    let server = Server::start(vec![
        Reply::Says(200, format!(r#"{{"Item":{}}}"#, item("10", 7))),
        Reply::Says(400, lost),
        Reply::Says(200, "{}".into()),
    ]);
    let store = server.store().await;
    let outcome = write(&store, add(Number::Float { sum: 0.5, rest: 0.0 })).await.unwrap();
    assert_eq!(outcome, Outcome::Applied);
    assert_eq!(server.operations(), ["getitem", "putitem", "putitem"]);
    let last = server.asked.lock().unwrap()[2].1.clone();
    assert!(
        last.contains("4.05e1") && last.contains(r#""v":{"N":"9"}"#) && last.contains(r#"":v":{"N":"8"}"#),
        "{last}"
    );
}

#[test]
#[cfg(feature = "metrics")]
fn units_throttles_and_sizes_are_measured() {
    use crate::metrics::catalogue::*;

    let done = Reply::Says(200, r#"{"ConsumedCapacity":{"TableName":"views_v1","CapacityUnits":3.0}}"#.into());
    let found = r#"{"Responses":{},"UnprocessedKeys":{},"ConsumedCapacity":[{"CapacityUnits":2.0}]}"#;
    let replies = vec![done, error(400, "ThrottlingException", "slow down"), Reply::Says(200, found.into())];
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let moved = crate::metrics::tests::moved(|| {
        runtime.block_on(async {
            let server = Server::start(replies);
            let store = server.store().await;
            write(&store, fold(10)).await.unwrap();
            write(&store, fold(10)).await.unwrap_err();
            store.get(&Table::new("views", 1), &[tile("=a")], Consistency::Eventual).await.unwrap();
        });
    });
    let values = [STORE_WRITE_UNITS, STORE_THROTTLED, STORE_READ_UNITS, ITEM_BYTES].map(|metric| moved[metric.name]);
    assert_eq!(values, [3.0, 1.0, 2.0, 2.0]);
}
