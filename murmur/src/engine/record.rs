use super::retirement::Retirement;
use crate::source::{Offset, PartitionId, Record, RecordOutcome, Records, Start, Version};
use crate::store::Table;
use crate::time::Timestamp;
use crate::{Error, ErrorKind, Result};

/// The small durable record of a pipeline's progress in a partition, with the table under `partition/<partition>`.
///
/// What owners write only ever grows, so that two of them who overlap merge what they know by maximum.
///
/// ```text
/// 1 byte   version = 2
/// 5 x      one byte 0 (absent) or 1, then the value: commit, horizon (offsets), watermark, front, floor (i64, microseconds)
///          the first one has 2 added where it was settled where reading begins, and 4, 8 or 16 where it is recalled, retired
///          or returned
/// 4 bytes  crc32 of all before, little-endian
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PartitionRecord {
    /// Everything up to and including it is durable, or was not for this pipeline when it began.
    pub commit: Option<Offset>,
    /// It was settled where reading begins; without a commit that is the very beginning.
    pub begun: bool,
    /// Up to here a flush may have been sent by some owner. Raised before the flush that needs it.
    pub horizon: Option<Offset>,
    /// The newest event time in the log up to the commit, without those that lie far ahead of the clock: what answers
    /// say.
    pub watermark: Option<Timestamp>,
    /// The newest event time in the log up to the commit, whatever it is, so that it follows from the log alone: what
    /// decides which events are late.
    pub front: Option<Timestamp>,
    /// Where the front begins. It is set before the first event of the partition is looked at, and stays as it is from
    /// the first flush on; see `engine/frontier.rs`.
    pub floor: Option<Timestamp>,
    /// Whether rolling waits for it. What an owner raises says nothing about that.
    pub retirement: Retirement,
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
    pub(super) fn of(record: Option<Record>) -> Result<Self> {
        Ok(match record {
            None => Self::default(),
            Some(Record { bytes, version }) => {
                Self { record: PartitionRecord::decode(&bytes)?, version: Some(version) }
            }
        })
    }

    /// Whether the partition was retired since `before`, so that what was folded since has to be met again.
    pub(super) fn was_retired_since(&self, before: &Self) -> bool {
        self.record.needs_marks() && !before.record.needs_marks()
    }

    /// Nothing is gone of what stood there before.
    ///
    /// Errors: [`Corrupt`](ErrorKind::Corrupt) when it is. No owner takes anything back, so the table was.
    pub(super) fn must_follow(&self, before: &Self, table: &Table, partition: &PartitionId) -> Result<()> {
        let (now, then) = (&self.record, &before.record);
        if (self.is_there() || !before.is_there()) && now.commit >= then.commit && now.horizon >= then.horizon {
            return Ok(());
        }
        let context = format!(
            "the progress of partition `{partition}` in table `{}` is behind what this worker has found or written there: \
             the table was restored, or made again, while it was at work, and what was counted since may be missing. \
             Stop all workers of the table, restore it once more, and start them",
            table.as_str()
        );
        Err(Error::new(ErrorKind::Corrupt, context))
    }

    /// As it was just written.
    pub(super) fn written(record: PartitionRecord, version: Version) -> Self {
        Self { record, version: Some(version) }
    }

    /// Whether there is a record.
    pub(super) fn is_there(&self) -> bool {
        self.version.is_some()
    }

    /// What a write of the record has to find there.
    pub(super) fn version(&self) -> Option<Version> {
        self.version
    }

    /// With another floor, unless somebody else has written the record since: then what stands there now.
    pub(super) async fn with_floor(
        self,
        floor: Timestamp,
        records: &dyn Records,
        table: &Table,
        partition: &PartitionId,
    ) -> Result<Self> {
        let record = PartitionRecord { floor: Some(floor), ..self.record };
        let name = PartitionRecord::name(partition);
        match records.put_record(&table.shelf(), &name, record.encode(), self.version).await? {
            RecordOutcome::Written(version) => Ok(Self { record, version: Some(version) }),
            RecordOutcome::Refused(current) => Self::of(current),
        }
    }
}

const VERSION: u8 = 2;
/// What is added to the byte before the commit.
const BEGUN: u8 = 2;
const RECALLED: u8 = 4;
const RETIRED: u8 = 8;
const RETURNED: u8 = 16;

impl PartitionRecord {
    /// What the names of these records begin with.
    pub const PREFIX: &'static str = "partition/";

    /// The name under which the record of a partition lies.
    pub fn name(partition: &PartitionId) -> String {
        format!("{}{partition}", Self::PREFIX)
    }

    /// Whose record has this name.
    pub(crate) fn partition(name: &str) -> &str {
        name.strip_prefix(Self::PREFIX).unwrap_or(name)
    }

