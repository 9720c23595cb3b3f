use crate::source::{Offset, PartitionId, Record, RecordOutcome, Records, Version};
use crate::store::Table;
use crate::time::Timestamp;
use crate::{Error, ErrorKind, Result};

/// The small durable record of a pipeline's progress in a partition, with the table under `partition/<partition>`.
///
/// Every field only ever grows, so that two owners who overlap merge what they know by maximum.
///
/// ```text
/// 1 byte   version = 1
/// 3 x      one byte 0 (absent) or 1, then the value: commit, horizon (offsets), watermark (i64, microseconds)
/// 4 bytes  crc32 of all before, little-endian
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PartitionRecord {
    /// Everything up to and including it is durable.
    pub commit: Option<Offset>,
    /// Up to here a flush may have been sent by some owner. Raised before the flush that needs it.
    pub horizon: Option<Offset>,
    /// The newest event time in the log up to the commit.
    pub watermark: Option<Timestamp>,
}

/// A partition record as it was last seen in the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Standing {
    /// What it says; the empty record when there is none.
    pub record: PartitionRecord,
    /// Its version; `None` when there is none.
    version: Option<Version>,
}

impl Standing {
    fn of(record: Option<Record>) -> Result<Self> {
        Ok(match record {
            None => Self::default(),
            Some(Record { bytes, version }) => {
                Self { record: PartitionRecord::decode(&bytes)?, version: Some(version) }
            }
        })
    }
}

const VERSION: u8 = 1;

impl PartitionRecord {
    /// What the names of these records begin with.
    pub const PREFIX: &'static str = "partition/";

    /// The name under which the record of a partition lies.
    pub fn name(partition: &PartitionId) -> String {
        format!("{}{partition}", Self::PREFIX)
    }

    /// What both know together. The watermark belongs to the commit.
    #[must_use]
    pub fn merged(self, other: Self) -> Self {
        Self {
            commit: self.commit.max(other.commit),
            horizon: self.horizon.max(other.horizon),
            watermark: self.watermark.max(other.watermark),
        }
    }

    /// Read the record of a partition; the empty one when there is none yet.
    pub async fn load(records: &dyn Records, table: &Table, partition: &PartitionId) -> Result<Standing> {
        let name = Self::name(partition);
        let record = records.record(&table.shelf(), &name).await?;
        Standing::of(record).map_err(|error| error.while_doing(format!("reading record `{name}`")))
    }

    /// Raise the stored record to at least `self`; what stands there afterwards. Where nobody else has written since it
    /// was `standing`, that takes one request.
    pub async fn raise(
        self,
        records: &dyn Records,
        table: &Table,
        partition: &PartitionId,
        mut standing: Standing,
    ) -> Result<Standing> {
        let (shelf, name) = (table.shelf(), Self::name(partition));
        loop {
            let merged = standing.record.merged(self);
            if merged == standing.record && standing.version.is_some() {
                return Ok(standing);
            }
            match records.put_record(&shelf, &name, merged.encode(), standing.version).await? {
                RecordOutcome::Written(version) => return Ok(Standing { record: merged, version: Some(version) }),
                RecordOutcome::Refused(current) => standing = Standing::of(current)?,
            }
        }
    }

    /// The stored form.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = vec![VERSION];
        for offset in [self.commit, self.horizon] {
            out.push(u8::from(offset.is_some()));
            if let Some(offset) = offset {
                offset.encode(&mut out);
            }
        }
        out.push(u8::from(self.watermark.is_some()));
        if let Some(watermark) = self.watermark {
            out.extend_from_slice(&watermark.as_micros().to_le_bytes());
        }
        let sum = crc32fast::hash(&out);
        out.extend_from_slice(&sum.to_le_bytes());
        out
    }

    /// Read the stored form.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        Self::read(bytes)
            .ok_or_else(|| Error::new(ErrorKind::Corrupt, "not a partition record, or one of a newer version"))
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let (body, sum) = bytes.split_last_chunk::<4>()?;
        if crc32fast::hash(body) != u32::from_le_bytes(*sum) {
            return None;
        }
        let (&VERSION, mut rest) = body.split_first()? else { return None };
        let mut offset = || {
            let (present, tail) = rest.split_first()?;
            rest = tail;
            if *present == 0 {
                return Some(None);
            }
            let (offset, length) = Offset::decode(rest)?;
            rest = rest.get(length..)?;
            Some(Some(offset))
        };
        let (commit, horizon) = (offset()?, offset()?);
        let (present, rest) = rest.split_first()?;
        let watermark = match present {
            0 => None,
            _ => Some(Timestamp::from_micros(i64::from_le_bytes(rest.try_into().ok()?))),
        };
        Some(Self { commit, horizon, watermark })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn offset() -> impl Strategy<Value = Option<Offset>> {
        proptest::option::of(any::<[u64; 4]>().prop_map(Offset::from_words))
    }

    proptest! {
        #[test]
        fn a_record_reads_back_as_it_was_written(commit in offset(), horizon in offset(), at in proptest::option::of(any::<i64>())) {
            let record = PartitionRecord { commit, horizon, watermark: at.map(Timestamp::from_micros) };
            prop_assert_eq!(PartitionRecord::decode(&record.encode()).unwrap(), record);
        }

        #[test]
        fn a_damaged_record_is_an_error_and_never_an_empty_one(at in 0usize..40, flip in 1u8..) {
            let record = PartitionRecord { commit: Some(Offset::from_u64(7)), horizon: Some(Offset::from_pair(1, 2)), watermark: Some(Timestamp::EPOCH) };
            let mut bytes = record.encode();
            let at = at % bytes.len();
            bytes[at] ^= flip;
            prop_assert!(PartitionRecord::decode(&bytes).is_err());
        }

        #[test]
        fn offsets_compare_as_their_bytes_do(a in any::<[u64; 4]>(), b in any::<[u64; 4]>(), zero_a in 0usize..4, zero_b in 0usize..4) {
            let cut = |mut words: [u64; 4], n: usize| { words[..n].fill(0); Offset::from_words(words) };
            let (a, b) = (cut(a, zero_a), cut(b, zero_b));
            let bytes = |offset: Offset| { let mut out = Vec::new(); offset.encode(&mut out); out };
            prop_assert_eq!(a.cmp(&b), bytes(a).cmp(&bytes(b)));
            prop_assert_eq!(Offset::decode(&bytes(a)), Some((a, bytes(a).len())));
        }
    }
}
