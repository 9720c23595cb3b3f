use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};

use serde::{Deserialize, Serialize};

use super::flush::{Patience, can_pass};
use crate::aggregate::{Form, Monoid, kept};
use crate::key::Key;
use crate::pipeline::Pipeline;
use crate::source::{Record, Records};
use crate::store::{Store, Table};
use crate::wire::WireMessage;
use crate::{Error, ErrorKind, Result};

/// Whose a table is, and what its tiles are made of: the record `owner` of its shelf, as JSON.
///
/// Written by the first worker that opens the table, and compared by every later one before it reads or writes a tile. It
/// holds what would make stored tiles unreadable or mean something else, and nothing more: renaming a field, another
/// retention or a new field do not show in it. So it is not the definition's fingerprint, which any edit changes; and not
/// a hash at all, because two hashes that differ cannot say in what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Ownership {
    format: u32,
    /// `<package>/<pipeline>`: two pipelines of one name in two packages would share a table.
    pipeline: String,
    generation: u32,
    form: String,
    /// How time is cut: the letter of the finest level, and the length of a slot.
    tile: String,
    /// The key's fields by number.
    key: BTreeMap<u32, String>,
    /// The rollups as numbers of the key's fields.
    rollup: Vec<Vec<u32>>,
    /// What is kept, by number; fields that were removed stay, so that their numbers do not come back as something else.
    fields: BTreeMap<u32, String>,
    /// Tells the table from one of the same name in another store; made by chance when it is first claimed. A copy that is
    /// restored has it too.
    #[serde(default)]
    id: String,
    /// Numbers of removed fields.
    #[serde(skip)]
    retired: Vec<u32>,
}

const NAME: &str = "owner";
const FORMAT: u32 = 1;

impl Ownership {
    /// Of this definition.
    pub(super) fn of<P: Pipeline>(generation: u32) -> Self {
        let tiling = P::tiling();
        let slot = tiling.slot_length().map_or_else(|| "all".to_owned(), |slot| slot.to_string());
        let shape = <P::Key as WireMessage>::SHAPE;
        let number = |name: &&str| shape.iter().find(|field| field.name == *name).map(|field| field.number);
        let (mut fields, mut retired) = (BTreeMap::new(), Vec::new());
        P::Aggregate::kept(0, &mut |number, kept| match kept {
            Some(kept) => drop(fields.insert(number, kept)),
            None => retired.push(number),
        });
        Self {
            format: FORMAT,
            pipeline: format!("{}/{}", P::SPEC.package, P::SPEC.name),
            generation,
            form: match P::Aggregate::FORM {
                Form::Add => "add".to_owned(),
                Form::Put => "put".to_owned(),
            },
            tile: format!("{}/{slot}", tiling.finest().letter()),
            // Where a key has rollups its fields are optional; the stored text of a field is the same.
            key: shape.iter().map(|f| (f.number, f.proto.trim_start_matches("optional ").to_owned())).collect(),
            rollup: P::Key::GRAINS.iter().map(|grain| grain.iter().filter_map(number).collect()).collect(),
            fields,
            id: String::new(),
            retired,
        }
    }

    /// Take the table, or refuse to; a name for it that no table of another store has.
    ///
    /// Errors: [`Foreign`](ErrorKind::Foreign) says what does not fit, and the way out.
    pub(super) async fn claim(&self, store: &dyn Store, table: &Table, patience: &Patience) -> Result<String> {
        let shelf = table.shelf();
        let mut backoff = patience.backoff();
        let mut looked = false;
        loop {
            let standing = patience.retry(|| store.record(&shelf, NAME)).await?;
            let (mut next, version) = match &standing {
                None if !looked => {
                    // Another worker may have taken it, and written, since: then there is an owner now.
                    looked = patience.retry(|| is_empty(store, table)).await?;
                    if !looked && patience.retry(|| store.record(&shelf, NAME)).await?.is_none() {
                        return Err(foreign(table, "it holds items, and no record of a pipeline that wrote them"));
                    }
                    continue;
                }
                None => (self.clone(), None),
                Some(record) => {
                    let owner = Self::decode(record, table)?;
                    let joined = owner.joined(self).map_err(|why| foreign(table, &why))?;
                    if joined.fields == owner.fields && !owner.id.is_empty() {
                        return Ok(format!("{}={}", table.as_str(), owner.id));
                    }
                    (joined, Some(record.version))
                }
            };
            if next.id.is_empty() {
                // Its keys are made by chance.
                next.id = format!("{:016x}", RandomState::new().hash_one(NAME));
            }
            let bytes = serde_json::to_vec(&next).map_err(|error| {
                Error::new(ErrorKind::Internal, "cannot write an owner's record").with_source(error)
            })?;
            match store.put_record(&shelf, NAME, bytes, version).await {
                // Read again, and found to be this one's.
                Ok(_) => {}
                // Whether it was written shows when it is read again.
                Err(error) if can_pass(&error) => backoff.pause().await,
                Err(error) => return Err(error),
            }
        }
    }