    /// What both know together. The watermark belongs to the commit.
    #[must_use]
    pub fn merged(self, other: Self) -> Self {
        Self {
            commit: self.commit.max(other.commit),
            begun: self.begun || other.begun,
            horizon: self.horizon.max(other.horizon),
            watermark: self.watermark.max(other.watermark),
            front: self.front.max(other.front),
            floor: self.floor.max(other.floor),
            retirement: self.retirement.max(other.retirement),
        }
    }

    /// Whether the record alone says where reading goes on.
    pub(super) fn has_begun(&self) -> bool {
        self.begun || self.commit.is_some()
    }

    /// From here on an event of the partition is late; `None` while that is not settled.
    pub fn reached(&self) -> Option<Timestamp> {
        self.floor.max(self.front).filter(|_| self.floor.is_some())
    }

    /// Whether a roller may still move the floor: while nobody has said that anything of the partition will be flushed.
    pub(crate) fn is_movable(&self) -> bool {
        self.floor.is_some() && self.horizon.is_none()
    }

    /// Whether owners mark what is rolled above the tiles that they write.
    pub(crate) fn needs_marks(&self) -> bool {
        self.retirement.needs_marks()
    }

    /// Whether rolling waits until it has [reached](Self::reached) so far.
    pub(crate) fn holds_rolling(&self) -> bool {
        self.retirement != Retirement::Retired
    }

