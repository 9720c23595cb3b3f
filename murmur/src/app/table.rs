use serde::Deserialize;
use serde_json::json;

use super::call::Json;
use super::cli::ListArgs;
use super::entry::Entry;
use super::exit::Exit;
use super::print::{self, Cell};
use super::{App, GENERATION, open};
use crate::source::Shelf;
use crate::store::{Ensured, Store, Table};
use crate::{Error, ErrorKind, Result};

/// `table ensure`: make what is missing, and say what could not be set.
pub(super) async fn run(app: &App, args: &ListArgs) -> Result<Exit> {
    let entries = app.select(&args.pipelines)?;
    let store = open::store(&args.store.store).await?;
    let rows: Vec<Json> = all(app, &entries, &*store).await?.iter().map(row).collect();
    print::rows(args.output, &rows, |row| {
        let column = |name: &str| (name.to_owned(), Cell::of(row.get(name).unwrap_or(&Json::Null)));
        vec![column("table"), column("made")]
    })?;
    Ok(Exit::Done)
}

/// The same before a worker starts, if that was asked for.
pub(super) async fn ensure(app: &App, entries: &[Entry], store: &dyn Store, asked: bool) -> Result<()> {
    if asked {
        all(app, entries, store).await?;
    }
    Ok(())
}

/// The tables of these pipelines, and the one of the sources.
async fn all(app: &App, entries: &[Entry], store: &dyn Store) -> Result<Vec<(Shelf, Ensured)>> {
    let mut shelves = Vec::with_capacity(entries.len() + 1);
    for entry in entries {
        let table = Table::new(entry.spec.name, GENERATION);
        shelves.push((table.shelf(), tags(app, &table)?));
    }
    shelves.push((Shelf::Sources, Vec::new()));
    let mut done = Vec::with_capacity(shelves.len());
    for (shelf, tags) in shelves {
        let ensured = store.ensure(&shelf, &tags).await?;
        for unset in &ensured.unset {
            print::note(format_args!("{shelf}: could not set {}: {}", unset.what, unset.why));
        }
        done.push((shelf, ensured));
    }
    Ok(done)
}

fn row((shelf, ensured): &(Shelf, Ensured)) -> Json {
    let unset = ensured.unset.iter().map(|unset| json!({ "what": unset.what, "why": unset.why }));
    json!({ "table": shelf.name(), "made": ensured.created, "unset": unset.collect::<Vec<_>>() })
}

/// The tags that the build step describes a table with. Everything else in its description is what every table has.
fn tags(app: &App, table: &Table) -> Result<Vec<(String, String)>> {
    #[derive(Deserialize)]
    struct Description {
        #[serde(rename = "Tags")]
        tags: Vec<Tag>,
    }
    #[derive(Deserialize)]
    struct Tag {
        #[serde(rename = "Key")]
        key: String,
        #[serde(rename = "Value")]
        value: String,
    }
    let path = format!("schema/dynamodb/{}.json", table.as_str());
    let missing = || Error::new(ErrorKind::Internal, format!("the build step left no contract `{path}`"));
    let (_, text) = app.contracts.files.iter().find(|(name, _)| *name == path).ok_or_else(missing)?;
    let description: Description = serde_json::from_str(text)
        .map_err(|error| Error::new(ErrorKind::Internal, format!("cannot read `{path}`")).with_source(error))?;
    Ok(description.tags.into_iter().map(|Tag { key, value }| (key, value)).collect())
}