    pub(super) fn decode(record: &Record, table: &Table) -> Result<Self> {
        let read = serde_json::from_slice(&record.bytes).ok().filter(|owner: &Self| owner.format == FORMAT);
        read.ok_or_else(|| {
            let context = format!(
                "record `{NAME}` of table `{}` does not say in format {FORMAT} whose it is; it was left as it is",
                table.as_str()
            );
            Error::new(ErrorKind::Corrupt, context)
        })
    }

    /// Whether a program of this definition can read the table, which may not have an owner yet.
    ///
    /// Fields that only one of both knows do no harm to a reader: versions of a program may answer side by side.
    ///
    /// Errors: [`Foreign`](ErrorKind::Foreign) says what does not fit, and the way out.
    async fn read(&self, records: &dyn Records, table: &Table) -> Result<()> {
        match records.record(&table.shelf(), NAME).await? {
            None => Ok(()),
            Some(record) => {
                let fits = Self::decode(&record, table)?.with_fields_of(self);
                fits.map(drop).map_err(|why| foreign(table, &why))
            }
        }
    }

    /// What this table holds once `mine` writes to it too; why it must not, otherwise.
    pub(super) fn joined(&self, mine: &Self) -> Result<Self, String> {
        let joined = self.with_fields_of(mine)?;
        let unknown = |number: &&u32| !mine.fields.contains_key(number) && !mine.retired.contains(number);
        let inside = self.fields.iter().find_map(|(number, was)| {
            let field = kept::unknown(was, mine.fields.get(number)?)?;
            Some(format!(
                "its field {number} has a field {field} that this program does not know; a later version of it was here"
            ))
        });
        match self.fields.keys().find(unknown) {
            // It would be left out of what is counted from now on.
            Some(number) => Err(format!(
                "it has a field {number} (`{}`) that this program does not know; a later version of it was here",
                self.fields[number]
            )),
            None => inside.map_or(Ok(joined), Err),
        }
    }

    /// The fields of both, where everything else is the same and no number means two things.
    fn with_fields_of(&self, mine: &Self) -> Result<Self, String> {
        let same = |what: &str, theirs: &dyn std::fmt::Debug, ours: &dyn std::fmt::Debug| {
            let (theirs, ours) = (format!("{theirs:?}"), format!("{ours:?}"));
            if theirs == ours { Ok(()) } else { Err(format!("{what} was {theirs} and is {ours} now")) }
        };
        if self.pipeline != mine.pipeline {
            return Err(format!("it is kept by the pipeline `{}`, and this is `{}`", self.pipeline, mine.pipeline));
        }
        same("its generation", &self.generation, &mine.generation)?;
        same("the key by field numbers", &self.key, &mine.key)?;
        same("the rollup by field numbers", &self.rollup, &mine.rollup)?;
        same("the cut of time", &self.tile, &mine.tile)?;
        same("the form of its writes", &self.form, &mine.form)?;
        let mut joined = self.clone();
        for (number, kept) in &mine.fields {
            let both = match joined.fields.get(number) {
                None => kept.clone(),
                Some(was) => kept::joined(was, kept).ok_or_else(|| {
                    let shown = |kept: &str| kept.replace('\n', "; ");
                    format!("field {number} was `{}` and is `{}` now", shown(was), shown(kept))
                })?,
            };
            joined.fields.insert(*number, both);
        }
        Ok(joined)
    }
}

/// Whether nothing stands in the table but records, as far as this program may look.
async fn is_empty(store: &dyn Store, table: &Table) -> Result<bool> {
    match store.scan(table, None, 1).await {
        Ok(items) => Ok(items.is_empty()),
        // An item, and none of ours.
        Err(error) if error.kind() == ErrorKind::Corrupt => Ok(false),
        // A worker needs to scan for nothing else. Whoever makes tables has looked too.
        Err(error) if error.kind() == ErrorKind::Denied => Ok(true),
        Err(error) => Err(error),
    }
}

