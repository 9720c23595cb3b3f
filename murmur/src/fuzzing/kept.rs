//! What stands around values, and positions.

use super::{bounded, must};
use crate::aggregate::{Count, envelope as sealing};
use crate::engine::PartitionRecord;
use crate::source::Offset;
use crate::time::Timestamp;

/// With the checksum that a fuzzer would never find.
pub(crate) fn summed(body: &[u8]) -> Vec<u8> {
    [body, &crc32fast::hash(body).to_le_bytes()].concat()
}

pub(super) fn envelope(bytes: &[u8]) {
    // An error says what is wrong.
    if let Ok(value) = bounded(bytes, 0, || sealing::unseal(bytes)) {
        assert_eq!(summed(&[&[1], value].concat()), bytes);
    }
    match (sealing::unseal(&summed(bytes)), bytes) {
        (Ok(value), [1, rest @ ..]) => assert_eq!(value, rest),
        (Ok(_), _) => panic!("a version that does not exist was read"),
        (Err(error), [1, ..]) => panic!("a sealed value is refused: {error}"),
        (Err(_), _) => {}
    }
}

pub(super) fn envelopes() -> Vec<Vec<u8>> {
    vec![sealing::seal(&Count::one()), vec![1], vec![1, 7, 8], vec![2, 7]]
}

/// As bytes, and as a text.
pub(super) fn offset(bytes: &[u8]) {
    if let Some((offset, length)) = bounded(bytes, 0, || Offset::decode(bytes)) {
        let mut again = Vec::new();
        offset.encode(&mut again);
        // Stores compare the bytes in place of the offsets.
        assert_eq!(again, bytes[..length], "{offset} has two spellings");
    }
    if let Ok(text) = std::str::from_utf8(bytes)
        && let Ok(offset) = text.parse::<Offset>()
    {
        assert_eq!(offset.to_string().parse(), Ok(offset));
    }
}

fn some_offsets() -> [Offset; 4] {
    let long = Offset::from_words([1 << 60, 2, 3, 4]);
    [Offset::ZERO, Offset::from_u64(1_000_000), Offset::from_pair(3, u64::MAX).closed(), long]
}

pub(super) fn offsets() -> Vec<Vec<u8>> {
    let bytes = |offset: Offset| {
        let mut out = Vec::new();
        offset.encode(&mut out);
        out
    };
    some_offsets().into_iter().flat_map(|offset| [bytes(offset), offset.to_string().into_bytes()]).collect()
}

/// With its checksum, and with one that fits.
pub(super) fn partition_record(bytes: &[u8]) {
    for stored in [bytes.to_vec(), summed(bytes)] {
        let Ok(record) = bounded(&stored, 0, || PartitionRecord::decode(&stored)) else { continue };
        assert_eq!(record.encode(), stored, "{record:?} has two spellings");
        assert_eq!(record.merged(record), record);
        let empty = PartitionRecord::default();
        assert_eq!((record.merged(empty), empty.merged(record)), (record, record));
    }
}

pub(super) fn partition_records() -> Vec<Vec<u8>> {
    let [zero, some, closed, _] = some_offsets().map(Some);
    let records = [
        PartitionRecord::default(),
        PartitionRecord { commit: zero, horizon: some, watermark: Some(Timestamp::EPOCH) },
        PartitionRecord { commit: some, horizon: closed, watermark: Some(Timestamp::MAX) },
    ];
    let stored = records.map(|record| record.encode());
    let bodies = stored.iter().map(|stored| must(stored.split_last_chunk::<4>().ok_or(()), "a checksum").0.to_vec());
    bodies.chain(stored.clone()).collect()
}
