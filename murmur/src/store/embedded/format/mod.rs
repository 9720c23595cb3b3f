//! What stands on disk.
//!
//! ```text
//! PATH/lock         locked while open, holds the process id
//! PATH/tiles.redb   one redb database:
//!   meta            "format" -> 3
//!   sources         name -> record
//!   tiles/<table>   row  -> item
//!   records/<table> name -> record
//!   expiry/<table>  instant of expiry (8 bytes, order-preserving) | row -> nothing
//!
//! record version (8 bytes, little endian) | bytes | crc32 of all before (4 bytes, little endian)
//! row    key, with 00 written 00 FF | 00 00 | letter of the level | start (8 bytes, order-preserving)
//!        | nothing, or 01 and the name of the part
//! item   02 | 00, or 01 and instant of expiry (8 bytes, little endian)
//!        | varint n, n times: varint length, name of the partition, offset (`Offset::encode`)
//!        | varint n, n times: varint slot step, varint field, varint part * 2 + float?, zigzag varint or two doubles
//!        | varint n, n times: varint slot step, varint length, bytes
//!        | varint n, n times: varint slot step of a slot that is rolled
//!        | crc32 of all before (4 bytes, little endian)
//! ```
//!
//! Rows compare as bytes, in the order key, level, start, part; so the tiles of a key that lie one after the other in
//! time are one range. A slot step is the distance from the slot before. An hour of minute counters from one
//! partition takes about 300 bytes. Everything here is redb's own page format underneath, which carries checksums of
//! its own for what a crash tears; the crc32 is for what happens to a value on its way through memory and disk.

mod item;
mod names;
mod row;
#[cfg(test)]
mod tests;
mod varint;

use bytes::{Buf, BufMut};
use redb::TableDefinition;

use crate::source::{Record, Version};
use crate::{Error, ErrorKind, Result};

pub(super) use item::{PartitionNames, decode_item, encode_item};
pub(super) use names::{Names, ShelfName};
pub(super) use row::{decode_row, encode_bound, encode_expiry, encode_row, expiry_bound, push_row, row_of_expiry};

pub(super) const FORMAT: u64 = 3;
pub(super) const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");

const CHECKSUM: usize = 4;

pub(super) fn encode_record(bytes: &[u8], version: Version) -> Vec<u8> {
    let mut out = Vec::with_capacity(8 + bytes.len() + CHECKSUM);
    out.put_u64_le(version.0);
    out.extend_from_slice(bytes);
    seal(&mut out);
    out
}

/// Read what [`encode_record`] wrote.
pub(super) fn decode_record(name: &str, bytes: &[u8]) -> Result<Record> {
    let record = || {
        let mut rest = unseal(bytes)?;
        let version = Version(rest.try_get_u64_le().ok()?);
        Some(Record { bytes: rest.to_vec(), version })
    };
    record().ok_or_else(|| corrupt(&format!("record `{}`", name.escape_debug())))
}

fn corrupt(what: &str) -> Error {
    let context = format!(
        "the stored bytes of {what} do not decode, and are left as they are; restore the store from a copy, or \
         replay the source into a new generation"
    );
    Error::new(ErrorKind::Corrupt, context)
}

fn seal(out: &mut Vec<u8>) {
    out.put_u32_le(crc32fast::hash(out));
}

fn unseal(bytes: &[u8]) -> Option<&[u8]> {
    let (body, checksum) = bytes.split_last_chunk::<CHECKSUM>()?;
    (crc32fast::hash(body) == u32::from_le_bytes(*checksum)).then_some(body)
}
