//! The bytes of a sketch, in the one spelling that its counts have.
//!
//! ```text
//!  0 preamble longs: 1 empty, 4 otherwise      8  u32 number of items
//!  1 serial version, 1                        12  u32 0
//!  2 family, 10                               16  u64 occurrences of all items
//!  3 log2 of the largest map                  24  u64 offset
//!  4 log2 of the present map                  32  u64 counts, one per item
//!  5 flags: 5 empty                               items: u32 length, UTF-8
//!  6 u16 0
//! ```
//!
//! All numbers are little-endian. Items are written in order of their bytes, with the smallest map that holds them.
//! Reading takes what the other DataSketches write: items in any order, and any map up to ours.

use super::{MAX_ITEM_BYTES, Sketch, capacity};

const SERIAL_VERSION: u8 = 1;
const FAMILY: u8 = 10;
const EMPTY: u8 = 5;
const MIN_LG_PLACES: u8 = 3;
const HEADER: usize = 32;

/// The longest that is written.
pub(super) const fn max_bytes(capacity: usize) -> usize {
    HEADER + capacity * (8 + 4 + MAX_ITEM_BYTES)
}

pub(super) fn write(sketch: &Sketch, lg_max: u8, out: &mut Vec<u8>) {
    let Sketch { counts, offset, total } = sketch;
    if *total == 0 {
        out.extend([1, SERIAL_VERSION, FAMILY, lg_max, MIN_LG_PLACES, EMPTY, 0, 0]);
        return;
    }
    let lg = (MIN_LG_PLACES..lg_max).find(|lg| counts.len() <= capacity(*lg)).unwrap_or(lg_max);
    out.extend([4, SERIAL_VERSION, FAMILY, lg_max, lg, 0, 0, 0]);
    out.extend((counts.len() as u64).to_le_bytes());
    out.extend(total.to_le_bytes());
    out.extend(offset.to_le_bytes());
    let mut counts: Vec<_> = counts.iter().collect();
    counts.sort_unstable();
    out.extend(counts.iter().flat_map(|(_, count)| count.to_le_bytes()));
    for (item, _) in counts {
        out.extend((item.len() as u32).to_le_bytes());
        out.extend_from_slice(item);
    }
}

/// Takes its parts from the front of bytes.
struct Parts<'a>(&'a [u8]);

impl<'a> Parts<'a> {
    fn bytes(&mut self, length: usize) -> Result<&'a [u8], String> {
        let (part, rest) = self.0.split_at_checked(length).ok_or("it ends too early")?;
        self.0 = rest;
        Ok(part)
    }

    fn array<const LENGTH: usize>(&mut self) -> Result<[u8; LENGTH], String> {
        let (part, rest) = self.0.split_first_chunk().ok_or("it ends too early")?;
        self.0 = rest;
        Ok(*part)
    }

    fn u32(&mut self) -> Result<usize, String> {
        self.array().map(|bytes| u32::from_le_bytes(bytes) as usize)
    }

    fn u64(&mut self) -> Result<u64, String> {
        self.array().map(u64::from_le_bytes)
    }
}

pub(super) fn read(bytes: &[u8], lg_max: u8) -> Result<Sketch, String> {
    let mut parts = Parts(bytes);
    let [longs, version, family, its_lg_max, _, flags, _, _] = parts.array()?;
    if (version, family) != (SERIAL_VERSION, FAMILY) {
        return Err(format!("version {version} of family {family}, expected {SERIAL_VERSION} of {FAMILY} (frequency)"));
    }
    if its_lg_max != lg_max {
        return Err(format!("its map has up to 2^{its_lg_max} places, expected 2^{lg_max}; the two cannot be merged"));
    }
    let empty = match longs & 0x3f {
        1 => true,
        4 => false,
        longs => return Err(format!("a header of {longs} longs does not exist")),
    };
    if empty != (flags & EMPTY != 0) {
        return Err("its header and its flags disagree on whether it is empty".into());
    }
    if empty {
        return if parts.0.is_empty() { Ok(Sketch::default()) } else { Err("bytes follow its end".into()) };
    }
    let items = parts.u32()?;
    if items > capacity(lg_max) {
        return Err(format!("it has {items} items, more than {}", capacity(lg_max)));
    }
    parts.u32()?;
    let (total, offset) = (parts.u64()?, parts.u64()?);
    let (counts, _) = parts.bytes(8 * items)?.as_chunks();
    let mut sketch = Sketch { total, offset, ..Sketch::default() };
    // No more is set aside than the bytes can hold: the counts of all items are there.
    sketch.counts.reserve(items);
    let mut counted = offset;
    for count in counts.iter().map(|count| u64::from_le_bytes(*count)) {
        let length = parts.u32()?;
        if length > MAX_ITEM_BYTES {
            return Err(format!("it has an item of {length} bytes, more than {MAX_ITEM_BYTES}"));
        }
        let item = parts.bytes(length)?;
        std::str::from_utf8(item).map_err(|error| format!("an item is not UTF-8: {error}"))?;
        let sum = counted.checked_add(count).filter(|sum| *sum <= total && count > 0);
        counted = sum.ok_or_else(|| format!("its counts do not add up to its total of {total}"))?;
        if sketch.counts.insert(item.into(), count).is_some() {
            return Err("it has an item twice".into());
        }
    }
    if counted > total || total == 0 {
        return Err(format!("its counts do not add up to its total of {total}"));
    }
    if !parts.0.is_empty() {
        return Err("bytes follow its end".into());
    }
    Ok(sketch)
}
