use std::borrow::Cow;
use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

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
/// they are not, it is the disk that slows the worker down.
///
/// When the system could not write something down, nothing is said to be durable any more until the folder is opened
/// anew: after a failed `fsync` the next one succeeds, though what the first one was about may be lost.
#[derive(Debug)]
pub struct FileDeadLetters {
    place: Arc<Place>,
    files: HashMap<PartitionId, Sheet>,
    /// Whether the folder names a file that it may forget.
    unsynced: bool,
}

/// What all that write to the folder have in common.
#[derive(Debug)]
struct Place {
    folder: PathBuf,
    /// Something could not be written.
    has_failed: AtomicBool,
    _lock: FolderLock,
}

#[derive(Debug)]
struct Sheet {
    file: File,
    unsynced: bool,
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
        let place = Place { folder, has_failed: AtomicBool::new(false), _lock: lock };
        Ok(Self { place: Arc::new(place), files: HashMap::new(), unsynced: true })
    }

    /// One more writer to the folder, for another worker of this process. A partition that moves from one to another
    /// finds its letters there.
    #[must_use]
    pub fn share(&self) -> Self {
        Self { place: self.place.clone(), files: HashMap::new(), unsynced: true }
    }

    /// Write, unless something could not be written before.
    fn write(&mut self, write: impl FnOnce(&mut Self) -> io::Result<()>) -> Result<()> {
        let done = if self.place.has_failed.load(Ordering::SeqCst) {
            Err(io::Error::other("something could not be written before, so what is on disk is not known; start again"))
        } else {
            write(self)
        };
        done.map_err(|error| {
            self.place.has_failed.store(true, Ordering::SeqCst);
            failed(&self.place.folder, error)
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
        self.place.folder.join(name + ".jsonl")
    }

    fn sheet(&mut self, partition: &PartitionId) -> io::Result<&mut Sheet> {
        if !self.files.contains_key(partition) {
            let file = OpenOptions::new().create(true).append(true).open(self.path(partition))?;
            self.files.insert(partition.clone(), Sheet { file, unsynced: true });
            self.unsynced = true;
        }
        self.files.get_mut(partition).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn append(&mut self, letters: &[Letter]) -> io::Result<()> {
        for letters in letters.chunk_by(|a, b| a.partition == b.partition) {
            let mut lines = Vec::new();
            for letter in letters {
                serde_json::to_writer(&mut lines, &Line::of(letter))?;
                lines.push(b'\n');
            }
            let sheet = self.sheet(&letters[0].partition)?;
            sheet.file.write_all(&lines)?;
            sheet.unsynced = true;
        }
        Ok(())
    }

    fn sync_all(&mut self) -> io::Result<()> {
        for sheet in self.files.values_mut().filter(|sheet| sheet.unsynced) {
            sheet.file.sync_data()?;
            sheet.unsynced = false;
        }
        if self.unsynced {
            sync_folder(&self.place.folder)?;
            self.unsynced = false;
        }
        Ok(())
    }

    /// Copy what stays, and put the copy in the file's place.
    fn cut(&mut self, partition: &PartitionId, commits: Commits<'_>) -> io::Result<()> {
        self.files.remove(partition);
        let path = self.path(partition);
        if !path.exists() || all_stay(&path, commits)? {
            return Ok(());
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
        sync_folder(&self.place.folder)
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

fn failed(folder: &Path, error: io::Error) -> Error {
    let context = format!("cannot keep dead letters in `{}`", folder.display());
    Error::new(ErrorKind::Io, context).with_source(error)
}

impl DeadLetters for FileDeadLetters {
    fn rewind<'a>(&'a mut self, partition: &'a PartitionId, commits: Commits<'a>) -> BoxFuture<'a, Result<()>> {
        async move { self.write(|letters| letters.cut(partition, commits)) }.boxed()
    }

    fn passed<'a>(&'a mut self, _: &'a PartitionId, _: Commits<'a>) -> BoxFuture<'a, ()> {
        Box::pin(async {})
    }

    fn put(&mut self, letters: Vec<Letter>) -> BoxFuture<'_, Result<()>> {
        async move { self.write(|own| own.append(&letters)) }.boxed()
    }

    fn sync(&mut self) -> BoxFuture<'_, Result<()>> {
        async move { self.write(Self::sync_all) }.boxed()
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
        one.files.clear();
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
        let ours = fs::read(&file).unwrap();
        let others = b"# a note\n[\"1:1\",[\"a\"]]\n{\"offset\":\"1:3\",\"pipelines\":[\"a\",\"c\"],\"n\":1e999}\n";
        fs::write(&file, [others.as_slice(), &ours, &ours[..30]].concat()).unwrap();
        let commit = Some(Offset::from_pair(1, 2));
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
        // `b` joins late, and `c` is not part of this worker.
        let commit = |offset| Some(Offset::from_pair(1, offset));
        letters.rewind(&partition, &[("a", commit(3)), ("b", None)]).await.unwrap();
        let there = lines(folder.path(), "p.jsonl");
        let there: Vec<_> = there.iter().map(|line| (line["offset"].clone(), line["pipelines"].clone())).collect();
        assert_eq!(
            there,
            [(json!("1:1"), json!(["a"])), (json!("1:2"), json!(["a"])), (json!("1:3"), json!(["a", "c"]))]
        );
        letters.rewind(&partition, &[("a", None), ("c", commit(2))]).await.unwrap();
        assert_eq!(lines(folder.path(), "p.jsonl").len(), 0);
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
                for step in steps.into_iter().chain([Step::Rewind, Step::Read(3), Step::Commit]) {
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
                    if !matches!(step, Step::Rewind) {
                        drop(letters);
                        letters = FileDeadLetters::open(folder.path()).unwrap();
                    }
                    let after = (commit > 0).then(|| Offset::from_pair(1, commit));
                    letters.rewind(&partition, &[("a", after), ("b", after)]).await.unwrap();
                    read = commit;
                    synced = size();
                }
                let there: Vec<String> =
                    lines(folder.path(), "p.jsonl").iter().map(|line| line["offset"].as_str().unwrap().to_owned()).collect();
                let expected: Vec<String> = (1..=read).step_by(2).map(|line| format!("1:{line}")).collect();
                assert_eq!(there, expected);
            });
        }
    }
}
