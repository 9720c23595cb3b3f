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
        class: LetterClass::Undecodable,
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
                "partition": "f:in:1", "offset": "1:3", "pipelines": ["a", "b"], "place": "/data/a.jsonl:3", "reason": "no JSON", "class": "undecodable",
                "at": "1970-01-01T00:00:00Z", "payload": "{\"\u{e4}\n", "key": "k",
                "headers": [["trace", "7"], ["trace", null]], "stamped": "1970-01-01T00:00:01Z",
            }),
            json!({
                "partition": "f:in:1", "offset": "1:4", "pipelines": ["a", "b"], "reason": "no JSON", "class": "undecodable",
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
    let of = |offset, pipelines: &[&'static str]| Letter { pipelines: pipelines.to_vec(), ..letter("p", offset, b"") };
    letters.put(vec![of(1, &["a", "b"]), of(2, &["a"]), of(3, &["a", "b", "c"]), of(4, &["b"])]).await.unwrap();
    letters.sync().await.unwrap();
    drop(letters);
    let mut letters = FileDeadLetters::open(folder.path()).unwrap();
    // `b` joins late, and `c` is not part of this worker.
    let commit = |offset| Some(Offset::from_pair(1, offset));
    letters.rewind(&partition, &[("a", commit(3)), ("b", None)]).await.unwrap();
    let there = lines(folder.path(), "p.jsonl");
    let there: Vec<_> = there.iter().map(|line| (line["offset"].clone(), line["pipelines"].clone())).collect();
    assert_eq!(there, [(json!("1:1"), json!(["a"])), (json!("1:2"), json!(["a"])), (json!("1:3"), json!(["a", "c"]))]);
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
