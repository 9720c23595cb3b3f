//! Files that grow and change while they are read.

use super::*;

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
