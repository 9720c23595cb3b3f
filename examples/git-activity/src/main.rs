//! Who changed what, where and when: the history of any git repository as a stream.
//!
//! ```text
//! cargo run --release --example git-activity                        # the repository that you are in
//! cargo run --release --example git-activity -- --repo ~/src/linux  # another one
//! ```

mod history;
mod report;
mod start;

use murmur::prelude::*;

/// What one commit did to one file. A commit that touches no file (most merges) is one event without a path.
#[murmur::event]
#[derive(serde::Deserialize, serde::Serialize)]
pub struct Change {
    pub project: String,
    pub author: String,
    #[murmur(time)]
    pub at: Timestamp,
    /// First line of the commit's message.
    pub subject: String,
    /// The file's folder, at most two levels deep.
    pub folder: String,
    pub path: Option<String>,
    pub added: u64,
    pub removed: u64,
    /// Whether it is the first change of its commit, so that commits are counted once.
    pub opens_commit: bool,
    /// Whether it is the first change of its commit in this folder.
    pub opens_folder: bool,
}

/// What happened somewhere, or through someone.
#[murmur::aggregate]
pub struct Activity {
    pub commits: Count,
    pub lines_added: Sum<u64>,
    pub lines_removed: Sum<u64>,
    /// Different files touched; those of several authors, folders and stretches of time can be combined.
    pub files: DistinctSet,
    /// Subject of the earliest commit.
    pub first: First<String>,
    /// Subject of the latest commit.
    pub last: Last<String>,
}

/// Activity per author, over any stretch of a hundred years.
#[murmur::pipeline(key = author, window = sliding("36525d", slot = "1d"))]
pub fn by_author(change: &Change) -> Activity {
    activity(change, change.opens_commit)
}

/// Activity per folder; commits without files have none.
#[murmur::pipeline(key = folder, window = sliding("36525d", slot = "1d"))]
pub fn by_folder(change: &Change) -> Option<Activity> {
    change.path.as_ref().map(|_| activity(change, change.opens_folder))
}

/// Activity per repository.
#[murmur::pipeline(key = project, window = sliding("36525d", slot = "1d"))]
pub fn by_project(change: &Change) -> Activity {
    activity(change, change.opens_commit)
}

fn activity(change: &Change, opens: bool) -> Activity {
    Activity {
        commits: Count::of(u64::from(opens)),
        lines_added: Sum::of(change.added),
        lines_removed: Sum::of(change.removed),
        files: DistinctSet::of(change.path.as_deref()),
        first: First::at(change.at, &change.subject),
        last: Last::at(change.at, &change.subject),
    }
}

murmur::main!(by_author, by_folder, by_project; start = start::start);