    /// How far all of these are that rolling waits for; `None` while that is not settled of one, and without any.
    pub(crate) fn reached_by_all<'a>(records: impl Iterator<Item = &'a Self>) -> Option<Timestamp> {
        records.filter(|record| record.holds_rolling()).map(Self::reached).min().flatten()
    }

    /// Read the record of a partition; the empty one when there is none yet.
    pub async fn load(records: &dyn Records, table: &Table, partition: &PartitionId) -> Result<Standing> {
        let name = Self::name(partition);
        let record = records.record(&table.shelf(), &name).await?;
        Standing::of(record).map_err(|error| error.while_doing(format!("reading record `{name}`")))
    }

    /// Read the record of a partition as the one who reads on from it. It is written back as it is: a raise that is still
    /// on its way, from a process that was killed or a flush that was dropped, fails from then on. The letters that those
    /// left beyond the commit are forgotten next, so the commit must not pass them before they are there again. A worker
    /// that lives on raises it all the same, [over what stands here then](Self::raise), and its letters are not forgotten.
    pub(super) async fn take_over(records: &dyn Records, table: &Table, partition: &PartitionId) -> Result<Standing> {
        let mut standing = Self::load(records, table, partition).await?;
        // A flush says its horizon before it says its commit, so nothing can pass letters where there is no record.
        while let Some(version) = standing.version {
            let name = Self::name(partition);
            let bytes = standing.record.encode();
            match records.put_record(&table.shelf(), &name, bytes, Some(version)).await? {
                RecordOutcome::Written(version) => {
                    standing.version = Some(version);
                    break;
                }
                RecordOutcome::Refused(current) => standing = Standing::of(current)?,
            }
        }
        Ok(standing)
    }

    /// Settle where reading begins, unless it was settled before, and make that durable: whoever starts after a crash
    /// begins at the same place, and skips nothing that has come since. The first of several owners decides.
    ///
    /// Errors: [`NotFound`](ErrorKind::NotFound) when the source says that there is no place to begin.
    pub(super) async fn begin(
        records: &dyn Records,
        table: &Table,
        partition: &PartitionId,
        mut standing: Standing,
        start: &Start,
    ) -> Result<Standing> {
        let name = Self::name(partition);
        while !standing.record.has_begun() {
            let commit = match start {
                Start::Beginning => None,
                Start::After(offset) => Some(*offset),
                Start::Nowhere(why) => return Err(Error::new(ErrorKind::NotFound, &**why)),
            };
            let record = Self { commit, begun: true, ..standing.record };
            match records.put_record(&table.shelf(), &name, record.encode(), standing.version).await? {
                RecordOutcome::Written(version) => return Ok(Standing { record, version: Some(version) }),
                RecordOutcome::Refused(current) => standing = Standing::of(current)?,
            }
        }
        Ok(standing)
    }

    /// Raise the stored record to at least `self`; what stands there afterwards. Where nobody else has written since it
    /// was `standing`, that takes one request.
    ///
    /// Nothing is raised once the partition is retired and `standing` did not say so: see `engine/retirement.rs`.
    ///
    /// Errors: [`Corrupt`](ErrorKind::Corrupt) when what stands there is behind `standing`: to raise it would pass over what
    /// has to be counted again.
    pub async fn raise(
        self,
        records: &dyn Records,
        table: &Table,
        partition: &PartitionId,
        mut standing: Standing,
    ) -> Result<Standing> {
        let (shelf, name) = (table.shelf(), Self::name(partition));
        let before = standing;
        loop {
            let merged = standing.record.merged(self);
            if (merged == standing.record && standing.version.is_some()) || standing.was_retired_since(&before) {
                return Ok(standing);
            }
            match records.put_record(&shelf, &name, merged.encode(), standing.version).await? {
                RecordOutcome::Written(version) => return Ok(Standing { record: merged, version: Some(version) }),
                RecordOutcome::Refused(current) => standing = Standing::of(current)?,
            }
            standing.must_follow(&before, table, partition)?;
        }
    }

    /// The stored form.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = vec![VERSION];
        let retirement = match self.retirement {
            Retirement::Active => 0,
            Retirement::Returned => RETURNED,
            Retirement::Recalled => RECALLED,
            Retirement::Retired => RETIRED,
        };
        let marks = retirement | if self.begun { BEGUN } else { 0 };
        for (offset, marks) in [(self.commit, marks), (self.horizon, 0)] {
            out.push(u8::from(offset.is_some()) | marks);
            if let Some(offset) = offset {
                offset.encode(&mut out);
            }
        }
        for time in [self.watermark, self.front, self.floor] {
            out.push(u8::from(time.is_some()));
            if let Some(time) = time {
                out.extend_from_slice(&time.as_micros().to_le_bytes());
            }
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
        let begun = rest.first()? & BEGUN != 0;
        let retirement = match rest.first()? & (RECALLED | RETIRED | RETURNED) {
            0 => Retirement::Active,
            RETURNED => Retirement::Returned,
            RECALLED => Retirement::Recalled,
            RETIRED => Retirement::Retired,
            _ => return None,
        };
        let mut offset = |marks: u8| {
            let (present, tail) = rest.split_first()?;
            rest = tail;
            match present & !marks {
                0 => return Some(None),
                1 => {}
                _ => return None,
            }
            let (offset, length) = Offset::decode(rest)?;
            rest = rest.get(length..)?;
            Some(Some(offset))
        };
        let (commit, horizon) = (offset(BEGUN | RECALLED | RETIRED | RETURNED)?, offset(0)?);
        let mut time = || {
            let (present, tail) = rest.split_first()?;
            rest = tail;
            match present {
                0 => return Some(None),
                1 => {}
                _ => return None,
            }
            let (micros, tail) = rest.split_first_chunk::<8>()?;
            rest = tail;
            Timestamp::exactly(i64::from_le_bytes(*micros)).map(Some)
        };
        let (watermark, front, floor) = (time()?, time()?, time()?);
        rest.is_empty().then_some(Self { commit, begun, horizon, watermark, front, floor, retirement })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::store::MemoryStore;

    fn summed(body: &[u8]) -> Vec<u8> {
        [body, &crc32fast::hash(body).to_le_bytes()].concat()
    }

    #[test]
    fn what_is_not_written_is_not_read() {
        for body in [
            &[2, 0, 0, 0, 0, 0, 7][..],
            &[2, 32, 0, 0, 0, 0],
            &[2, 4 | 8, 0, 0, 0, 0],
            &[2, 8 | 16, 0, 0, 0, 0],
            &[2, 0, 4, 0, 0, 0],
            &[2, 0, 2, 0, 0, 0],
            &[2, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
            &[2, 0, 0],
        ] {
            assert!(PartitionRecord::decode(&summed(body)).is_err(), "{body:?}");
        }
        let late = [&[2, 0, 0, 1][..], &i64::MAX.to_le_bytes(), &[0, 0]].concat();
        assert!(PartitionRecord::decode(&summed(&late)).is_err(), "a time after the year 9999");
        assert_eq!(PartitionRecord::decode(&summed(&[2, 0, 0, 0, 0, 0])).unwrap(), PartitionRecord::default());
    }

    fn offset() -> impl Strategy<Value = Option<Offset>> {
        proptest::option::of(any::<[u64; 4]>().prop_map(Offset::from_words))
    }

    fn time() -> impl Strategy<Value = Option<Timestamp>> {
        proptest::option::of(any::<i64>().prop_map(Timestamp::from_micros))
    }

    fn retirement() -> impl Strategy<Value = Retirement> {
        prop::sample::select(vec![Retirement::Active, Retirement::Returned, Retirement::Recalled, Retirement::Retired])
    }

    #[tokio::test]
    async fn a_commit_that_is_still_on_its_way_fails_once_the_partition_was_taken_over() {
        let (store, table, partition) = (MemoryStore::new(), Table::new("t", 1), PartitionId::new("p"));
        let nothing = PartitionRecord::take_over(&store, &table, &partition).await.unwrap();
        assert_eq!(nothing, Standing::default());
        assert_eq!(store.record(&table.shelf(), "partition/p").await.unwrap(), None, "and nothing is made of it");
        let horizon = PartitionRecord { horizon: Some(Offset::from_u64(9)), ..PartitionRecord::default() };
        let before = horizon.raise(&store, &table, &partition, nothing).await.unwrap();
        let commit = PartitionRecord { commit: Some(Offset::from_u64(5)), ..horizon };
        let after = PartitionRecord::take_over(&store, &table, &partition).await.unwrap();
        assert_eq!(after.record, horizon);
        let late = store.put_record(&table.shelf(), "partition/p", commit.encode(), before.version).await.unwrap();
        assert!(matches!(late, RecordOutcome::Refused(_)), "{late:?}");
        // Whoever lives on finds out what stands there, and what stands there is merged.
        assert_eq!(commit.raise(&store, &table, &partition, before).await.unwrap().record, commit);
    }

    #[tokio::test]
    async fn a_record_that_went_back_under_its_owner_is_not_raised() {
        let (store, table, partition) = (MemoryStore::new(), Table::new("t", 1), PartitionId::new("p"));
        let to = |commit: u64| PartitionRecord { commit: Some(Offset::from_u64(commit)), ..PartitionRecord::default() };
        let nothing = PartitionRecord::load(&store, &table, &partition).await.unwrap();
        let before = to(4).raise(&store, &table, &partition, nothing).await.unwrap();
        let after = to(8).raise(&store, &table, &partition, before).await.unwrap();
        let restored =
            store.put_record(&table.shelf(), "partition/p", before.record.encode(), after.version).await.unwrap();
        assert!(matches!(restored, RecordOutcome::Written(_)), "{restored:?}");
        for store in [&store, &MemoryStore::new()] {
            let found = PartitionRecord::load(store, &table, &partition).await.unwrap();
            let error = to(9).raise(store, &table, &partition, after).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Corrupt);
            let said = error.to_string();
            assert!(said.contains("partition `p` in table `t") && said.contains("Stop all workers"), "{said}");
            assert_eq!(PartitionRecord::load(store, &table, &partition).await.unwrap(), found, "and is left as it is");
        }
    }

    #[tokio::test]
    async fn the_first_owner_settles_for_all_times_where_a_partition_begins() {
        let (store, table) = (MemoryStore::new(), Table::new("t", 1));
        let (other, nowhere) = (Start::After(Offset::from_u64(99)), Start::Nowhere("say where".into()));
        let at = Offset::from_u64(7);
        for (first, commit) in [(Start::After(at), Some(at)), (Start::Beginning, None)] {
            let partition = PartitionId::new(format!("{first:?}"));
            let nothing = PartitionRecord::load(&store, &table, &partition).await.unwrap();
            let begin = async |standing, start: &Start| {
                PartitionRecord::begin(&store, &table, &partition, standing, start).await
            };
            assert_eq!(begin(nothing, &nowhere).await.unwrap_err().kind(), ErrorKind::NotFound);
            assert_eq!(begin(nothing, &first).await.unwrap().record.commit, commit);
            // Whoever has looked at the same time, and whoever comes later, finds it settled.
            assert_eq!(begin(nothing, &other).await.unwrap().record.commit, commit);
            let later = PartitionRecord::load(&store, &table, &partition).await.unwrap();
            assert_eq!(begin(later, &nowhere).await.unwrap(), later);
        }
    }

    proptest! {
        #[test]
        fn a_record_reads_back_as_it_was_written(commit in offset(), begun: bool, horizon in offset(), times in [time(), time(), time()], retirement in retirement()) {
            let [watermark, front, floor] = times;
            let record = PartitionRecord { commit, begun, horizon, watermark, front, floor, retirement };
            prop_assert_eq!(PartitionRecord::decode(&record.encode()).unwrap(), record);
        }

        #[test]
        fn a_damaged_record_is_an_error_and_never_an_empty_one(at in 0usize..40, flip in 1u8..) {
            let record = PartitionRecord { commit: Some(Offset::from_u64(7)), horizon: Some(Offset::from_pair(1, 2)), watermark: Some(Timestamp::EPOCH), ..PartitionRecord::default() };
            let mut bytes = record.encode();
            let at = at % bytes.len();
            bytes[at] ^= flip;
            prop_assert!(PartitionRecord::decode(&bytes).is_err());
        }

        #[test]
        fn a_record_has_one_spelling(body in proptest::collection::vec(0u8..32, 0..24), version in 0u8..3) {
            let bytes = summed(&[&[version], body.as_slice()].concat());
            if let Ok(record) = PartitionRecord::decode(&bytes) {
                prop_assert_eq!(record.encode(), bytes);
            }
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
