use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::sync::Arc;

use super::*;
use crate::source::{Offset, PartitionId, Poll, Source};
use crate::store::MemoryStore;
use crate::{Error, ErrorKind};

/// A folder, a store, and what was delivered from the one under the names in the other.
struct World {
    folder: tempfile::TempDir,
    records: Arc<MemoryStore>,
}

/// A line as it was delivered: bytes, and why it cannot be read.
type Line = (String, Option<String>);

/// A source with everything it has delivered.
struct Reader {
    source: Box<dyn Source>,
    partitions: Vec<PartitionId>,
    lines: BTreeMap<(PartitionId, Offset), Line>,
    reached: BTreeMap<PartitionId, Offset>,
    lag: Option<u64>,
}

impl World {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), records: Arc::new(MemoryStore::new()) }
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        let path = self.folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    fn append(&self, name: &str, bytes: &str) {
        let mut file = OpenOptions::new().append(true).open(self.path(name)).unwrap();
        file.write_all(bytes.as_bytes()).unwrap();
    }

    /// The input `name` with these options; the partitions start after `positions`.
    async fn open(&self, name: &str, options: &str, positions: &[(&str, (u64, u64))]) -> Result<Reader, Error> {
        let config = JsonlConfig::parse(&format!("{}?id=in&{options}", self.path(name))).unwrap();
        let mut source = open(config, self.records.clone());
        let Poll::Assigned(assigned) = source.poll().await? else { panic!("partitions come first") };
        let partitions: Vec<PartitionId> = assigned.into_iter().map(|a| a.partition).collect();
        for partition in &partitions {
            let after = positions.iter().find(|(name, _)| *name == partition.as_str());
            source.seek(partition, after.map(|(_, (piece, line))| Offset::from_pair(*piece, *line))).await?;
        }
        Ok(Reader { source, partitions, lines: BTreeMap::new(), reached: BTreeMap::new(), lag: None })
    }

    /// Everything there is, in the order of the positions.
    async fn read(&self, name: &str, options: &str, positions: &[(&str, (u64, u64))]) -> Result<Vec<String>, Error> {
        let mut reader = self.open(name, &format!("follow=false&{options}"), positions).await?;
        reader.drain().await?;
        Ok(reader.text())
    }
}

impl Reader {
    /// One poll; `false` when it brought nothing.
    async fn step(&mut self) -> Result<bool, Error> {
        match self.source.poll().await? {
            Poll::Batch(batch) => {
                let partition = batch.partition.unwrap();
                self.lag = batch.lag;
                for payload in batch.payloads {
                    let bytes = String::from_utf8(batch.buffer[payload.bytes].to_vec()).unwrap();
                    let before = self.reached.get(&partition);
                    assert!(before.is_none_or(|before| *before < payload.offset), "in order, each once");
                    let line = (bytes, payload.broken.map(String::from));
                    self.lines.insert((partition.clone(), payload.offset), line);
                    self.reached.insert(partition.clone(), payload.offset);
                }
                let reached = self.reached.entry(partition).or_insert(Offset::ZERO);
                *reached = (*reached).max(batch.reached.unwrap());
                Ok(true)
            }
            Poll::End | Poll::Settle | Poll::Idle => Ok(false),
            other => panic!("{other:?}"),
        }
    }

    async fn drain(&mut self) -> Result<(), Error> {
        while self.step().await? {}
        Ok(())
    }

    /// Follow until this line has come.
    async fn until(&mut self, line: &str) {
        for _ in 0..1_000 {
            if self.lines.values().any(|(text, _)| text == line) {
                return;
            }
            self.step().await.unwrap();
        }
        panic!("`{line}` does not come");
    }

    fn text(&self) -> Vec<String> {
        self.lines.values().map(|(text, _)| text.clone()).collect()
    }

    fn at(&self) -> Vec<(u64, u64, &str)> {
        let words = |offset: &Offset| (offset.words()[2], offset.words()[3]);
        self.lines.iter().map(|((_, o), (text, _))| (words(o).0, words(o).1, text.as_str())).collect()
    }
}

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

fn zstd_of(text: &str) -> Vec<u8> {
    zstd::encode_all(text.as_bytes(), 1).unwrap()
}

