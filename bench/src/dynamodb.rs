//! What a conditional write to DynamoDB costs the client. The server is the one that `MURMUR_TEST_DYNAMODB` names; it
//! shares the machine, so wall time is mostly its own.
//!
//! The variants with `-sdk` send the same requests by Amazon's SDK alone, without what a store does around them.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use aws_config::Region;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::config::{Credentials, StalledStreamProtectionConfig};
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_dynamodb::types::ReturnConsumedCapacity::Total;
use aws_sdk_dynamodb::types::ReturnValuesOnConditionCheckFailure::AllOld;
use aws_smithy_http_client::tls;
use bytes::Bytes;
use futures_util::stream::{self, StreamExt};
use murmur::source::{Offset, PartitionId};
use murmur::store::{
    Applied, Column, Consistency, DynamoConfig, DynamoStore, Number, Outcome, Store, Table, TileId, Write,
};
use murmur::time::{Level, Slot, Tile, Timestamp};
use serde_json::Map;

use crate::measurement::Measurement;
use crate::resources::{Meter, Used};

/// Tiles that the writes go round over, and so one call.
const TILES: u64 = 1_000;

/// One line per kind of write; `events` counts writes.
pub(crate) fn measure(
    events: Option<u64>,
    keys: Option<u64>,
    report: &mut dyn FnMut(Measurement),
) -> Result<(), String> {
    let endpoint = std::env::var("MURMUR_TEST_DYNAMODB")
        .map_err(|_| "MURMUR_TEST_DYNAMODB names no DynamoDB server, such as http://127.0.0.1:18000")?;
    let (writes, tiles) = (events.unwrap_or(10_000), keys.unwrap_or(TILES));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| error.to_string())?;
    for kind in [Kind::Add, Kind::Put, Kind::AddFloat] {
        let measured = runtime.block_on(run(kind, &endpoint, writes, tiles));
        report(measured.map_err(|error| error.to_string())?);
        if kind != Kind::AddFloat {
            let measured = runtime.block_on(run_sdk(kind, &endpoint, writes, tiles));
            report(measured.map_err(|error| error.to_string())?);
        }
    }
    Ok(())
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    /// Form A, as DynamoDB adds it.
    Add,
    /// Form A with a float, which is read first.
    AddFloat,
    /// Form B.
    Put,
}

impl Kind {
    fn variant(self) -> &'static str {
        match self {
            Self::Add => "add",
            Self::AddFloat => "add-float",
            Self::Put => "put-1k",
        }
    }

    fn id(self, tile: u64) -> TileId {
        let part = (self == Self::Put).then(|| PartitionId::new("k:0"));
        let place = Tile { level: Level::Hour, start: Timestamp::EPOCH };
        TileId { key: format!("=page-{tile:06}").into(), tile: place, part }
    }

    fn write(self, tile: u64, round: u64) -> Write {
        let (id, last) = (self.id(tile), Offset::from_u64(round));
        if self == Self::Put {
            let value = Bytes::from(vec![round as u8; 1_024]);
            return Write::Put { id, values: vec![(Slot(0), value)], first: last, last, expires: Some(Timestamp::MAX) };
        }
        let number = match self {
            Self::AddFloat => Number::Float { sum: 0.5, rest: 0.0 },
            _ => Number::Int(1),
        };
        Write::Add {
            id,
            numbers: vec![((Slot(7), Column { field: 1, part: 0 }), number)],
            applied: vec![Applied { partition: PartitionId::new("k:0"), first: last, last }],
            expires: Some(Timestamp::MAX),
        }
    }
}

/// A store on tables of its own, and what stands before their names.
async fn store(name: &str, endpoint: &str) -> murmur::Result<(Arc<dyn Store>, String)> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    let prefix = format!("bench{now}-{name}-");
    let config = DynamoConfig { prefix: prefix.clone(), endpoint: Some(endpoint.to_owned()), ..DynamoConfig::new() };
    let store: Arc<dyn Store> = Arc::new(DynamoStore::open(&config).await?);
    store.ensure(&table().shelf(), &[]).await?;
    Ok((store, prefix))
}

fn table() -> Table {
    Table::new("bench", 1)
}

async fn run(kind: Kind, endpoint: &str, writes: u64, tiles: u64) -> murmur::Result<Measurement> {
    let (store, _) = store(kind.variant(), endpoint).await?;
    let table = table();
    let rounds = writes.div_ceil(tiles);
    let round = |round: u64| (0..tiles).map(|tile| kind.write(tile, round)).collect::<Vec<_>>();
    // The first round makes the items, and warms the connections.
    let mut applied = all_applied(&store.write(&table, round(1).into()).await);
    let meter = Meter::start();
    for n in 2..rounds + 2 {
        applied &= all_applied(&store.write(&table, round(n).into()).await);
    }
    let used = meter.used();
    finish(kind, &*store, kind.variant().to_owned(), (rounds, tiles), applied, used).await
}

