//! Files that are moved, rotated, compressed and copied.

use super::*;

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