#[tokio::test]
async fn what_stands_before_a_position_can_be_read_again_as_far_as_it_is_still_there() {
    let world = World::new();
    for (name, line) in [("1.jsonl", "one"), ("2.jsonl", "two"), ("3.jsonl", "three\nfour")] {
        world.write(&format!("in/{name}"), line);
    }
    let before = [("f:in:1", (3, 1))];
    assert_eq!(world.read("in", "segments=1", &before).await.unwrap(), ["four"]);
    let again = async || {
        let mut reader = world.open("in", "follow=false&segments=1", &before).await.unwrap();
        let after = Some(Offset::from_pair(3, 1));
        reader.source.seek_before(&reader.partitions[0].clone(), after, 1).await.unwrap();
        reader.drain().await.unwrap();
        reader.text()
    };
    assert_eq!(again().await, ["one", "two", "three", "four"]);
    fs::remove_file(world.path("in/1.jsonl")).unwrap();
    assert_eq!(again().await, ["two", "three", "four"]);
}

#[tokio::test]
async fn positions_are_piece_and_line_from_one_and_blank_lines_count() {
    let world = World::new();
    world.write("a.jsonl", "one\n\n  \r\nfour\r\nfive");
    let mut reader = world.open("a.jsonl", "follow=false", &[]).await.unwrap();
    reader.drain().await.unwrap();
    assert_eq!(reader.at(), [(1, 1, "one"), (1, 4, "four"), (1, 5, "five")]);
    let partition = PartitionId::new("f:in:1");
    assert_eq!(reader.partitions, std::slice::from_ref(&partition));
    let place = reader.source.place(&partition, Offset::from_pair(1, 4));
    assert_eq!(place, Some(format!("{}:4", fs::canonicalize(world.path("a.jsonl")).unwrap().display())));
}

#[tokio::test]
async fn any_position_can_be_sought_and_gives_what_follows_it() {
    let world = World::new();
    let lines = |from: u32| -> String { (from..from + 30).map(|n| format!("line {n:03}\n")).collect() };
    world.write("a.jsonl", lines(0));
    world.write("b.jsonl.gz", gzip(&lines(30)));
    world.write("c.json.zst", zstd_of(&lines(60)));
    let mut whole = world.open("", "follow=false&segments=1", &[]).await.unwrap();
    whole.drain().await.unwrap();
    let all = whole.text();
    assert_eq!(all.len(), 90);
    assert!(all.is_sorted());
    assert_eq!(whole.lag, Some(0));
    let partition = whole.partitions[0].clone();
    for (n, (_, offset)) in whole.lines.clone().into_keys().enumerate().step_by(7) {
        whole.lines.clear();
        whole.reached.clear();
        whole.source.seek(&partition, Some(offset)).await.unwrap();
        whole.drain().await.unwrap();
        assert_eq!(whole.text(), all[n + 1..], "after {offset}");
        let [.., piece, line] = offset.words();
        assert_eq!(world.read("", "", &[("f:in:1", (piece, line))]).await.unwrap(), all[n + 1..], "after {offset}");
    }
    whole.lines.clear();
    whole.reached.clear();
    whole.source.seek(&partition, None).await.unwrap();
    whole.drain().await.unwrap();
    assert_eq!(whole.text(), all, "and the beginning");
}

#[tokio::test]
async fn files_are_dealt_in_order_once_and_new_ones_follow() {
    let world = World::new();
    for name in ["b.jsonl", "a/z.ndjson", "a/y.json", "c.jsonl"] {
        world.write(name, format!("{name}\n"));
    }
    for other in ["notes.txt", ".hidden.jsonl", ".git/x.jsonl", "empty.jsonl"] {
        world.write(other, "");
    }
    world.write("d.csv", "not these\n");
    let first = world.read("", "segments=2", &[]).await.unwrap();
    assert_eq!(first, ["a/y.json", "b.jsonl", "a/z.ndjson", "c.jsonl"], "segment 1, then segment 2");
    // New files go to the end, wherever their names would stand.
    world.write("0.jsonl", "new\n");
    world.write("empty.jsonl", "no longer empty\n");
    let second = world.read("", "", &[]).await.unwrap();
    assert_eq!(second, ["a/y.json", "b.jsonl", "new", "a/z.ndjson", "c.jsonl", "no longer empty"]);
    let after = [("f:in:1", (3, u64::MAX)), ("f:in:2", (4, u64::MAX))];
    assert_eq!(world.read("", "", &after).await.unwrap(), ["new", "no longer empty"]);
    let error = world.read("", "segments=3", &[]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Configuration);
    assert!(error.to_string().contains("dealt into 2 segments"), "{error}");
}

