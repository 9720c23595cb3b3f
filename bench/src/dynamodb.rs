//! What a conditional write to DynamoDB costs the client. The server is the one that `MURMUR_TEST_DYNAMODB` names; it
//! shares the machine, so wall time is mostly its own.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use murmur::source::{Offset, PartitionId};
use murmur::store::{
    Applied, Column, Consistency, DynamoConfig, DynamoStore, Number, Outcome, Store, Table, TileId, Write,
};
use murmur::time::{Level, Slot, Tile, Timestamp};
use serde_json::Map;

use crate::measurement::Measurement;
use crate::resources::Meter;

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
    for kind in [Kind::Add, Kind::AddFloat, Kind::Put] {
        let measured = runtime.block_on(run(kind, &endpoint, writes, tiles));
        report(measured.map_err(|error| error.to_string())?);
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

async fn run(kind: Kind, endpoint: &str, writes: u64, tiles: u64) -> murmur::Result<Measurement> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    let prefix = format!("bench{now}-{}-", kind.variant());
    let config = DynamoConfig { prefix, endpoint: Some(endpoint.to_owned()), ..DynamoConfig::new() };
    let store: Arc<dyn Store> = Arc::new(DynamoStore::open(&config).await?);
    let table = Table::new("bench", 1);
    store.ensure(&table.shelf(), &[]).await?;
    let rounds = writes.div_ceil(tiles);
    let round = |round: u64| (0..tiles).map(|tile| kind.write(tile, round)).collect::<Vec<_>>();
    // The first round makes the items, and warms the connections.
    let mut applied = all_applied(&store.write(&table, &round(1)).await);
    let meter = Meter::start();
    for n in 2..rounds + 2 {
        applied &= all_applied(&store.write(&table, &round(n)).await);
    }
    let used = meter.used();
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
    Ok(Measurement { name: "dynamodb", variant: kind.variant().to_owned(), events, used, exact, ratio: None, more })
}

fn all_applied(outcomes: &[murmur::Result<Outcome>]) -> bool {
    outcomes.iter().all(|outcome| matches!(outcome, Ok(Outcome::Applied)))
}
