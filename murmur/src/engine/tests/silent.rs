//! What logs and errors of a worker do not say: keys and payloads.

use super::one_key::Lasts;
use super::sums::Floats;
use super::*;
use crate::key::Mark;
use crate::metrics::tests::lines::Lines;
use crate::store::{Outcome, Write};

/// A key, and part of a payload.
const SECRET: &str = "hunter2";

#[track_caller]
fn assert_silent(said: &str, names: &[&str]) {
    assert!(!said.contains(SECRET), "{said}");
    for name in names {
        assert!(said.contains(name), "`{name}` is not in: {said}");
    }
}

#[tokio::test]
async fn the_log_names_a_tile_that_takes_no_more_by_its_mark_and_its_letters_by_their_key_too() {
    let (store, letters, lines) = (Arc::new(MemoryStore::new()), Letters::default(), Lines::keep());
    let payloads = ["hunter2 1e308", "hunter2 1e308", "hunter2 1"];
    let options = Options { flush_interval: Span::ZERO, ..Options::default() };
    to_the_end(worker(&store, &payloads, &letters).options(options).pipeline::<Floats>()).await;
    let mark = Mark::of("=hunter2").to_string();
    assert_silent(&lines.text(), &["a tile takes no more", &mark]);
    let letters = letters.0.lock().unwrap();
    assert!(letters.iter().any(|letter| letter.reason.contains("`=hunter2`") && letter.reason.contains(&mark)));
}

#[tokio::test]
async fn a_worker_that_stops_for_the_wrong_source_says_where_the_newest_payload_stands_and_not_what() {
    let (store, lines) = (Arc::new(MemoryStore::new()), Lines::keep());
    let (_stop, stopped) = watch::channel(false);
    let worker = worker(&store, &["noon@hunter2"; 300], &Letters::default()).pipeline::<Words>().build();
    let error = worker.run(stopped).await.unwrap_err();
    let said = format!("{error} {error:?} {}", lines.text());
    assert_silent(&said, &["300 of the last 300", "offset 300 of `list`"]);
}

#[tokio::test]
async fn a_worker_that_stops_at_a_damaged_tile_names_it_without_its_key() {
    let (store, letters, lines) = (Arc::new(MemoryStore::new()), Letters::default(), Lines::keep());
    to_the_end(worker(&store, &["hunter2@1"], &letters).pipeline::<Lasts>()).await;
    let (tile, slot) = Lasts::tiling().locate(Timestamp::EPOCH);
    let id = TileId { key: "=hunter2".into(), tile, part: Some(partition()) };
    let values = vec![(slot, b"hunter2".to_vec().into())];
    let last = Offset::from_u64(2);
    let damaged = Write::Put { id, values, first: last, last, expires: None };
    assert_eq!(store.write(&Table::new("lasts", 1), [damaged].into()).await.pop().unwrap().unwrap(), Outcome::Applied);
    let (_stop, stopped) = watch::channel(false);
    let worker = worker(&store, &["hunter2@1", "hunter2@2"], &letters).pipeline::<Lasts>().build();
    let error = worker.run(stopped).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    let said = format!("{error} {error:?} {}", lines.text());
    assert_silent(&said, &["table `lasts_v1`", &Mark::of("=hunter2").to_string(), "a#1970-01-01T00:00:00Z"]);
}