#[tokio::test]
async fn what_was_read_can_be_deleted_and_what_was_not_is_missed() {
    let world = World::new();
    world.write("a.jsonl", "a\n");
    world.write("b.jsonl.gz", gzip("b\n"));
    world.write("c.jsonl", "c\n");
    let mut reader = world.open("", "follow=false&segments=1", &[]).await.unwrap();
    reader.drain().await.unwrap();
    assert_eq!(reader.reached[&reader.partitions[0]], Offset::from_pair(3, u64::MAX));
    for name in ["a.jsonl", "b.jsonl.gz", "c.jsonl"] {
        fs::remove_file(world.path(name)).unwrap();
    }
    world.write("d.jsonl", "d\n");
    assert_eq!(world.read("", "", &[("f:in:1", (3, u64::MAX))]).await.unwrap(), ["d"]);
    let error = world.read("", "", &[("f:in:1", (1, u64::MAX))]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.to_string().contains("b.jsonl.gz"), "{error}");
}

#[tokio::test]
async fn a_file_that_grew_continues_wherever_reading_is() {
    let world = World::new();
    world.write("a.jsonl", "a1\na2\n");
    world.write("b.jsonl", "b1\nb2");
    assert_eq!(world.read("", "segments=1", &[]).await.unwrap(), ["a1", "a2", "b1", "b2"]);
    world.append("a.jsonl", "a3\n");
    // The last line of `b` counted as complete: what is added to it is not a part of it any more.
    world.append("b.jsonl", "-more\nb3\n");
    let mut reader = world.open("", "follow=false", &[("f:in:1", (2, u64::MAX))]).await.unwrap();
    reader.drain().await.unwrap();
    assert_eq!(reader.at(), [(3, 1, "a3"), (4, 1, "-more"), (4, 2, "b3")]);
    let place = reader.source.place(&reader.partitions[0], Offset::from_pair(3, 1)).unwrap();
    assert!(place.ends_with("a.jsonl:1 after byte 6"), "{place}");
    // From the beginning it is all there, each line where it was.
    assert_eq!(world.read("", "", &[]).await.unwrap(), ["a1", "a2", "b1", "b2", "a3", "-more", "b3"]);
}

#[tokio::test]
async fn a_file_that_shrank_or_was_replaced_is_an_error_and_not_a_jump() {
    let world = World::new();
    let refused = async |name: &str, text: &str| {
        let error = world.read("", "", &[]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::OutOfRange);
        assert!(error.to_string().contains(name) && error.to_string().contains(text), "{error}");
        assert!(error.to_string().contains("`id`"), "the way out: {error}");
    };
    world.write("a.jsonl", "one\ntwo\n");
    world.read("", "", &[]).await.unwrap();
    world.write("a.jsonl", "one\n");
    refused("a.jsonl", "4 bytes now and had 8").await;
    world.write("a.jsonl", "another\nthing\n");
    refused("a.jsonl", "other bytes").await;
    world.write("a.jsonl", "ONE\ntwo\n");
    refused("a.jsonl", "other bytes").await;
    world.write("a.jsonl", "one\ntwo\nthree\n");
    assert_eq!(world.read("", "", &[]).await.unwrap(), ["one", "two", "three"], "put back and grown");
}

#[tokio::test]
async fn two_inputs_of_one_name_are_refused() {
    let world = World::new();
    let id =
        |path: &str| format!("{:08x}", crc32fast::hash(fs::canonicalize(path).unwrap().to_str().unwrap().as_bytes()));
    world.write("a.jsonl", "a\n");
    world.write("b.jsonl", "b\n");
    let start = async |name: &str| {
        let config = JsonlConfig::parse(&world.path(name)).unwrap();
        open(config, world.records.clone()).poll().await
    };
    let Poll::Assigned(assigned) = start("a.jsonl").await.unwrap() else { panic!("partitions come first") };
    assert_eq!(assigned[0].partition.as_str(), format!("f:{}:1", id(&world.path("a.jsonl"))));
    // As if both had the same checksum.
    use crate::source::{Records, Shelf};
    let record = |name: &str| manifest::record_name(&id(&world.path(name)));
    let manifest = world.records.record(&Shelf::Sources, &record("a.jsonl")).await.unwrap().unwrap();
    world.records.put_record(&Shelf::Sources, &record("b.jsonl"), manifest.bytes, None).await.unwrap();
    let error = start("b.jsonl").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
}