/// Make sure that a store's tiles are what the pipeline would make of them, before anything is read from them.
///
/// Errors: [`Foreign`](ErrorKind::Foreign) says what does not fit, and the way out.
pub async fn readable<P: Pipeline>(records: &dyn Records, generation: u32) -> Result<()> {
    Ownership::of::<P>(generation).read(records, &Table::new(P::SPEC.name, generation)).await
}

fn foreign(table: &Table, why: &str) -> Error {
    let context = format!(
        "table `{}` is not for this pipeline: {why}. Nothing was read or written. Run the program that made it, keep this \
         one's state elsewhere (another store, or another prefix in its URL), and count the source again there",
        table.as_str()
    );
    Error::new(ErrorKind::Foreign, context)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use futures_util::future::BoxFuture;

    use super::*;
    use crate::query::tests::hooked::{Hook, Hooked};
    use crate::source::{Offset, PartitionId};
    use crate::store::{Applied, MemoryStore, TileId, Write};
    use crate::time::{Level, Tile, Timestamp};

    fn owner(fields: &[(u32, &str)], retired: &[u32]) -> Ownership {
        Ownership {
            format: FORMAT,
            pipeline: "shop.v1/likes".to_owned(),
            generation: 1,
            form: "put".to_owned(),
            tile: "h/1m".to_owned(),
            key: BTreeMap::from([(1, "string".to_owned())]),
            rollup: vec![vec![1]],
            fields: fields.iter().map(|(number, kept)| (*number, (*kept).to_owned())).collect(),
            id: String::new(),
            retired: retired.to_vec(),
        }
    }

    async fn claims(owners: &[Ownership]) -> Vec<Result<String>> {
        let (store, table) = (MemoryStore::new(), Table::new("likes", 1));
        let mut claims = Vec::new();
        for owner in owners {
            claims.push(owner.claim(&store, &table, &Patience::new(1)).await);
        }
        claims
    }

    fn refused<T: std::fmt::Debug>(claim: &Result<T>, part: &str) {
        let error = claim.as_ref().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Foreign);
        assert!(error.to_string().contains(part) && error.to_string().contains("likes_v1"), "{error}");
    }

    #[tokio::test]
    async fn fields_come_and_go_and_a_number_never_changes_its_meaning() {
        let claims = claims(&[
            owner(&[(1, "Count"), (2, "Max<uint64>")], &[]),
            owner(&[(1, "Count"), (2, "Max<uint64>")], &[]),
            owner(&[(1, "Count"), (2, "Max<uint64>"), (3, "Distinct")], &[]),
            owner(&[(1, "Count"), (3, "Distinct")], &[2]),
            owner(&[(1, "Count"), (2, "Sum<uint64>"), (3, "Distinct")], &[]),
            owner(&[(1, "Count"), (2, "Max<uint64>")], &[]),
        ])
        .await;
        assert!(claims[..4].iter().all(Result::is_ok), "{claims:?}");
        refused(&claims[4], "field 2 was `Max<uint64>` and is `Sum<uint64>` now");
        refused(&claims[5], "field 3 (`Distinct`)");
    }

    /// Of a struct in a map, as of any other.
    #[tokio::test]
    async fn fields_inside_of_a_map_come_and_go_too() {
        let map = |inside: &str| owner(&[(1, &format!("Map<9 of string>{inside}"))], &[]);
        let claims = claims(&[
            map("\n1 Count\n2 Max<uint64>"),
            map("\n1 Count\n2 Max<uint64>\n3 Distinct"),
            map("\n1 Count\n3 Distinct\n2"),
            map("\n1 Count\n2 Sum<uint64>\n3 Distinct"),
            map("\n1 Count\n2 Max<uint64>"),
        ])
        .await;
        assert!(claims[..3].iter().all(Result::is_ok), "{claims:?}");
        refused(&claims[3], "field 1 was `Map<9 of string>; 1 Count; 2 Max<uint64>; 3 Distinct` and is");
        refused(&claims[4], "its field 1 has a field 3 that this program does not know");
    }

    #[tokio::test]
    async fn a_table_has_one_name_for_all_its_owners_and_another_one_in_another_store() {
        let first = owner(&[(1, "Count")], &[]);
        let more = owner(&[(1, "Count"), (2, "Distinct")], &[]);
        let names: Vec<String> = claims(&[first.clone(), more]).await.into_iter().map(Result::unwrap).collect();
        assert!(names[0].starts_with("likes_v1=") && names[0] == names[1], "{names:?}");
        assert_ne!(claims(&[first]).await[0].as_ref().unwrap(), &names[0]);
    }

    #[tokio::test]
    async fn another_pipeline_or_cut_is_refused_by_what_differs() {
        let first = owner(&[(1, "Count")], &[]);
        let other = Ownership { pipeline: "blog.v1/likes".to_owned(), ..first.clone() };
        let slots = Ownership { tile: "d/1h".to_owned(), ..first.clone() };
        let key = Ownership { key: BTreeMap::from([(1, "uint64".to_owned())]), ..first.clone() };
        let form = Ownership { form: "add".to_owned(), ..first.clone() };
        let rollup = Ownership { rollup: vec![vec![1], vec![]], ..first.clone() };
        let claims = claims(&[first, other, slots, key, form, rollup]).await;
        for (claim, part) in claims[1..].iter().zip(["`blog.v1/likes`", "\"h/1m\"", "uint64", "\"add\"", "rollup"]) {
            refused(claim, part);
        }
    }

    #[tokio::test]
    async fn a_reader_may_know_more_or_fewer_fields_and_never_another_cut() {
        let (store, table) = (MemoryStore::new(), Table::new("likes", 1));
        let first = owner(&[(1, "Count"), (2, "Distinct")], &[]);
        first.read(&store, &table).await.unwrap();
        first.claim(&store, &table, &Patience::new(1)).await.unwrap();
        for fields in [&[(1, "Count")][..], &[(1, "Count"), (2, "Distinct"), (3, "Max<uint64>")]] {
            owner(fields, &[]).read(&store, &table).await.unwrap();
        }
        refused(&owner(&[(2, "TopK")], &[]).read(&store, &table).await, "field 2 was `Distinct` and is `TopK` now");
        let coarser = Ownership { tile: "d/1h".to_owned(), ..first.clone() };
        refused(&coarser.read(&store, &table).await, "the cut of time");
        first.claim(&store, &table, &Patience::new(1)).await.unwrap();
    }

    #[tokio::test]
    async fn a_table_that_nobody_is_known_to_own_must_be_empty() {
        let (store, table) = (MemoryStore::new(), Table::new("likes", 1));
        let tile = Tile { level: Level::Hour, start: Timestamp::EPOCH };
        let (first, last) = (Offset::from_u64(1), Offset::from_u64(1));
        let write = Write::Add {
            id: TileId { key: "=a".into(), tile, part: None },
            numbers: Vec::new(),
            applied: vec![Applied { partition: PartitionId::new("p"), first, last }],
            expires: None,
        };
        store.write(&table, [write].into()).await.pop().unwrap().unwrap();
        refused(
            &owner(&[], &[]).claim(&store, &table, &Patience::new(1)).await,
            "it holds items, and no record of a pipeline",
        );
        assert_eq!(store.record(&table.shelf(), NAME).await.unwrap(), None, "nothing was written");
    }

    /// Nobody may look at what is there.
    struct Closed;

    impl Hook for Closed {
        fn before_read<'a>(&'a self, _: &'a [TileId]) -> BoxFuture<'a, Result<()>> {
            Box::pin(async { Err(Error::new(ErrorKind::Denied, "not allowed")) })
        }
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_may_not_scan_takes_a_table_all_the_same() {
        let store = Hooked { inner: Arc::new(MemoryStore::new()), hook: Arc::new(Closed) };
        let (owner, table, patience) = (owner(&[], &[]), Table::new("likes", 1), Patience::new(1));
        let claim = owner.claim(&store, &table, &patience);
        let waited = tokio::time::timeout(std::time::Duration::from_secs(60), claim).await;
        waited.expect("it asks again for ever").unwrap();
    }

    #[tokio::test]
    async fn a_record_that_does_not_decode_is_an_error() {
        let (store, table) = (MemoryStore::new(), Table::new("likes", 1));
        store.put_record(&table.shelf(), NAME, b"{}".to_vec(), None).await.unwrap();
        let error = owner(&[], &[]).claim(&store, &table, &Patience::new(1)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt);
    }
}
