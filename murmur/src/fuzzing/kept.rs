//! What stands around values, and positions.

use super::{bounded, must};
use crate::aggregate::{Count, DecodeError, Form, Monoid, Question, Refused, envelope as sealing};
use crate::engine::{PartitionRecord, Retirement};
use crate::source::Offset;
use crate::time::Timestamp;

/// With the checksum that a fuzzer would never find.
pub(crate) fn summed(body: &[u8]) -> Vec<u8> {
    [body, &crc32fast::hash(body).to_le_bytes()].concat()
}

/// With its checksum, and with one that fits.
pub(super) fn envelope(bytes: &[u8]) {
    for stored in [bytes.to_vec(), summed(bytes)] {
        // An error says what is wrong.
        let Ok((value, refused)) = bounded(&stored, PER_BYTE_OF_ENVELOPE, || sealing::unseal_with(&stored)) else {
            continue;
        };
        assert_eq!(sealing::seal_with(&Sealed(value.to_vec()), &refused), stored, "{refused:?} has two spellings");
    }
}

/// A refused event takes two bytes, and an offset one.
const PER_BYTE_OF_ENVELOPE: usize = 100;

/// A value that is its bytes.
#[derive(Clone, Debug)]
struct Sealed(Vec<u8>);

impl Monoid for Sealed {
    const FORM: Form = Form::Put;
    const MAX_BYTES: usize = usize::MAX;
    type Reply = u64;

    fn identity() -> Self {
        Self(Vec::new())
    }

    fn combine(&mut self, later: Self) {
        self.0.extend(later.0);
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.0);
    }

    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        Ok(Self(bytes.to_vec()))
    }

    fn reply(&self, _: &Question) -> Result<u64, crate::Error> {
        Ok(self.0.len() as u64)
    }
}

pub(super) fn envelopes() -> Vec<Vec<u8>> {
    let mut refused = Refused::default();
    refused.note("in `cost`, it is too large", Offset::from_u64(7));
    refused.note("", Offset::from_pair(3, 9));
    refused.note("", Offset::from_pair(3, 10));
    let sealed = sealing::seal_with(&Count::one(), &refused);
    let body = must(sealed.split_last_chunk::<4>().ok_or(()), "a checksum").0.to_vec();
    vec![sealing::seal(&Count::one()), sealed, body, vec![1], vec![1, 7, 8], vec![3, 7]]
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
        assert!(record.reached() >= record.floor);
    }
}

pub(super) fn partition_records() -> Vec<Vec<u8>> {
    let [zero, some, closed, _] = some_offsets().map(Some);
    let records = [
        PartitionRecord::default(),
        PartitionRecord {
            commit: zero,
            horizon: some,
            watermark: Some(Timestamp::EPOCH),
            ..PartitionRecord::default()
        },
        PartitionRecord {
            commit: some,
            horizon: closed,
            watermark: None,
            front: Some(Timestamp::MAX),
            floor: Some(Timestamp::MIN),
            begun: true,
            retirement: Retirement::Retired,
        },
    ];
    let stored = records.map(|record| record.encode());
    let bodies = stored.iter().map(|stored| must(stored.split_last_chunk::<4>().ok_or(()), "a checksum").0.to_vec());
    bodies.chain(stored.clone()).collect()
}