#[tokio::test]
async fn long_lines_are_broken_payloads_and_the_next_ones_are_whole() {
    let world = World::new();
    let long = "x".repeat(1_500_000);
    for (name, bytes) in [
        ("a.jsonl", format!("short\n{long}\nnext\n{long}").into_bytes()),
        ("a.jsonl.gz", gzip(&format!("short\n{long}\nnext\n{long}"))),
    ] {
        let world = World::new();
        world.write(name, bytes);
        let mut reader = world.open(name, "follow=false&max_line=1000000", &[]).await.unwrap();
        reader.drain().await.unwrap();
        let lines: Vec<(u64, usize, bool)> =
            reader.lines.iter().map(|((_, o), (text, broken))| (o.words()[3], text.len(), broken.is_some())).collect();
        assert_eq!(lines, [(1, 5, false), (2, 1_000_000, true), (3, 4, false), (4, 1_000_000, true)]);
        let reason = reader.lines.values().find_map(|(_, broken)| broken.clone()).unwrap();
        for words in ["truncated", "1500000 bytes", "1000000 are kept", "max_line"] {
            assert!(reason.contains(words), "{reason}");
        }
    }
    world.write("a.jsonl", format!("{long}\n"));
    assert_eq!(world.read("a.jsonl", "max_line=2MiB", &[]).await.unwrap(), [long]);
}

#[tokio::test]
async fn a_broken_compressed_file_stops_or_is_said_and_an_intact_copy_heals_it() {
    let text: String = (0..60_000).map(|n| format!("line {n}\n")).collect();
    for (name, whole) in [("b.jsonl.gz", gzip(&text)), ("b.jsonl.zst", zstd_of(&text))] {
        let world = World::new();
        world.write("a.jsonl", "before\n");
        world.write(name, &whole[..whole.len() / 2]);
        world.write("c.jsonl", "after\n");
        let mut reader = world.open("", "follow=false&segments=1", &[]).await.unwrap();
        let error = reader.drain().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt);
        assert!(error.to_string().contains(name) && error.to_string().contains("broken=skip"), "{error}");
        let read = reader.lines.len();
        assert!(read > 1_000, "what is good before the break is delivered: {read}");
        assert!(!reader.text().contains(&"after".to_owned()));
        let position = reader.reached[&reader.partitions[0]].words();
        let position = [("f:in:1", (position[2], position[3]))];
        // It stays an error, from there too.
        assert_eq!(world.read("", "", &position).await.unwrap_err().kind(), ErrorKind::Corrupt);

        let mut reader = world.open("", "follow=false&broken=skip", &[]).await.unwrap();
        reader.drain().await.unwrap();
        assert_eq!(reader.text().last().map(String::as_str), Some("after"));
        let broken: Vec<_> = reader.lines.values().filter_map(|(_, broken)| broken.clone()).collect();
        assert!(broken.len() == 1 && broken[0].contains(name), "{broken:?}");
        assert_eq!(reader.lines.len(), read + 2, "as much as before, the break, and what comes after it");

        world.write(name, &whole);
        let rest = world.read("", "", &position).await.unwrap();
        assert_eq!(rest.len(), 60_000 - (read - 1) + 1, "the intact copy goes on where the broken one ended");
        assert_eq!(rest.last().map(String::as_str), Some("after"));
        let end = [("f:in:1", (3, u64::MAX))];
        assert_eq!(world.read("", "", &end).await.unwrap(), [""; 0]);
        world.write(name, [whole.clone(), whole].concat());
        let error = world.read("", "", &end).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::OutOfRange, "it changed after it was read: {error}");
    }
}

#[tokio::test]
async fn concatenated_members_are_read_to_the_end() {
    let world = World::new();
    world.write("a.jsonl.gz", [gzip("one\ntw"), gzip("o\nthree")].concat());
    world.write("b.jsonl.zst", [zstd_of("four\nfi"), zstd_of("ve\n")].concat());
    assert_eq!(world.read("", "segments=1", &[]).await.unwrap(), ["one", "two", "three", "four", "five"]);
}

