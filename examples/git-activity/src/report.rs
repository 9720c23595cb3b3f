//! The answers that a person sees first.

use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;

use murmur::app::App;
use murmur::query::Reader;
use murmur::store::{Consistency, EmbeddedConfig, EmbeddedStore};
use murmur::time::{TimeRange, Timestamp};

use crate::{ByProject, ByProjectKey};

/// Most active authors and folders, and the years.
pub fn print(app: &App, state: &Path, store: &str, project: &str) -> io::Result<()> {
    let mut out = io::stdout();
    for (title, pipeline) in [("Authors", "by_author"), ("Folders", "by_folder")] {
        writeln!(out, "\n{title} with the most commits")?;
        app.run_with(["query", pipeline, "--top", "10", "--by", "commits", "--store", store]);
    }
    writeln!(out, "\nCommits of {project} by year")?;
    let years = years(state, project).map_err(io::Error::other)?;
    let most = years.iter().map(|year| year.commits).max().unwrap_or(0);
    for Year { year, commits, authored } in years {
        let bar = "█".repeat((commits * 40).div_ceil(most.max(1)) as usize);
        writeln!(out, "  {year}  {commits:>7}  +{authored:<9} {bar}")?;
    }
    Ok(())
}

struct Year {
    year: i64,
    commits: u64,
    /// Lines added.
    authored: u64,
}

/// One question per year, from that of the first commit to that of the last.
fn years(state: &Path, project: &str) -> murmur::Result<Vec<Year>> {
    let store = Arc::new(EmbeddedStore::open(&EmbeddedConfig::new(state))?);
    let reader = Reader::<ByProject>::new(store, 1);
    let key = ByProjectKey { project: project.to_owned() };
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        let whole = reader.get(&key, Consistency::Strong).await?.value;
        let year =
            |at: Option<Timestamp>| at.map(|at| at.to_string()).and_then(|text| text.get(..4)?.parse::<i64>().ok());
        let first = year(whole.first.and_then(|first| first.at));
        let last = year(whole.last.and_then(|last| last.at));
        let mut years = Vec::new();
        for year in first.zip(last).into_iter().flat_map(|(first, last)| first..=last) {
            let range = TimeRange::new(new_year(year)?, new_year(year + 1)?);
            let value = reader.range(&key, range, Consistency::Strong).await?.value;
            years.push(Year { year, commits: value.commits, authored: value.lines_added });
        }
        Ok(years)
    })
}

fn new_year(year: i64) -> murmur::Result<Timestamp> {
    format!("{year:04}-01-01T00:00:00Z")
        .parse()
        .map_err(|text: String| murmur::Error::new(murmur::ErrorKind::Internal, text))
}

/// Commands to go on with.
pub fn what_next(listen: &str, project: &str) -> String {
    let again = "cargo run --release --example git-activity --";
    format!(
        r#"
Ask on (Ctrl-C ends the server):

  curl -s http://{listen}/git_activity.v1.ByProjectService/GetWindow \
    -H 'content-type: application/json' -d '{{"key": {{"project": "{project}"}}, "window": "31536000s"}}'

  grpcurl -plaintext -d '{{"key": {{"project": "{project}"}}}}' {listen} git_activity.v1.ByProjectService/Get

  {again} query by_project {project} --window 30d --at http://{listen}
  {again} query by_project {project} --window 52w --series 7d --at http://{listen}
  {again} schema proto
"#
    )
}
