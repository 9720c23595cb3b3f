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

use super::{Commits, DeadLetters, Letter};
use crate::folder::{FolderLock, sync_folder};
use crate::source::{Offset, PartitionId};
use crate::time::Timestamp;
use crate::{Error, ErrorKind, Result};

/// Dead letters in a folder: one file per partition, one JSON object a line.
///
/// ```text
/// {"partition":"f:views:1","offset":"3:17","pipelines":["page_traffic"],"place":"/data/views.jsonl:17",
///  "reason":"...","at":"2026-...","payload":"..."}
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
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use crate::source::Metadata;

    fn letter(partition: &str, offset: u64, payload: &[u8]) -> Letter {
        Letter {
            partition: PartitionId::new(partition),
            offset: Offset::from_pair(1, offset),
            pipelines: vec!["a", "b"],
            place: None,
            reason: "no JSON".to_owned(),
            at: None,
            payload: payload.to_vec(),
            metadata: Metadata::default(),
        }
    }

    fn lines(folder: &Path, name: &str) -> Vec<Value> {
        let text = fs::read_to_string(folder.join(name)).unwrap_or_default();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    #[tokio::test]
    async fn letters_say_what_where_and_why() {
        let folder = tempfile::tempdir().unwrap();
        let mut letters = FileDeadLetters::open(folder.path().join("a/b")).unwrap();
        let whole = Letter {
            place: Some("/data/a.jsonl:3".to_owned()),
            at: Some(Timestamp::EPOCH),
            metadata: Metadata {
                key: Some(b"k".to_vec()),
                headers: vec![("trace".to_owned(), Some(b"7".to_vec())), ("trace".to_owned(), None)],
                stamped: Some(Timestamp::from_seconds(1)),
            },
            ..letter("f:in:1", 3, "{\"\u{e4}\n".as_bytes())
        };
        letters.put(vec![whole, letter("f:in:1", 4, b"\xff\0"), letter("../x y", 1, b"")]).await.unwrap();
        letters.sync().await.unwrap();
        let folder = folder.path().join("a/b");
        assert_eq!(
            lines(&folder, "f%3Ain%3A1.jsonl"),
            [
                json!({
                    "partition": "f:in:1", "offset": "1:3", "pipelines": ["a", "b"], "place": "/data/a.jsonl:3", "reason": "no JSON",
                    "at": "1970-01-01T00:00:00Z", "payload": "{\"\u{e4}\n", "key": "k",
                    "headers": [["trace", "7"], ["trace", null]], "stamped": "1970-01-01T00:00:01Z",
                }),
                json!({
                    "partition": "f:in:1", "offset": "1:4", "pipelines": ["a", "b"], "reason": "no JSON",
                    "payload_base64": "/wA=",
                }),
            ]
        );
        assert_eq!(lines(&folder, "%2E%2E%2Fx%20y.jsonl").len(), 1);
    }

    #[tokio::test]
    async fn a_folder_has_one_owner() {
        let folder = tempfile::tempdir().unwrap();
        let letters = FileDeadLetters::open(folder.path()).unwrap();
        let error = FileDeadLetters::open(folder.path()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Conflict);
        let (text, owner) = (error.to_string(), format!("process {} ", std::process::id()));
        for part in [folder.path().to_str().unwrap(), &owner, "`--dead-letters FOLDER`"] {
            assert!(text.contains(part), "{text}");
        }
        drop(letters);
        FileDeadLetters::open(folder.path()).unwrap();
    }

    #[tokio::test]
    async fn what_could_not_be_written_is_durable_for_nobody_until_the_folder_is_opened_anew() {
        let folder = tempfile::tempdir().unwrap();
        let mut one = FileDeadLetters::open(folder.path()).unwrap();
        let mut other = one.share();
        other.put(vec![letter("q", 1, b"a")]).await.unwrap();
        other.sync().await.unwrap();
        // It takes everything, and cannot be synced.
        std::os::unix::fs::symlink("/dev/null", folder.path().join("p.jsonl")).unwrap();
        one.put(vec![letter("p", 1, b"a")]).await.unwrap();
        one.sync().await.unwrap_err();
        fs::remove_file(folder.path().join("p.jsonl")).unwrap();
        one.place.sheets().of.clear();
        assert_eq!(one.sync().await.unwrap_err().kind(), ErrorKind::Io, "nothing is left that could fail again");
        let error = other.put(vec![letter("q", 2, b"b")]).await.unwrap_err();
        assert!(error.to_string().contains("start again"), "{error}");
        other.sync().await.unwrap_err();
        drop((one, other));
        let mut anew = FileDeadLetters::open(folder.path()).unwrap();
        anew.put(vec![letter("q", 2, b"b")]).await.unwrap();
        anew.sync().await.unwrap();
    }

    #[tokio::test]
    async fn a_partition_that_moves_to_another_writer_and_back_has_each_letter_once() {
        let folder = tempfile::tempdir().unwrap();
        let partition = PartitionId::new("p");
        let mut one = FileDeadLetters::open(folder.path()).unwrap();
        let mut other = one.share();
        one.put(vec![letter("p", 1, b"a"), letter("p", 2, b"b")]).await.unwrap();
        one.sync().await.unwrap();
        let commit = |offset| Some(Offset::from_pair(1, offset));
        other.rewind(&partition, &[("a", commit(1)), ("b", commit(1))]).await.unwrap();
        other.put(vec![letter("p", 2, b"b"), letter("p", 3, b"c")]).await.unwrap();
        other.sync().await.unwrap();
        one.rewind(&partition, &[("a", commit(2)), ("b", commit(2))]).await.unwrap();
        one.put(vec![letter("p", 3, b"c")]).await.unwrap();
        one.sync().await.unwrap();
        let there = lines(folder.path(), "p.jsonl");
        let there: Vec<_> = there.iter().map(|line| line["offset"].clone()).collect();
        assert_eq!(there, [json!("1:1"), json!("1:2"), json!("1:3")]);
    }

    #[tokio::test]
    async fn lines_of_others_are_left_alone_and_a_torn_one_goes() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("p.jsonl");
        let mut letters = FileDeadLetters::open(folder.path()).unwrap();
        letters.put(vec![letter("p", 1, b"a"), letter("p", 2, b"b")]).await.unwrap();
        letters.sync().await.unwrap();
        drop(letters);
        let ours = fs::read(&file).unwrap();
        let others = b"# a note\n[\"1:1\",[\"a\"]]\n{\"offset\":\"1:3\",\"pipelines\":[\"a\",\"c\"],\"n\":1e999}\n";
        fs::write(&file, [others.as_slice(), &ours, &ours[..30]].concat()).unwrap();
        let commit = Some(Offset::from_pair(1, 2));
        let mut letters = FileDeadLetters::open(folder.path()).unwrap();
        letters.rewind(&PartitionId::new("p"), &[("a", commit), ("b", commit)]).await.unwrap();
        assert_eq!(fs::read(&file).unwrap(), [others.as_slice(), &ours].concat());
    }

    #[tokio::test]
    async fn a_letter_stays_for_the_pipelines_whose_commit_has_passed_it_and_for_those_not_here() {
        let folder = tempfile::tempdir().unwrap();
        let partition = PartitionId::new("p");
        let mut letters = FileDeadLetters::open(folder.path()).unwrap();
        let of =
            |offset, pipelines: &[&'static str]| Letter { pipelines: pipelines.to_vec(), ..letter("p", offset, b"") };
        letters.put(vec![of(1, &["a", "b"]), of(2, &["a"]), of(3, &["a", "b", "c"]), of(4, &["b"])]).await.unwrap();
        letters.sync().await.unwrap();
        drop(letters);
        let mut letters = FileDeadLetters::open(folder.path()).unwrap();
        // `b` joins late, and `c` is not part of this worker.
        let commit = |offset| Some(Offset::from_pair(1, offset));
        letters.rewind(&partition, &[("a", commit(3)), ("b", None)]).await.unwrap();
        let there = lines(folder.path(), "p.jsonl");
        let there: Vec<_> = there.iter().map(|line| (line["offset"].clone(), line["pipelines"].clone())).collect();
        assert_eq!(
            there,
            [(json!("1:1"), json!(["a"])), (json!("1:2"), json!(["a"])), (json!("1:3"), json!(["a", "c"]))]
        );
        drop(letters);
        let mut letters = FileDeadLetters::open(folder.path()).unwrap();
        letters.rewind(&partition, &[("a", None), ("c", commit(2))]).await.unwrap();
        assert_eq!(lines(folder.path(), "p.jsonl").len(), 0);
    }

    fn offsets(folder: &Path) -> Vec<Value> {
        lines(folder, "p.jsonl").into_iter().map(|mut line| line["offset"].take()).collect()
    }

    /// One that has lost the partition, and does not know it, raises the commit to 3 only now; see
    /// `a_letter_outlives_the_worker_that_takes_the_partition_before_the_commit_passes_it` (engine).
    #[tokio::test]
    async fn whoever_takes_a_partition_cuts_off_nothing_that_this_process_has_put() {
        let folder = tempfile::tempdir().unwrap();
        let partition = PartitionId::new("p");
        let mut one = FileDeadLetters::open(folder.path()).unwrap();
        let mut other = one.share();
        let at = |offset| Some(Offset::from_pair(1, offset));
        one.rewind(&partition, &[("a", at(1)), ("b", at(1))]).await.unwrap();
        one.put(vec![letter("p", 2, b"a")]).await.unwrap();
        one.sync().await.unwrap();
        other.rewind(&partition, &[("a", at(1)), ("b", at(1))]).await.unwrap();
        assert_eq!(offsets(folder.path()), ["1:2"], "it may be killed now");
        one.put(vec![letter("p", 3, b"b")]).await.unwrap();
        one.sync().await.unwrap();
        assert_eq!(offsets(folder.path()), ["1:2", "1:3"], "the file that was there is not the one that is there");
        other.put(vec![letter("p", 2, b"a"), letter("p", 3, b"b"), letter("p", 4, b"c")]).await.unwrap();
        other.sync().await.unwrap();
        other.passed(&partition, &[("a", at(4)), ("b", at(4))]).await;
        one.put(vec![letter("p", 4, b"c")]).await.unwrap();
        assert_eq!(offsets(folder.path()), ["1:2", "1:3", "1:4"], "each once, however late it is put");
    }

    #[tokio::test]
    async fn one_that_is_late_with_taking_a_partition_cuts_off_nothing_that_is_committed() {
        let folder = tempfile::tempdir().unwrap();
        let partition = PartitionId::new("p");
        let mut late = FileDeadLetters::open(folder.path()).unwrap();
        let mut one = late.share();
        // Both have read the record.
        let (before, after) = (None, Some(Offset::from_pair(1, 2)));
        one.rewind(&partition, &[("a", before), ("b", before)]).await.unwrap();
        one.put(vec![letter("p", 2, b"a")]).await.unwrap();
        one.sync().await.unwrap();
        one.passed(&partition, &[("a", after), ("b", after)]).await;
        late.rewind(&partition, &[("a", before), ("b", before)]).await.unwrap();
        assert_eq!(offsets(folder.path()), ["1:2"]);
    }

    #[tokio::test]
    async fn a_letter_that_another_has_put_is_durable_when_it_is_put_again() {
        let folder = tempfile::tempdir().unwrap();
        let mut one = FileDeadLetters::open(folder.path()).unwrap();
        let mut other = one.share();
        // It takes everything, and cannot be synced.
        std::os::unix::fs::symlink("/dev/null", folder.path().join("p.jsonl")).unwrap();
        one.put(vec![letter("p", 1, b"a")]).await.unwrap();
        other.put(vec![letter("p", 1, b"a")]).await.unwrap();
        other.sync().await.unwrap_err();
    }

    /// The locks stand for a disk that does not answer: one worker writes, another makes durable.
    #[tokio::test]
    async fn who_commits_waits_for_nobody_and_who_puts_not_for_one_that_makes_durable() {
        let folder = tempfile::tempdir().unwrap();
        let partition = PartitionId::new("p");
        let mut one = FileDeadLetters::open(folder.path()).unwrap();
        let mut other = one.share();
        let at = |offset| Some(Offset::from_pair(1, offset));
        one.rewind(&partition, &[("a", at(0)), ("b", at(0))]).await.unwrap();
        let place = one.place.clone();
        let syncing = locked(&place.syncing);
        one.put(vec![letter("p", 1, b"a"), letter("p", 2, b"b")]).now_or_never().unwrap().unwrap();
        let writing = locked(&place.sheets);
        other.passed(&partition, &[("a", at(1)), ("b", at(2))]).now_or_never().unwrap();
        other.passed(&partition, &[("a", at(0)), ("b", at(0))]).now_or_never().unwrap();
        drop((writing, syncing));
        let left = |name| place.sheets().of[&partition].known[name].beyond.len();
        assert_eq!((left("a"), left("b")), (1, 0), "it is heard of later");
    }

    #[tokio::test]
    async fn no_file_stays_open_when_its_letters_are_durable() {
        let folder = tempfile::tempdir().unwrap();
        let mut letters = FileDeadLetters::open(folder.path()).unwrap();
        let open = |letters: &FileDeadLetters| letters.place.sheets().of.values().flat_map(|sheet| &sheet.file).count();
        for offset in [1, 2] {
            letters.put(vec![letter("p", offset, b"a"), letter("q", offset, b"a")]).await.unwrap();
            assert_eq!(open(&letters), 2);
            letters.sync().await.unwrap();
            assert_eq!(open(&letters), 0);
        }
        assert_eq!(offsets(folder.path()), ["1:1", "1:2"]);
    }

    /// What happens to a worker, as its dead letters see it.
    #[derive(Debug, Clone)]
    enum Step {
        /// Reads that many lines on; all the odd ones are bad.
        Read(u64),
        /// Flushes, and commits what was read.
        Commit,
        /// Flushes, and dies before the commit.
        DieAfterSync,
        /// Dies with some part of what is not synced on disk.
        Die(prop::sample::Index),
        /// Meets a conflict.
        Rewind,
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            3 => (1u64..6).prop_map(Step::Read),
            2 => Just(Step::Commit),
            1 => Just(Step::DieAfterSync),
            1 => any::<prop::sample::Index>().prop_map(Step::Die),
            1 => Just(Step::Rewind),
        ];
        prop::collection::vec(step, 1..25)
    }

    proptest! {
        // Every step may wait for the disk.
        #![proptest_config(ProptestConfig::with_cases(40))]

        #[test]
        fn each_bad_line_is_there_once_whatever_happened(steps in steps()) {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            runtime.block_on(async {
                let folder = tempfile::tempdir().unwrap();
                let file = folder.path().join("p.jsonl");
                let partition = PartitionId::new("p");
                let mut letters = FileDeadLetters::open(folder.path()).unwrap();
                let (mut read, mut commit, mut synced) = (0, 0, 0);
                // The next process leaves nothing beyond the commit, which this one may have put already.
                let end = [Step::Rewind, Step::Read(3), Step::Commit, Step::DieAfterSync];
                for step in steps.into_iter().chain(end) {
                    let size = || fs::metadata(&file).map_or(0, |file| file.len());
                    match step {
                        Step::Read(lines) => {
                            let bad = (read + 1..=read + lines).filter(|line| line % 2 == 1);
                            letters.put(bad.map(|line| letter("p", line, b"bad")).collect()).await.unwrap();
                            read += lines;
                            continue;
                        }
                        Step::Commit | Step::DieAfterSync => {
                            letters.sync().await.unwrap();
                            synced = size();
                            if matches!(step, Step::Commit) {
                                commit = read;
                                continue;
                            }
                        }
                        Step::Die(kept) => {
                            let kept = synced + kept.index((size() - synced) as usize + 1) as u64;
                            if size() > 0 {
                                OpenOptions::new().write(true).open(&file).unwrap().set_len(kept).unwrap();
                            }
                        }
                        Step::Rewind => {}
                    }
                    let is_new = !matches!(step, Step::Rewind);
                    if is_new {
                        drop(letters);
                        letters = FileDeadLetters::open(folder.path()).unwrap();
                    }
                    let after = (commit > 0).then(|| Offset::from_pair(1, commit));
                    letters.rewind(&partition, &[("a", after), ("b", after)]).await.unwrap();
                    read = commit;
                    if is_new {
                        synced = size();
                    }
                }
                let there: Vec<String> =
                    lines(folder.path(), "p.jsonl").iter().map(|line| line["offset"].as_str().unwrap().to_owned()).collect();
                let expected: Vec<String> = (1..=read).step_by(2).map(|line| format!("1:{line}")).collect();
                assert_eq!(there, expected);
            });
        }
    }
}
