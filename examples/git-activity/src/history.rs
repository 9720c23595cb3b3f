//! A git history as JSON lines, oldest commit first.
//!
//! `git log -z` separates everything by NUL, so that no name of an author or a file can be misread:
//!
//! ```text
//! \x01<hash> NUL <author> NUL <author time> NUL <commit time> NUL <subject> NUL
//! \n<added> TAB <removed> TAB <path> NUL                       a change; `-` for both counts of a binary file
//!   <added> TAB <removed> TAB NUL <old path> NUL <new path> NUL  a rename
//! ```

use std::collections::HashSet;
use std::io::{self, BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use murmur::engine::{Clock, SystemClock};
use murmur::time::Timestamp;

use crate::Change;

/// Subjects are cut to this many characters.
const SUBJECT: usize = 100;

/// What was converted.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Converted {
    pub commits: u64,
    pub events: u64,
}

/// Write the history of the repository at `repo` as JSON lines.
pub fn convert(repo: &Path, project: &str, out: &mut impl Write) -> io::Result<Converted> {
    let mut git = Command::new("git")
        .arg("-C")
        .arg(repo)
        .args(["-c", "log.showSignature=false", "--no-pager", "log", "--reverse", "-z", "--numstat", "--find-renames"])
        .args(["--no-ext-diff", "--no-textconv", "--no-color", "--encoding=UTF-8"])
        .arg("--format=%x01%H%x00%aN%x00%at%x00%ct%x00%s")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| io::Error::new(error.kind(), format!("cannot start `git`: {error}")))?;
    let log = git.stdout.take().ok_or_else(|| io::Error::other("`git` has no output"))?;
    let converted = read(BufReader::with_capacity(1 << 16, log), project, out);
    let status = git.wait()?;
    let converted = converted?;
    if !status.success() {
        return Err(io::Error::other(format!("`git log` in `{}` failed: {status}", repo.display())));
    }
    Ok(converted)
}

/// The events of a log in the form above.
fn read(mut log: impl BufRead, project: &str, out: &mut impl Write) -> io::Result<Converted> {
    let now = SystemClock.now();
    let mut converted = Converted::default();
    let mut commit: Option<Commit> = None;
    while let Some(token) = next(&mut log)? {
        if token.starts_with('\x01') {
            if let Some(before) = commit.take() {
                converted.events += before.finish(out)?;
            }
            let mut field = || next(&mut log).map(Option::unwrap_or_default);
            let (author, authored, committed, subject) = (field()?, field()?, field()?, field()?);
            converted.commits += 1;
            commit = Some(Commit::new(project, author, time(&authored, &committed, now), &subject));
            continue;
        }
        let change = token.trim_start_matches('\n');
        let Some(commit) = commit.as_mut().filter(|_| !change.is_empty()) else { continue };
        let mut columns = change.splitn(3, '\t');
        let mut count = || columns.next().and_then(|n| n.parse().ok()).unwrap_or(0);
        let (added, removed) = (count(), count());
        let path = match columns.next().unwrap_or_default() {
            "" => {
                next(&mut log)?;
                next(&mut log)?.unwrap_or_default()
            }
            path => path.to_owned(),
        };
        commit.change(path, added, removed, out)?;
        converted.events += 1;
    }
    if let Some(last) = commit {
        converted.events += last.finish(out)?;
    }
    Ok(converted)
}

/// The text up to the next NUL; bytes that are no UTF-8 are replaced.
fn next(log: &mut impl BufRead) -> io::Result<Option<String>> {
    let mut bytes = Vec::new();
    if log.read_until(0, &mut bytes)? == 0 {
        return Ok(None);
    }
    if bytes.last() == Some(&0) {
        bytes.pop();
    }
    Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
}

/// When a commit was written. Clocks are wrong now and then: nobody writes a commit after committing it, nor in the
/// future.
fn time(authored: &str, committed: &str, now: Timestamp) -> Timestamp {
    let seconds = |text: &str| text.parse().map(Timestamp::from_seconds);
    let committed = seconds(committed).unwrap_or(now).min(now);
    seconds(authored).unwrap_or(committed).min(committed)
}

/// The commit whose changes are being read.
struct Commit {
    /// The event that the next change becomes.
    event: Change,
    folders: HashSet<String>,
}

impl Commit {
    fn new(project: &str, author: String, at: Timestamp, subject: &str) -> Self {
        let event = Change {
            project: project.to_owned(),
            author,
            at,
            subject: subject.chars().take(SUBJECT).collect(),
            folder: String::new(),
            path: None,
            added: 0,
            removed: 0,
            opens_commit: true,
            opens_folder: false,
        };
        Self { event, folders: HashSet::new() }
    }

    fn change(&mut self, path: String, added: u64, removed: u64, out: &mut impl Write) -> io::Result<()> {
        let folder = folder(&path);
        self.event.opens_folder = self.folders.insert(folder.clone());
        self.event.folder = folder;
        self.event.path = Some(path);
        (self.event.added, self.event.removed) = (added, removed);
        self.write(out)?;
        self.event.opens_commit = false;
        Ok(())
    }

    /// A commit without files is an event too; how many events that added.
    fn finish(self, out: &mut impl Write) -> io::Result<u64> {
        if self.event.path.is_some() {
            return Ok(0);
        }
        self.write(out)?;
        Ok(1)
    }

    fn write(&self, out: &mut impl Write) -> io::Result<()> {
        serde_json::to_writer(&mut *out, &self.event)?;
        out.write_all(b"\n")
    }
}

/// The folder of a file, at most two levels deep; `.` for the top.
fn folder(path: &str) -> String {
    match path.rsplit_once('/') {
        None => ".".to_owned(),
        Some((folder, _)) => folder.split('/').take(2).collect::<Vec<_>>().join("/"),
    }
}

#[cfg(test)]
mod tests;
