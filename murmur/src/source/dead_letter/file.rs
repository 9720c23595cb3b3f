use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};

use super::{Commits, DeadLetters, Letter, LetterClass};
use crate::folder::{FolderLock, sync_folder};
use crate::source::{Offset, PartitionId};
use crate::time::Timestamp;
use crate::{Error, ErrorKind, Result};

/// Dead letters in a folder: one file per partition, one JSON object a line.
///
/// ```text
/// {"partition":"f:views:1","offset":"3:17","pipelines":["page_traffic"],"place":"/data/views.jsonl:17",
///  "reason":"...","class":"undecodable","at":"2026-...","payload":"..."}
/// ```
///
/// `pipelines` are those that it is not counted in. `place` and `at` are there when known, as are `key`, `headers` (a list of name and value) and `stamped` (when the
/// source took it in); bytes that are not UTF-8 stand in `payload_base64`, `key_base64` instead. Names of files are
/// those of the partitions, with `%XX` for what a file name cannot hold.
///
/// The folder belongs to one process at a time. Writing happens where it is called, as bad payloads are few; where
/// they are not, it is the disk that slows down the workers that have letters. Those wait for each other: for a line to
/// be written, for a file to be cut, and for what another one makes durable. Who only commits waits for none of it.
///
/// What an earlier process left beyond the commits is cut off when a partition is taken for the first time. **What was
/// put since then stays**, whoever takes the partition, and is left out when it is put again. A worker that has lost a
/// partition, and does not know it, may still raise the commit over its letters: also after another one has read the
/// record, and at any time until that one has put them again. Were they cut off, they would be gone from a process that
/// is killed in between. And a worker that takes a partition may be so late with it that another one has read on.
///
/// When the system could not write something down, nothing is said to be durable any more until the folder is opened
/// anew: after a failed `fsync` the next one succeeds, though what the first one was about may be lost.
#[derive(Debug)]
pub struct FileDeadLetters {
    place: Arc<Place>,
}

/// What all that write to the folder have in common.
#[derive(Debug)]
struct Place {
    folder: PathBuf,
    sheets: Mutex<Sheets>,
    /// Commits that the sheets have not heard of. Whoever takes those next tells them.
    passed: Mutex<HashMap<PartitionId, HashMap<&'static str, Option<Offset>>>>,
    /// One at a time makes durable, and the others wait for what comes of it: a failed `fsync` is told only one of them.
    syncing: Mutex<()>,
    _lock: FolderLock,
}

#[derive(Debug)]
struct Sheets {
    of: HashMap<PartitionId, Sheet>,
    /// Whether the folder names a file that it may forget.
    unsynced: bool,
    /// Something could not be written.
    has_failed: bool,
}

/// The file of a partition.
#[derive(Debug, Default)]
struct Sheet {
    /// There while it has something that nobody makes durable yet.
    file: Option<File>,
    /// By pipeline.
    known: HashMap<&'static str, Known>,
}

/// Which letters of a pipeline need not be put any more.
#[derive(Debug, Default)]
struct Known {
    /// Whoever let the commit pass had those before it stored.
    passed: Option<Offset>,
    /// Put by this process beyond that.
    beyond: BTreeSet<Offset>,
}

impl Known {
    fn has(&self, offset: Offset) -> bool {
        Some(offset) <= self.passed || self.beyond.contains(&offset)
    }

    fn pass(&mut self, commit: Option<Offset>) {
        if commit > self.passed {
            self.passed = commit;
            self.beyond.retain(|offset| Some(*offset) > commit);
        }
    }
}

#[derive(Serialize)]
struct Line<'a> {
    partition: &'a str,
    offset: String,
    pipelines: &'a [&'static str],
    #[serde(skip_serializing_if = "Option::is_none")]
    place: Option<&'a str>,
    reason: &'a str,
    class: LetterClass,
    #[serde(skip_serializing_if = "Option::is_none")]
    at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    payload: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    payload_base64: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key_base64: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    headers: Vec<(&'a str, Option<Cow<'a, str>>)>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stamped: Option<Timestamp>,
}

/// What a rewind has to know of a line.
#[derive(Deserialize)]
struct Position {
    offset: String,
    pipelines: Vec<String>,
}

/// What a rewind does with a line.
#[derive(Debug, PartialEq)]
pub(super) enum Stay {
    /// It stays as it is.
    Whole,
    /// It stays for fewer pipelines, in this form.
    For(serde_json::Map<String, serde_json::Value>),
    No,
}

