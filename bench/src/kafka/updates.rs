//! A bare loop of the updates that a worker makes, for what the server takes at most: the same client, as many requests
//! at the same time, and nothing else to do.

use std::sync::Arc;
use std::time::Instant;

use murmur::source::{Offset, PartitionId};
use murmur::store::{Applied, Column, Number, Outcome, Store, Table, TileId, Write};
use murmur::time::{Level, Slot, Tile, Timestamp};

use super::Result;
use super::stream::text;

/// Writes of one loop.
const WRITES: u64 = 5_000;

/// Writes per second into a new table of this name, each of a tile that is not there yet, as in the first flush of a
/// worker: three hours of a day, of one partition.
pub(super) async fn per_second(store: &Arc<dyn Store>, name: &str) -> Result<f64> {
    let table = Table::new(name, 1);
    store.ensure(&table.shelf(), &[]).await.map_err(text)?;
    let writes: Vec<Write> = (0..WRITES).map(update).collect();
    let began = Instant::now();
    let outcomes = store.write(&table, writes.into()).await;
    let seconds = began.elapsed().as_secs_f64();
    for outcome in outcomes {
        if let Outcome::Refused(_) = outcome.map_err(text)? {
            return Err("an update of the bare loop was refused".into());
        }
    }
    Ok(WRITES as f64 / seconds)
}

fn update(page: u64) -> Write {
    let tile = Tile { level: Level::Day, start: Timestamp::EPOCH };
    let (first, last) = (Offset::from_u64(page), Offset::from_u64(page + WRITES));
    Write::Add {
        id: TileId { key: format!("=page-{page:08}").into(), tile, part: None },
        numbers: (21..24).map(|hour| ((Slot(hour), Column { field: 1, part: 0 }), Number::Int(1))).collect(),
        applied: vec![Applied { partition: PartitionId::new("k:AAAAAAAAAAAAAAAAAAAAAA:0"), first, last }],
        expires: Some(Timestamp::MAX),
    }
}