#[tokio::test(start_paused = true)]
async fn following_waits_for_whole_lines_and_new_files() {
    let world = World::new();
    world.write("a.jsonl", "one\ntwo-be");
    let mut reader = world.open("", "segments=1", &[]).await.unwrap();
    reader.until("one").await;
    for _ in 0..20 {
        reader.step().await.unwrap();
    }
    assert_eq!(reader.text(), ["one"], "the unfinished line is not there yet");
    world.append("a.jsonl", "gun\nthree\n");
    reader.until("three").await;
    assert_eq!(reader.lag, Some(0));
    world.write("b.jsonl", "four\n");
    reader.until("four").await;
    // `a` grows although reading has gone on to `b`, and then `b` does.
    world.append("a.jsonl", "five\n");
    reader.until("five").await;
    world.append("b.jsonl", "six\n");
    reader.until("six").await;
    world.append("b.jsonl", "seven\n");
    reader.until("seven").await;
    let at = [
        (1, 1, "one"),
        (1, 2, "two-begun"),
        (1, 3, "three"),
        (2, 1, "four"),
        (3, 1, "five"),
        (4, 1, "six"),
        (4, 2, "seven"),
    ];
    assert_eq!(reader.at(), at);
    // From the start, or from anywhere, a second reader gives the same positions.
    let mut again = world.open("", "follow=false", &[]).await.unwrap();
    again.drain().await.unwrap();
    assert_eq!(again.at(), at);
    assert_eq!(world.read("", "", &[("f:in:1", (4, 1))]).await.unwrap(), ["seven"]);
}

