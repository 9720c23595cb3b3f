mod following;
mod moved;
mod stdin;

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
