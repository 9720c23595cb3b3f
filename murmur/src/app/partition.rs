//! The verb `partition`: how far the partitions of pipelines are, and whether rolling waits for them.

use serde_json::json;

use super::call::Json;
use super::cli::{ListArgs, NamedArgs, PartitionVerb};
use super::exit::Exit;
use super::print::{self, Cell};
use super::{App, GENERATION, open};
use crate::engine::{PartitionRecord, Retirement, recall, retire};
use crate::source::PartitionId;
use crate::store::{Store, Table};
use crate::{Error, ErrorKind, Result};

/// `partition list`, `retire` and `recall`; each of them lists what there is then.
pub(super) async fn run(app: &App, verb: &PartitionVerb) -> Result<Exit> {
    let (PartitionVerb::List(list)
    | PartitionVerb::Retire(NamedArgs { list, .. })
    | PartitionVerb::Recall(NamedArgs { list, .. })) = verb;
    let ListArgs { store, pipelines, output } = list;
    let entries = app.select(pipelines)?;
    let store = open::standing_store(&store.store).await?;
    let tables: Vec<_> =
        entries.iter().map(|entry| (entry.spec.name, Table::new(entry.spec.name, GENERATION))).collect();
    match verb {
        PartitionVerb::List(_) => {}
        PartitionVerb::Retire(named) => change(&*store, &tables, &named.partitions, Retirement::Retired).await?,
        PartitionVerb::Recall(named) => change(&*store, &tables, &named.partitions, Retirement::Active).await?,
    }
    let mut rows = Vec::new();
    for (pipeline, table) in &tables {
        rows.extend(listed(&*store, pipeline, table).await?);
    }
    print::rows(*output, &rows, |row| {
        let column = |name: &str| (name.to_owned(), Cell::of(row.get(name).unwrap_or(&Json::Null)));
        ["pipeline", "partition", "offset", "reached", "rolling"].map(column).to_vec()
    })?;
    Ok(Exit::Done)
}

/// Retire or recall these partitions, for each pipeline that has read them: one has to.
async fn change(store: &dyn Store, tables: &[(&str, Table)], partitions: &[String], into: Retirement) -> Result<()> {
    for partition in partitions {
        let id = PartitionId::new(partition.as_str());
        let mut unknown = None;
        let mut is_known = false;
        for (pipeline, table) in tables {
            let changed = match into {
                Retirement::Retired => retire(store, table, &id).await.map(|_| None),
                _ => recall(store, table, &id).await,
            };
            match changed {
                Ok(None) => is_known = true,
                Ok(Some(frontier)) => {
                    is_known = true;
                    print::note(format_args!(
                        "rolling of `{pipeline}` waits for `{partition}` again, and what it adds before {frontier} is marked; \
                         recall it once more when it has passed that, which spares the marks"
                    ));
                }
                Err(error) if error.kind() == ErrorKind::NotFound => unknown = Some(error),
                Err(error) => return Err(error),
            }
        }
        if let Some(error) = unknown.filter(|_| !is_known) {
            return Err(Error::new(ErrorKind::InvalidArgument, format!("{error}; `partition list` has their names")));
        }
    }
    Ok(())
}

/// A row for each partition of a table.
async fn listed(store: &dyn Store, pipeline: &str, table: &Table) -> Result<Vec<Json>> {
    let records = store.records(&table.shelf(), PartitionRecord::PREFIX).await?;
    let row = |(name, record): (String, crate::source::Record)| {
        let read =
            PartitionRecord::decode(&record.bytes).map_err(|error| error.while_doing(format!("record `{name}`")))?;
        let rolling = match read.retirement {
            Retirement::Retired => "does not wait (retired)",
            Retirement::Recalled => "waits (recalled)",
            Retirement::Active | Retirement::Returned if read.is_movable() => "does not wait (nothing flushed yet)",
            Retirement::Active | Retirement::Returned => "waits",
        };
        Ok(json!({
            "pipeline": pipeline,
            "partition": PartitionRecord::partition(&name),
            "offset": read.commit.map(|offset| offset.to_string()),
            "reached": read.front.map(|at| at.to_string()),
            "rolling": rolling,
        }))
    };
    records.into_iter().map(row).collect()
}

#[cfg(test)]
mod tests {
    use std::process::ExitCode;

    use super::*;
    use crate::app::entry::Entry;
    use crate::engine::{Decoder, Format, Standing};
    use crate::grpc::tests::{Nothing, Stock};
    use crate::source::Offset;
    use crate::time::Timestamp;

    enum Never {}

    impl Format<Nothing> for Never {
        fn decoder() -> Result<Decoder<Nothing>> {
            Ok(Box::new(|_| Err("nothing is read".into())))
        }
    }

    #[test]
    fn a_partition_is_retired_and_recalled_by_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("state").display().to_string();
        let mut app = App::new("shop", crate::app::Contracts::default());
        app.entries = vec![Entry::of::<Stock, Never>()];
        let table = Table::new("stock", GENERATION);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let opened = || runtime.block_on(open::store(&place.parse().unwrap())).unwrap();
        let commit = Some(Offset::from_u64(7));
        let read = PartitionRecord { commit, horizon: commit, front: Some(Timestamp::EPOCH), ..Default::default() };
        runtime.block_on(read.raise(&*opened(), &table, &PartitionId::new("p"), Standing::default())).unwrap();
        let verb = |arguments: &[&str]| app.run_with([&["partition"], arguments, &["--store", &place]].concat());
        let rolling = || runtime.block_on(listed(&*opened(), "stock", &table)).unwrap()[0]["rolling"].clone();
        assert_eq!(verb(&["retire", "q"]), ExitCode::from(2), "nobody has read it");
        for (name, said) in [("list", "waits"), ("retire", "does not wait (retired)"), ("recall", "waits")] {
            let partition: &[&str] = if name == "list" { &[] } else { &["p"] };
            assert_eq!(verb(&[&[name], partition].concat()), ExitCode::SUCCESS);
            assert_eq!(rolling(), said);
        }
    }
}