#[tokio::test(start_paused = true)]
async fn a_file_replaced_while_it_is_followed_is_an_error() {
    for (replacement, says) in [("", "it has 0 bytes now"), ("another thing\nthan before\n", "other bytes")] {
        let world = World::new();
        world.write("a.jsonl", "one\n");
        let mut reader = world.open("a.jsonl", "", &[]).await.unwrap();
        reader.until("one").await;
        world.write("a.jsonl", replacement);
        let error = loop {
            if let Err(error) = reader.step().await {
                break error;
            }
        };
        assert_eq!(error.kind(), ErrorKind::OutOfRange);
        assert!(error.to_string().contains(says), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn readers_that_overlap_agree_on_every_position() {
    let world = World::new();
    world.write("a.jsonl", "a0\n");
    let mut readers =
        [world.open("", "segments=1", &[]).await.unwrap(), world.open("", "segments=1", &[]).await.unwrap()];
    // One of them is always a little behind the other, and each of them deals first sometimes.
    for round in 1..12 {
        world.append("a.jsonl", &format!("a{round}\n"));
        if round % 3 == 0 {
            world.write(&format!("b{round}.jsonl"), "b\n");
        }
        for _ in 0..round % 4 {
            readers[round % 2].step().await.unwrap();
        }
    }
    for reader in &mut readers {
        reader.until("a11").await;
    }
    world.write("z.jsonl", "end\n");
    for reader in &mut readers {
        reader.until("end").await;
    }
    assert_eq!(readers[0].lines, readers[1].lines);
    let mut text = readers[0].text();
    text.sort_unstable();
    text.dedup();
    assert_eq!(text.len(), 12 + 1 + 1, "and each line has one position");
    assert_eq!(readers[0].lines.len(), 12 + 3 + 1);
}

#[tokio::test]
async fn many_small_batches_make_the_file() {
    let world = World::new();
    let text: String = (0..120_000).map(|n| format!("{{\"n\":{n}}}\n")).collect();
    world.write("a.jsonl", &text);
    let read = world.read("a.jsonl", "", &[]).await.unwrap();
    assert_eq!(read.join("\n") + "\n", text);
    assert_eq!(
        world.read("a.jsonl", "", &[("f:in:1", (1, 119_998))]).await.unwrap(),
        ["{\"n\":119998}", "{\"n\":119999}"]
    );
    let error = world.read("a.jsonl", "", &[("f:in:1", (1, 120_001))]).await.unwrap_err();
    assert!(error.to_string().contains("1 lines are missing"), "{error}");
    assert_eq!(world.read("a.jsonl", "", &[("f:in:1", (7, 1))]).await.unwrap_err().kind(), ErrorKind::OutOfRange);
}

#[tokio::test]
async fn what_is_not_there_is_named() {
    let world = World::new();
    let error = world.read("nothing.jsonl", "", &[]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.to_string().contains("nothing.jsonl"), "{error}");
    assert_eq!(world.read("", "", &[]).await.unwrap(), [""; 0], "an empty folder is an end");
}

/// Lines long enough to be known again.
fn lines(of: &str, numbers: std::ops::Range<u32>) -> String {
    numbers.map(|n| format!("{{\"of\":\"{of}\",\"line\":{n},\"at\":\"2026-05-16T12:00:00Z\"}}\n")).collect()
}

/// Rotated, compressed and rotated again: the same lines at the same positions, and nothing is read again.
#[tokio::test]
async fn a_file_that_goes_on_under_another_name_is_counted_once() {
    let world = World::new();
    let rename = |from: &str, to: &str| fs::rename(world.path(from), world.path(to)).unwrap();
    world.write("a.jsonl", lines("a", 0..10));
    world.write("b.jsonl", lines("b", 0..10));
    let mut whole = world.open("", "follow=false&segments=1", &[]).await.unwrap();
    whole.drain().await.unwrap();
    assert_eq!(whole.lines.len(), 20);
    let end = [("f:in:1", (2, u64::MAX))];
    let unchanged = async |what: &str| {
        assert_eq!(world.read("", "", &end).await.unwrap(), [""; 0], "{what}");
        let mut again = world.open("", "follow=false", &[]).await.unwrap();
        again.drain().await.unwrap();
        assert_eq!(again.lines, whole.lines, "{what}");
        assert_eq!(world.read("", "", &[("f:in:1", (1, 4))]).await.unwrap(), whole.text()[4..], "{what}");
    };
    rename("a.jsonl", "a.1.jsonl");
    unchanged("renamed").await;
    let packed = |name: &str, bytes: Vec<u8>| {
        world.write(&format!("{name}.new"), bytes);
        fs::remove_file(world.path(name)).unwrap();
        name.to_owned()
    };
    packed("a.1.jsonl", gzip(&lines("a", 0..10)));
    rename("a.1.jsonl.new", "a.1.jsonl.gz");
    unchanged("compressed").await;
    rename("a.1.jsonl.gz", "a.2.jsonl.gz");
    unchanged("renamed while compressed").await;
    packed("a.2.jsonl.gz", zstd_of(&lines("a", 0..10)));
    rename("a.2.jsonl.gz.new", "old.jsonl.zst");
    unchanged("compressed in another way").await;
    packed("old.jsonl.zst", lines("a", 0..10).into());
    rename("old.jsonl.zst.new", "a.jsonl");
    unchanged("and back").await;
    world.append("a.jsonl", "more\n");
    assert_eq!(world.read("", "", &end).await.unwrap(), ["more"]);
}

#[tokio::test]
async fn lines_that_came_before_a_file_was_compressed_are_read_from_there() {
    let world = World::new();
    world.write("a.jsonl", lines("a", 0..100));
    world.write("b.jsonl", lines("b", 0..10));
    assert_eq!(world.read("", "segments=1", &[]).await.unwrap().len(), 110);
    world.append("a.jsonl", &lines("a", 100..120));
    assert_eq!(world.read("", "", &[("f:in:1", (2, u64::MAX))]).await.unwrap().len(), 20);
    fs::remove_file(world.path("a.jsonl")).unwrap();
    world.write("z/a.jsonl.gz", gzip(&(lines("a", 0..130) + "last")));
    let rest = world.read("", "", &[("f:in:1", (3, u64::MAX))]).await.unwrap();
    assert_eq!(rest.join("\n"), lines("a", 120..130) + "last");
    let all = world.read("", "", &[]).await.unwrap().join("\n");
    assert_eq!(all, [lines("a", 0..100), lines("b", 0..10), lines("a", 100..130), "last".into()].concat());
    assert_eq!(world.read("", "", &[("f:in:1", (3, 15))]).await.unwrap().len(), 5 + 11);
}

/// A file that is compressed from the start is known by its bytes on disk.
#[tokio::test]
async fn a_compressed_file_that_is_renamed_is_counted_once() {
    let world = World::new();
    world.write("a.jsonl.gz", gzip(&lines("a", 0..1_000)));
    assert_eq!(world.read("", "", &[]).await.unwrap().len(), 1_000);
    fs::rename(world.path("a.jsonl.gz"), world.path("b.jsonl.gz")).unwrap();
    assert_eq!(world.read("", "", &[("f:in:1", (1, u64::MAX))]).await.unwrap(), [""; 0]);
    assert_eq!(world.read("", "", &[]).await.unwrap().len(), 1_000);
    fs::remove_file(world.path("b.jsonl.gz")).unwrap();
    world.write("b.jsonl", lines("a", 0..1_000));
    let error = world.read("", "", &[("f:in:1", (1, u64::MAX))]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::OutOfRange);
    assert!(error.to_string().contains("compressed in another way"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn logs_that_are_rotated_while_they_are_followed_are_counted_once() {
    let world = World::new();
    let rename = |from: &str, to: &str| fs::rename(world.path(from), world.path(to)).unwrap();
    let mut expected = Vec::new();
    let mut add = |name: &str, n: u32| {
        let text = lines("log", n * 10..n * 10 + 10);
        expected.extend(text.lines().map(str::to_owned));
        world.write(name, &text);
        text.lines().last().unwrap().to_owned()
    };
    let mut last = add("log.jsonl", 0);
    let mut reader = world.open("", "segments=1", &[]).await.unwrap();
    for round in 1..6 {
        reader.until(&last).await;
        if round > 2 {
            fs::remove_file(world.path("log.2.jsonl.gz")).unwrap();
        }
        if round > 1 {
            world.write("log.2.jsonl.gz", gzip(&fs::read_to_string(world.path("log.1.jsonl")).unwrap()));
            // As `gzip` does it: both are there for a moment, here under names that do not say what they are.
            fs::remove_file(world.path("log.1.jsonl")).unwrap();
        }
        rename("log.jsonl", "log.1.jsonl");
        last = add("log.jsonl", round);
    }
    reader.until(&last).await;
    // In the middle of `gzip log.1.jsonl`.
    let packed = gzip(&fs::read_to_string(world.path("log.1.jsonl")).unwrap());
    for done in [10, packed.len() / 2, packed.len()] {
        world.write("log.1.jsonl.gz", &packed[..done]);
        for _ in 0..20 {
            reader.step().await.unwrap();
        }
    }
    fs::remove_file(world.path("log.1.jsonl")).unwrap();
    world.append("log.jsonl", "end\n");
    reader.until("end").await;
    expected.push("end".into());
    assert_eq!(reader.text(), expected);
    assert_eq!(world.read("", "", &[("f:in:1", (5, 3))]).await.unwrap(), expected[43..]);
    // What was rotated away, and never read by this one, is missed and not taken for something else.
    let error = world.read("", "", &[]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn copies_are_files_of_their_own_and_what_is_doubtful_is_refused() {
    let world = World::new();
    world.write("a.jsonl", lines("a", 0..10));
    world.write("short.jsonl", "{\"n\":1}\n");
    assert_eq!(world.read("", "segments=1", &[]).await.unwrap().len(), 11);
    fs::copy(world.path("a.jsonl"), world.path("b.jsonl")).unwrap();
    assert_eq!(world.read("", "", &[("f:in:1", (2, u64::MAX))]).await.unwrap().len(), 10, "a copy is another file");
    // The compressed form beside it is not.
    world.write("a.jsonl.gz", gzip(&lines("a", 0..10)));
    let end = [("f:in:1", (3, u64::MAX))];
    assert_eq!(world.read("", "", &end).await.unwrap(), [""; 0]);

    let refused = async |name: &str, bytes: Vec<u8>, says: &str| {
        world.write(name, bytes);
        let error = world.read("", "", &end).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::OutOfRange);
        assert!(error.to_string().contains(name) && error.to_string().contains(says), "{error}");
        fs::remove_file(world.path(name)).unwrap();
        assert_eq!(world.read("", "", &end).await.unwrap(), [""; 0]);
    };
    fs::remove_file(world.path("short.jsonl")).unwrap();
    refused("new.jsonl", b"{\"n\":1}\n".into(), "too short to tell").await;
    refused("new.jsonl", b"{\"n\":1}\n{\"n\":2}\n".into(), "begin with an empty line").await;
    for name in ["a.jsonl", "a.jsonl.gz", "b.jsonl"] {
        fs::remove_file(world.path(name)).unwrap();
    }
    let packed = gzip(&lines("a", 0..10));
    refused("c.jsonl.gz", packed[..packed.len() - 4].into(), "does not decompress to its end").await;
    // The way out works, and other files are none of those.
    world.write("new.jsonl", "\n{\"n\":1}\n");
    world.write("other.jsonl", lines("other", 0..10));
    assert_eq!(world.read("", "", &end).await.unwrap().len(), 11);
}

/// Long files can begin alike and be different ones.
#[tokio::test]
async fn a_common_beginning_is_not_enough_to_be_the_same_file() {
    let world = World::new();
    let header = lines("header", 0..100);
    world.write("a.jsonl", header.clone() + &lines("a", 0..10));
    assert_eq!(world.read("", "segments=1", &[]).await.unwrap().len(), 110);
    fs::remove_file(world.path("a.jsonl")).unwrap();
    world.write("b.jsonl", header.clone() + &lines("b", 0..20));
    assert_eq!(world.read("", "", &[("f:in:1", (1, u64::MAX))]).await.unwrap().len(), 120);
    // A compressed one as well.
    world.write("c.jsonl.gz", gzip(&(header + &lines("c", 0..20))));
    assert_eq!(world.read("", "", &[("f:in:1", (2, u64::MAX))]).await.unwrap().len(), 120);
}

mod stdin {
    use super::*;

    /// An input that comes in these pieces.
    struct Pieces(Vec<&'static [u8]>);

    impl std::io::Read for Pieces {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            if self.0.is_empty() {
                return Ok(0);
            }
            let piece = self.0.remove(0);
            buffer[..piece.len()].copy_from_slice(piece);
            Ok(piece.len())
        }
    }

    async fn read(
        records: &Arc<MemoryStore>,
        pieces: &[&'static [u8]],
        after: Option<u64>,
    ) -> Result<Vec<(u64, String)>, Error> {
        let config = JsonlConfig::parse("-").unwrap();
        let mut source = StdinSource::new(&config, records.clone(), Pieces(pieces.to_vec()));
        let Poll::Assigned(assigned) = source.poll().await? else { panic!("the partition comes first") };
        let partition = assigned[0].partition.clone();
        assert_eq!(partition.as_str(), "f:stdin:1");
        source.seek(&partition, after.map(|line| Offset::from_pair(1, line))).await?;
        let mut lines = Vec::new();
        loop {
            match source.poll().await? {
                Poll::Batch(batch) => {
                    for payload in batch.payloads {
                        let text = String::from_utf8(batch.buffer[payload.bytes].to_vec()).unwrap();
                        lines.push((payload.offset.words()[3], text));
                    }
                }
                Poll::Idle => {}
                Poll::End => return Ok(lines),
                other => panic!("{other:?}"),
            }
        }
    }

    #[tokio::test]
    async fn the_same_input_again_goes_on_after_what_was_counted() {
        let records = Arc::new(MemoryStore::new());
        let line = |n: u64, text: &str| (n, text.to_owned());
        let first = read(&records, &[b"one\ntw", b"o\n\nfo", b"ur"], None).await.unwrap();
        assert_eq!(first, [line(1, "one"), line(2, "two"), line(4, "four")]);
        // Cut in other pieces, and longer.
        let second = read(&records, &[b"o", b"ne\ntwo\n\nfour\nfive\n"], Some(2)).await.unwrap();
        assert_eq!(second, [line(4, "four"), line(5, "five")]);
        for (other, says) in [
            (vec![b"another\ninput\n".as_slice()], "other bytes"),
            (vec![b"on".as_slice()], "other bytes"),
            (vec![], "other bytes"),
            (vec![b"one\ntwo\n".as_slice()], "1 lines too early"),
        ] {
            let error = read(&records, &other, Some(3)).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::OutOfRange);
            assert!(error.to_string().contains(says) && error.to_string().contains("id=NAME"), "{error}");
        }
    }

    #[tokio::test]
    async fn it_cannot_go_back() {
        let records = Arc::new(MemoryStore::new());
        let config = JsonlConfig::parse("-").unwrap();
        let mut source = StdinSource::new(&config, records, Pieces(vec![b"one\ntwo\n"]));
        let partition = PartitionId::new("f:stdin:1");
        source.poll().await.unwrap();
        source.seek(&partition, None).await.unwrap();
        while !matches!(source.poll().await.unwrap(), Poll::End) {}
        source.seek(&partition, Some(Offset::from_pair(1, 2))).await.unwrap();
        let error = source.seek(&partition, Some(Offset::from_pair(1, 1))).await.unwrap_err();
        assert!(error.to_string().contains("same input"), "{error}");
    }
}