impl FileDeadLetters {
    /// The letters in this folder, which is made when it is not there.
    ///
    /// Errors: [`Conflict`](ErrorKind::Conflict) when another process has it, [`Io`](ErrorKind::Io).
    pub fn open(folder: impl Into<PathBuf>) -> Result<Self> {
        let folder = folder.into();
        fs::create_dir_all(&folder).map_err(|error| failed(&folder, error))?;
        let way_out = "name another folder for this one, with `--dead-letters FOLDER` (inside one process, share it)";
        let lock = FolderLock::take(&folder, "dead letters", way_out)?;
        let sheets = Sheets { of: HashMap::new(), unsynced: true, has_failed: false };
        let place = Place {
            folder,
            sheets: Mutex::new(sheets),
            passed: Mutex::default(),
            syncing: Mutex::default(),
            _lock: lock,
        };
        Ok(Self { place: Arc::new(place) })
    }

    /// One more writer to the folder, for another worker of this process. A partition that moves from one to another
    /// finds its letters there.
    #[must_use]
    pub fn share(&self) -> Self {
        Self { place: self.place.clone() }
    }
}

impl Place {
    /// The sheets, which have heard of all commits.
    fn sheets(&self) -> MutexGuard<'_, Sheets> {
        let mut sheets = locked(&self.sheets);
        let passed = std::mem::take(&mut *locked(&self.passed));
        for (partition, commits) in passed {
            let Some(sheet) = sheets.of.get_mut(&partition) else { continue };
            for (name, commit) in commits {
                if let Some(known) = sheet.known.get_mut(name) {
                    known.pass(commit);
                }
            }
        }
        sheets
    }

    /// Write, unless something could not be written before.
    fn write<T>(&self, write: impl FnOnce(&mut Sheets) -> io::Result<T>) -> Result<T> {
        let mut sheets = self.sheets();
        let done = if sheets.has_failed {
            Err(io::Error::other("something could not be written before, so what is on disk is not known; start again"))
        } else {
            write(&mut sheets)
        };
        done.map_err(|error| {
            sheets.has_failed = true;
            failed(&self.folder, error)
        })
    }

    fn path(&self, partition: &PartitionId) -> PathBuf {
        let mut name = String::new();
        for byte in partition.as_str().bytes() {
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' => name.push(char::from(byte)),
                _ => name.push_str(&format!("%{byte:02X}")),
            }
        }
        self.folder.join(name + ".jsonl")
    }

    fn append(&self, sheets: &mut Sheets, letters: &mut [Letter]) -> io::Result<()> {
        for letters in letters.chunk_by_mut(|a, b| a.partition == b.partition) {
            let partition = letters[0].partition.clone();
            let sheet = sheets.of.entry(partition.clone()).or_default();
            let mut lines = Vec::new();
            for letter in letters {
                let offset = letter.offset;
                letter.pipelines.retain(|name| !sheet.known.get(name).is_some_and(|known| known.has(offset)));
                if letter.pipelines.is_empty() {
                    continue;
                }
                serde_json::to_writer(&mut lines, &Line::of(letter))?;
                lines.push(b'\n');
                for name in &letter.pipelines {
                    sheet.known.entry(name).or_default().beyond.insert(offset);
                }
            }
            if lines.is_empty() {
                continue;
            }
            let mut file = match sheet.file.take() {
                Some(file) => file,
                None => {
                    let path = self.path(&partition);
                    sheets.unsynced |= !path.exists();
                    OpenOptions::new().create(true).append(true).open(path)?
                }
            };
            file.write_all(&lines)?;
            sheet.file = Some(file);
        }
        Ok(())
    }

    /// Those of others too: what they have put is left out when it is put again. The files are closed by it, as a worker
    /// meets many partitions in its time.
    fn sync_all(&self) -> Result<()> {
        let _one = locked(&self.syncing);
        let (files, folder) = self.write(|sheets| {
            let files: Vec<File> = sheets.of.values_mut().filter_map(|sheet| sheet.file.take()).collect();
            Ok((files, std::mem::take(&mut sheets.unsynced)))
        })?;
        // Others write meanwhile.
        let synced = files.iter().try_for_each(File::sync_data);
        let synced = synced.and_then(|()| if folder { sync_folder(&self.folder) } else { Ok(()) });
        self.write(|_| synced)
    }

    /// Cut off what an earlier process left of these pipelines, once for each of them.
    fn take(&self, sheets: &mut Sheets, partition: &PartitionId, commits: Commits<'_>) -> io::Result<()> {
        let sheet = sheets.of.entry(partition.clone()).or_default();
        let new: Vec<_> = commits.iter().filter(|(name, _)| !sheet.known.contains_key(name)).copied().collect();
        if !new.is_empty() && self.cut(partition, &new)? {
            sheet.file = None;
        }
        for (name, commit) in commits {
            sheet.known.entry(name).or_default().pass(*commit);
        }
        Ok(())
    }

    /// Copy what stays, and put the copy in the file's place; whether that was needed.
    fn cut(&self, partition: &PartitionId, commits: Commits<'_>) -> io::Result<bool> {
        let path = self.path(partition);
        if !path.exists() || all_stay(&path, commits)? {
            return Ok(false);
        }
        let draft = path.with_extension("new");
        let mut copy = BufWriter::new(File::create(&draft)?);
        for_each_line(&path, |line| {
            match stays(line, commits) {
                Stay::Whole => copy.write_all(line)?,
                Stay::For(letter) => {
                    serde_json::to_writer(&mut copy, &letter)?;
                    copy.write_all(b"\n")?;
                }
                Stay::No => {}
            }
            Ok(true)
        })?;
        copy.into_inner()?.sync_all()?;
        fs::rename(&draft, &path)?;
        sync_folder(&self.folder)?;
        Ok(true)
    }
}