/// Look whether everything is there.
async fn finish(
    kind: Kind,
    store: &dyn Store,
    variant: String,
    (rounds, tiles): (u64, u64),
    applied: bool,
    used: Used,
) -> murmur::Result<Measurement> {
    let table = table();
    let ids: Vec<TileId> = (0..tiles).map(|tile| kind.id(tile)).collect();
    let items = store.get(&table, &ids, Consistency::Strong).await?;
    let is_exact = |item: &murmur::store::Item| match kind {
        Kind::Put => item.values == [(Slot(0), Bytes::from(vec![(rounds + 1) as u8; 1_024]))],
        Kind::Add => matches!(item.numbers[..], [(_, Number::Int(n))] if n == i128::from(rounds + 1)),
        Kind::AddFloat => {
            matches!(item.numbers[..], [(_, Number::Float { sum, .. })] if sum == (rounds + 1) as f64 / 2.0)
        }
    };
    let exact = applied && items.iter().all(|item| item.as_ref().is_some_and(is_exact));
    let events = rounds * tiles;
    let mut more = Map::new();
    more.insert("us_cpu_per_write".into(), ((used.cpu_s * 1e7 / events as f64).round() / 10.0).into());
    more.insert("writes_per_s".into(), (events as f64 / used.wall_s).round().into());
    Ok(Measurement { name: "dynamodb", variant, events, used, exact, ratio: None, more })
}

/// The same requests by the SDK.
async fn run_sdk(
    kind: Kind,
    endpoint: &str,
    writes: u64,
    tiles: u64,
) -> Result<Measurement, Box<dyn std::error::Error>> {
    let variant = format!("{}-sdk", kind.variant());
    let (store, prefix) = store(&variant, endpoint).await?;
    let http = aws_smithy_http_client::Builder::new()
        .tls_provider(tls::Provider::Rustls(tls::rustls_provider::CryptoMode::Ring))
        .build_https();
    let shared = aws_config::defaults(aws_config::BehaviorVersion::v2026_01_12())
        .http_client(http)
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
        .region(Region::from_static("us-east-1"))
        .endpoint_url(endpoint)
        .credentials_provider(Credentials::new("murmur", "murmur", None, None, "loopback"));
    let builder = aws_sdk_dynamodb::config::Builder::from(&shared.load().await).retry_config(RetryConfig::disabled());
    let client = Client::from_conf(builder.build());
    let table = format!("{prefix}{}", table().as_str());
    let rounds = writes.div_ceil(tiles);
    let mut applied = true;
    let mut meter = Meter::start();
    for round in 1..rounds + 2 {
        if round == 2 {
            meter = Meter::start();
        }
        let requests = (0..tiles).map(|tile| send_sdk(&client, &table, kind, tile, round));
        applied &= stream::iter(requests).buffer_unordered(IN_FLIGHT).all(async |sent| sent).await;
    }
    let used = meter.used();
    Ok(finish(kind, &*store, variant, (rounds, tiles), applied, used).await?)
}

/// As many as the store has.
const IN_FLIGHT: usize = 64;

async fn send_sdk(client: &Client, table: &str, kind: Kind, tile: u64, round: u64) -> bool {
    let text = |text: String| AttributeValue::S(text);
    let number = |number: i64| AttributeValue::N(number.to_string());
    let mut offset = Vec::new();
    Offset::from_u64(round).encode(&mut offset);
    let offset = AttributeValue::B(Blob::new(offset));
    let key = text(format!("=page-{tile:06}"));
    let expires = number(Timestamp::MAX.as_micros() / 1_000_000 + 1);
    match kind {
        Kind::Put => client
            .put_item()
            .table_name(table)
            .item("pk", key)
            .item("sk", text("h#1970-01-01T00:00:00#k:0".to_owned()))
            .item("b0", AttributeValue::B(Blob::new(vec![round as u8; 1_024])))
            .item("ok:0", offset.clone())
            .item("x", expires)
            .condition_expression("attribute_not_exists(#0) OR #0 < :l")
            .expression_attribute_names("#0", "ok:0")
            .expression_attribute_values(":l", offset)
            .return_values_on_condition_check_failure(AllOld)
            .return_consumed_capacity(Total)
            .send()
            .await
            .is_ok(),
        Kind::Add | Kind::AddFloat => client
            .update_item()
            .table_name(table)
            .key("pk", key)
            .key("sk", text("h#1970-01-01T00:00:00".to_owned()))
            .update_expression("ADD v :v, n1s7 :a0 SET #0 = :l0, x = :x")
            .condition_expression("(attribute_not_exists(v) OR v < :w) AND (attribute_not_exists(#0) OR #0 < :f0)")
            .expression_attribute_names("#0", "ok:0")
            .expression_attribute_values(":v", number(1))
            .expression_attribute_values(":a0", number(1))
            .expression_attribute_values(":w", number(100_000_000_000))
            .expression_attribute_values(":f0", offset.clone())
            .expression_attribute_values(":l0", offset)
            .expression_attribute_values(":x", expires)
            .return_values_on_condition_check_failure(AllOld)
            .return_consumed_capacity(Total)
            .send()
            .await
            .is_ok(),
    }
}

fn all_applied(outcomes: &[murmur::Result<Outcome>]) -> bool {
    outcomes.iter().all(|outcome| matches!(outcome, Ok(Outcome::Applied)))
}
