//! What an item costs that the store adds to, and many partitions.

use super::client::{Answer, Operation};
use super::expression::Expression;
use super::format::{encode_offset, offset_name, tile_key};
use super::sizes::{size, value_size};
use super::wire::Request;
use super::*;
use crate::aggregate::{Column, Number};
use crate::source::{Offset, PartitionId};
use crate::store::{Applied, Outcome, Store, Table, TileId, Write};
use crate::time::{Level, Slot, Tile, Timestamp};

/// A hundred million messages into a partition of Kafka.
const AT: u64 = 100_000_000;

/// One of Kafka, with the id of a topic.
fn applied(number: u64, offset: u64) -> Applied {
    let partition = PartitionId::new(format!("k:{}:{number}", "x".repeat(22)));
    Applied { partition, first: Offset::from_u64(offset), last: Offset::from_u64(offset) }
}

/// A count in each of the 60 minutes of an hour.
fn numbers() -> Vec<((Slot, Column), Number)> {
    (0..60).map(|slot| ((Slot(slot), Column { field: 1, part: 0 }), Number::Int(1_000))).collect()
}

#[tokio::test]
#[ignore = "makes the table of docs/decisions/offsets-of-many-partitions.md, on the server that MURMUR_TEST_DYNAMODB names"]
#[allow(clippy::print_stdout, reason = "the table")]
async fn what_the_offsets_of_many_partitions_cost() {
    let endpoint = std::env::var("MURMUR_TEST_DYNAMODB").expect("MURMUR_TEST_DYNAMODB names no server");
    let prefix = format!("offsets-{}-", std::process::id());
    let store =
        DynamoStore::open(&DynamoConfig::parse(&format!("dynamodb://{prefix}?endpoint={endpoint}")).unwrap()).await;
    let (store, table) = (store.unwrap(), Table::new("counts", 1));
    store.ensure(&table.shelf(), &[]).await.unwrap();
    let name = store.0.table_name(&table);
    println!("| partitions | bytes of the item | of them offsets | write units of an update | read units, strongly |");
    println!("|---|---|---|---|---|");
    for partitions in [1, 8, 40, 100, 250, 1_000] {
        let tile = Tile { level: Level::Hour, start: Timestamp::from_seconds(0) };
        let id = TileId { key: format!("={partitions}").into(), tile, part: None };
        for from in (0..partitions).step_by(50) {
            let applied = (from..partitions.min(from + 50)).map(|number| applied(number, AT)).collect();
            let write = Write::Add { id: id.clone(), numbers: numbers(), applied, expires: None };
            assert_eq!(store.write(&table, [write].into()).await.remove(0).unwrap(), Outcome::Applied);
        }
        // One event of one partition, which is what most flushes of a key have that is spread over all of them.
        let one = Expression::add(&numbers()[..1], &[applied(0, AT + 1)], None).unwrap();
        let answer = store.0.clients.writes.send(Operation::Update, Request::update(&name, &tile_key(&id), &one)).await;
        let Answer::Done(Some(written)) = answer else { panic!("the update was not carried out") };
        let read =
            store.0.clients.reads.get_item().table_name(&name).set_key(Some(tile_key(&id))).consistent_read(true);
        let read = read.return_consumed_capacity(aws_sdk_dynamodb::types::ReturnConsumedCapacity::Total).send().await;
        let read = read.unwrap();
        let units = read.consumed_capacity().and_then(|capacity| capacity.capacity_units).unwrap();
        let bytes = size(&read.item.unwrap());
        let offset = |number| {
            let Applied { partition, last, .. } = applied(number, AT);
            offset_name(&partition).len() + value_size(&encode_offset(last))
        };
        let offsets: usize = (0..partitions).map(offset).sum();
        println!("| {partitions} | {bytes} | {offsets} | {written} | {units} |");
        assert_eq!(written as usize, bytes.div_ceil(1024), "the server counts the item otherwise");
    }
}