impl<'a> Line<'a> {
    fn of(letter: &'a Letter) -> Self {
        let (text, binary) = text_or_base64(&letter.payload);
        let (key, key_base64) = letter.metadata.key.as_deref().map(text_or_base64).unwrap_or_default();
        let header = |(name, value): &'a (String, Option<Vec<u8>>)| {
            (name.as_str(), value.as_deref().map(String::from_utf8_lossy))
        };
        Self {
            partition: letter.partition.as_str(),
            offset: letter.offset.to_string(),
            pipelines: &letter.pipelines,
            place: letter.place.as_deref(),
            reason: &letter.reason,
            class: letter.class,
            at: letter.at,
            payload: text,
            payload_base64: binary,
            key,
            key_base64,
            headers: letter.metadata.headers.iter().map(header).collect(),
            stamped: letter.metadata.stamped,
        }
    }
}

/// Bytes as text, or in base64 when they are none.
fn text_or_base64(bytes: &[u8]) -> (Option<&str>, Option<String>) {
    let text = std::str::from_utf8(bytes).ok();
    (text, text.is_none().then(|| STANDARD.encode(bytes)))
}

/// What becomes of a line, newline included. A kill can tear the last line, which no commit has passed then. A whole
/// line that is none of ours is left alone.
pub(super) fn stays(line: &[u8], commits: Commits<'_>) -> Stay {
    let Some(line) = line.strip_suffix(b"\n") else { return Stay::No };
    // A list of the two would be read as well.
    if !line.starts_with(b"{") {
        return Stay::Whole;
    }
    let Ok(Position { offset, mut pipelines }) = serde_json::from_slice(line) else { return Stay::Whole };
    let Ok(offset) = offset.parse::<Offset>() else { return Stay::Whole };
    let before = pipelines.len();
    pipelines.retain(|name| {
        let commit = commits.iter().find(|(pipeline, _)| pipeline == name);
        commit.is_none_or(|(_, commit)| Some(offset) <= *commit)
    });
    match pipelines.len() {
        0 => Stay::No,
        left if left == before => Stay::Whole,
        _ => match serde_json::from_slice::<serde_json::Map<_, _>>(line) {
            Ok(mut letter) => {
                letter.insert("pipelines".into(), pipelines.into());
                Stay::For(letter)
            }
            // What stands beside the two is nothing that is written here.
            Err(_) => Stay::Whole,
        },
    }
}

fn all_stay(path: &Path, commits: Commits<'_>) -> io::Result<bool> {
    let mut all = true;
    for_each_line(path, |line| {
        all = stays(line, commits) == Stay::Whole;
        Ok(all)
    })?;
    Ok(all)
}

/// Calls `each` with every line and its newline, until it says `false`.
fn for_each_line(path: &Path, mut each: impl FnMut(&[u8]) -> io::Result<bool>) -> io::Result<()> {
    let mut input = BufReader::new(File::open(path)?);
    let mut line = Vec::new();
    while input.read_until(b'\n', &mut line)? > 0 {
        if !each(&line)? {
            return Ok(());
        }
        line.clear();
    }
    Ok(())
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn failed(folder: &Path, error: io::Error) -> Error {
    let context = format!("cannot keep dead letters in `{}`", folder.display());
    Error::new(ErrorKind::Io, context).with_source(error)
}

impl DeadLetters for FileDeadLetters {
    fn rewind<'a>(&'a mut self, partition: &'a PartitionId, commits: Commits<'a>) -> BoxFuture<'a, Result<()>> {
        async move { self.place.write(|sheets| self.place.take(sheets, partition, commits)) }.boxed()
    }

    fn passed<'a>(&'a mut self, partition: &'a PartitionId, commits: Commits<'a>) -> BoxFuture<'a, ()> {
        let mut passed = locked(&self.place.passed);
        let of = passed.entry(partition.clone()).or_default();
        for (name, commit) in commits {
            let passed = of.entry(name).or_default();
            *passed = (*passed).max(*commit);
        }
        Box::pin(async {})
    }

    fn put(&mut self, mut letters: Vec<Letter>) -> BoxFuture<'_, Result<()>> {
        async move { self.place.write(|sheets| self.place.append(sheets, &mut letters)) }.boxed()
    }

    fn sync(&mut self) -> BoxFuture<'_, Result<()>> {
        async move { self.place.sync_all() }.boxed()
    }
}

#[cfg(test)]
mod tests;
