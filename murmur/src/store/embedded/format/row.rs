//! The keys of rows, and of instants of expiry.

use bytes::{Buf, BufMut};

use super::corrupt;
use crate::Result;
use crate::key::Mark;
use crate::source::PartitionId;
use crate::store::TileId;
use crate::time::{Level, Tile, Timestamp};

pub(in crate::store::embedded) fn encode_row(id: &TileId) -> Vec<u8> {
    let mut out = Vec::with_capacity(id.key.len() + 24);
    push_row(id, &mut out);
    out
}

/// Append the row of a tile.
pub(in crate::store::embedded) fn push_row(id: &TileId, out: &mut Vec<u8>) {
    push_prefix(&id.key, id.tile.level, out);
    out.put_u64(ordered(id.tile.start));
    if let Some(part) = &id.part {
        out.push(1);
        out.extend_from_slice(part.as_str().as_bytes());
    }
}

/// The row of the first tile of this key and level that starts at `start` or later.
pub(in crate::store::embedded) fn encode_bound(key: &str, level: Level, start: Timestamp) -> Vec<u8> {
    let mut out = Vec::with_capacity(key.len() + 24);
    push_prefix(key, level, &mut out);
    out.put_u64(ordered(start));
    out
}

fn push_prefix(key: &str, level: Level, out: &mut Vec<u8>) {
    for (n, part) in key.as_bytes().split(|byte| *byte == 0).enumerate() {
        if n > 0 {
            out.extend_from_slice(&[0, 0xff]);
        }
        out.extend_from_slice(part);
    }
    out.extend_from_slice(&[0, 0, level.letter() as u8]);
}

/// Read what [`encode_row`] wrote.
pub(in crate::store::embedded) fn decode_row(row: &[u8]) -> Result<TileId> {
    row_parts(row).ok_or_else(|| corrupt(&format!("the row {} of {} bytes", Mark::of(row), row.len())))
}

pub(super) fn row_parts(row: &[u8]) -> Option<TileId> {
    let mut key = Vec::with_capacity(row.len());
    let mut rest = row;
    loop {
        match rest {
            [0, 0xff, after @ ..] => {
                key.push(0);
                rest = after;
            }
            [0, 0, after @ ..] => {
                rest = after;
                break;
            }
            [0, ..] | [] => return None,
            [byte, after @ ..] => {
                key.push(*byte);
                rest = after;
            }
        }
    }
    let key = String::from_utf8(key).ok()?.into();
    let level = Level::from_letter(char::from(rest.try_get_u8().ok()?))?;
    let start = Timestamp::exactly(unordered(rest.try_get_u64().ok()?))?;
    let part = match rest {
        [] => None,
        [1, name @ ..] => Some(PartitionId::new(std::str::from_utf8(name).ok()?)),
        _ => return None,
    };
    Some(TileId { key, tile: Tile { level, start }, part })
}

/// The row in the index of what expires.
pub(in crate::store::embedded) fn encode_expiry(expires: Timestamp, row: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(8 + row.len());
    out.put_u64(ordered(expires));
    out.extend_from_slice(row);
    out
}

/// The row that an entry of that index names.
pub(in crate::store::embedded) fn row_of_expiry(entry: &[u8]) -> &[u8] {
    entry.get(8..).unwrap_or_default()
}

/// What all entries of that index lie before that have expired by `now`.
pub(in crate::store::embedded) fn expiry_bound(now: Timestamp) -> [u8; 8] {
    (ordered(now) + 1).to_be_bytes()
}

/// With the sign moved, so that the big-endian bytes compare as the instants do. Never the largest number.
fn ordered(at: Timestamp) -> u64 {
    at.as_micros() as u64 ^ (1 << 63)
}

fn unordered(ordered: u64) -> i64 {
    (ordered ^ (1 << 63)) as i64
}
