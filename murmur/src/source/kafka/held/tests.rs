use super::*;
use crate::source::Payload;
use crate::source::kafka::queue::Message;

fn held(stage: Stage, next: i64) -> Held {
    let at = Position { topic: "t".to_owned(), partition: 0, offset: None };
    Held { stage, next, ..Held::new(&TopicId::of([7; 16]), &at, &Start::Beginning) }
}

/// Give it messages with these offsets; the payload of each is its offset.
fn give(held: &mut Held, offsets: impl IntoIterator<Item = i64>, spare: &mut Vec<Batch>) {
    for offset in offsets {
        let payload = offset.to_string();
        let raw = Message::sample_of(offset, payload.as_bytes());
        held.take(Message::sample(&raw), Along::default(), spare);
    }
}

fn delivered(batch: &Batch) -> Vec<(u64, &str)> {
    let text = |payload: &Payload| std::str::from_utf8(&batch.buffer[payload.bytes.clone()]).unwrap();
    batch.payloads.iter().map(|payload| (payload.offset.words()[3], text(payload))).collect()
}

#[test]
fn what_leads_up_to_the_beginning_is_delivered_as_that_and_only_once() {
    let mut held = held(Stage::Fetching, 0);
    let mut spare = Vec::new();
    held.seek(Some(9), 4);
    held.begin_again(2);
    held.begun();
    assert_eq!(held.next, 6);
    give(&mut held, 5..8, &mut spare);
    assert_eq!(held.pass(9, &mut spare), Taken::Left, "a gap before the beginning is nothing that was reached");
    give(&mut held, 9..12, &mut spare);
    let batch = held.finish(None).unwrap();
    assert_eq!(
        (delivered(&batch).iter().map(|(offset, _)| *offset).collect::<Vec<_>>(), batch.lead),
        (vec![6, 7, 9, 10, 11], 3)
    );
    assert_eq!(batch.reached, None);

    // Going on after a failure is no new beginning; a log that begins later leads up from there.
    held.refetch();
    held.begin_again(2);
    assert_eq!((held.stage, held.next), (Stage::Seeking, 12));
    held.seek(Some(9), 100);
    held.begin_again(7);
    assert_eq!(held.next, 7);
}

#[test]
fn what_is_deleted_of_what_leads_up_to_the_beginning_is_passed_over_and_nothing_behind_it() {
    let mut held = held(Stage::Fetching, 0);
    let mut spare = Vec::new();
    held.seek(Some(9), 6);
    held.begin_again(2);
    held.begun();
    give(&mut held, 4..6, &mut spare);
    // It waits for its store meanwhile, and goes on where it was.
    held.refetch();
    assert!(!held.pass_lead(6), "nothing is gone");
    assert!(!held.pass_lead(11), "an event is gone");
    assert_eq!((held.stage, held.next), (Stage::Seeking, 6));
    assert!(held.pass_lead(8));
    assert_eq!((held.stage, held.next), (Stage::Seeking, 8));
    held.begun();
    give(&mut held, 8..12, &mut spare);
    let batch = held.finish(None).unwrap();
    let offsets: Vec<u64> = delivered(&batch).iter().map(|(offset, _)| *offset).collect();
    assert_eq!((offsets, batch.lead), (vec![4, 5, 8, 9, 10, 11], 4));
}

#[test]
fn a_message_without_a_value_is_passed_over_and_one_with_an_empty_value_is_none_of_those() {
    let mut held = held(Stage::Fetching, 3);
    let mut spare = Vec::new();
    let mut give = |held: &mut Held, offset, payload: Option<&[u8]>| {
        let raw = match payload {
            Some(payload) => Message::sample_of(offset, payload),
            None => Message::sample_of_tombstone(offset),
        };
        held.take(Message::sample(&raw), Along::default(), &mut spare)
    };
    assert_eq!(give(&mut held, 3, Some(b"x")), Taken::Kept);
    assert_eq!(give(&mut held, 4, None), Taken::Kept);
    assert_eq!(give(&mut held, 5, Some(b"")), Taken::Kept);
    assert_eq!(give(&mut held, 6, None), Taken::Kept);
    assert_eq!(give(&mut held, 6, None), Taken::Left, "it comes once");
    let batch = held.finish(None).unwrap();
    assert_eq!((delivered(&batch), batch.tombstones), (vec![(3, "x"), (5, "")], 2));
    assert_eq!((batch.reached, held.next), (Some(Offset::from_u64(6)), 7), "the position passes the last one");

    // What leads up to the beginning was counted before.
    held.seek(Some(9), 4);
    held.begin_again(0);
    held.begun();
    assert_eq!(give(&mut held, 9, None), Taken::Left);
    assert_eq!(give(&mut held, 10, None), Taken::Kept);
    assert_eq!(held.finish(None).unwrap().tombstones, 1);
    held.end = Some(12);
    assert_eq!(give(&mut held, 12, None), Taken::Left, "it stands behind the end");
    assert_eq!(held.next, 12);
}

#[test]
fn a_beginning_that_fails_on_the_way_is_made_again_with_the_same_lead() {
    let lead = |held: &mut Held| {
        held.begun();
        give(held, 5..12, &mut Vec::new());
        let batch = held.finish(None).unwrap();
        (delivered(&batch)[0].0, batch.payloads.len(), batch.lead)
    };
    let mut offered = held(Stage::Offered, 0);
    offered.seek(Some(9), 4);
    for _ in 0..3 {
        offered.begin_at(10, 2);
        assert_eq!((offered.stage, offered.next), (Stage::Sought(10), 6));
    }
    assert_eq!(lead(&mut offered), (6, 6, 4));

    let mut fetched = held(Stage::Fetching, 20);
    fetched.seek(Some(9), 4);
    for _ in 0..3 {
        fetched.begin_again(2);
        assert_eq!((fetched.stage, fetched.next), (Stage::Seeking, 6));
    }
    assert_eq!(lead(&mut fetched), (6, 6, 4));
}

#[test]
fn a_group_commit_that_failed_is_made_again_once_with_the_newest_position() {
    let (mut held, now) = (held(Stage::Fetching, 9), Instant::now());
    assert_eq!(held.commit_again(now + 10 * COMMIT_AGAIN), None, "none has failed");
    assert_eq!(held.commit(5), Some(held.at(Some(5))));
    held.commit_failed(Some(5), now);
    // Another one that fails meanwhile, or more that is done, is part of the same.
    held.commit_failed(Some(5), now + COMMIT_AGAIN / 2);
    assert_eq!(held.commit(7), Some(held.at(Some(7))));
    assert_eq!(held.commit_again(now + COMMIT_AGAIN / 2), None, "not before its time");
    assert_eq!(held.commit_again(now + COMMIT_AGAIN), Some(held.at(Some(7))));
    assert_eq!(held.commit_again(now + 10 * COMMIT_AGAIN), None, "until the next one fails");
    held.commit_failed(Some(7), now + 10 * COMMIT_AGAIN);
    assert_eq!(held.commit_again(now + 11 * COMMIT_AGAIN), Some(held.at(Some(7))), "as this one did again");
}

/// librdkafka sends a commit again when the coordinator has moved, and then an older one may come last.
#[test]
fn a_group_commit_waits_until_the_one_before_it_has_an_answer() {
    let (mut held, now) = (held(Stage::Fetching, 9), Instant::now());
    let ask = |held: &mut Held, next| {
        let asked = held.commit(next);
        asked.iter().for_each(|at| held.commit_asked(at.offset));
        asked.and_then(|at| at.offset)
    };
    assert_eq!(ask(&mut held, 5), Some(5));
    assert_eq!((ask(&mut held, 6), ask(&mut held, 7)), (None, None), "one is on its way");
    assert_eq!(held.commit_again(now), None, "it still is");
    held.commit_answered(Some(4));
    assert_eq!(held.commit_again(now), None, "that was another one, of an earlier time");
    held.commit_answered(Some(5));
    assert_eq!(held.commit_again(now), Some(held.at(Some(7))), "all that is done by now");
    held.commit_asked(Some(7));
    held.commit_answered(Some(7));
    assert_eq!(held.commit_again(now), None, "nothing was done since");
    assert_eq!(ask(&mut held, 8), Some(8));
    assert_eq!(ask(&mut held, 9), None);
    held.commit_failed(Some(8), now);
    assert_eq!(held.commit_again(now), None, "not at once");
    assert_eq!(held.commit_again(now + COMMIT_AGAIN), Some(held.at(Some(9))));
}

#[test]
fn at_the_end_what_waited_for_an_earlier_commit_or_was_refused_is_committed() {
    let (mut held, now) = (held(Stage::Fetching, 9), Instant::now());
    assert_eq!(held.commit_last(), None, "nothing was done");
    held.commit(5);
    held.commit_asked(Some(5));
    assert_eq!(held.commit_last(), None, "it is on its way");
    held.commit(7);
    assert_eq!(held.commit_last(), Some(held.at(Some(7))), "before the other one has an answer");
    held.commit_answered(Some(5));
    assert_eq!(held.commit_last(), Some(held.at(Some(7))), "and after it");
    held.commit(7);
    held.commit_failed(Some(7), now);
    assert_eq!((held.commit_last(), held.commit_last()), (Some(held.at(Some(7))), None));
}

#[test]
fn a_batch_has_the_messages_of_its_partition_and_how_many_wait() {
    let mut held = held(Stage::Fetching, 5);
    give(&mut held, [5, 6, 9, 10], &mut Vec::new());
    let batch = held.finish(Some(15)).unwrap();
    assert_eq!(batch.partition, Some(held.id.clone()));
    assert_eq!(delivered(&batch), [(5, "5"), (6, "6"), (9, "9"), (10, "10")]);
    assert_eq!((batch.lag, batch.reached), (Some(4), None));
    assert!(batch.beside.is_empty());
    assert!(held.finish(Some(15)).is_none());
}

#[test]
fn how_many_wait_is_said_once_where_processing_begins_and_without_the_lead() {
    let mut held = held(Stage::Offered, 0);
    held.seek(Some(9), 4);
    held.begin_at(10, 0);
    held.begun();
    assert!(held.tell(None).is_none(), "nobody knows yet");
    let batch = held.tell(Some(15)).unwrap();
    assert_eq!((batch.partition.as_ref(), batch.lag, batch.reached), (Some(&held.id), Some(5), None));
    assert!(batch.payloads.is_empty() && held.tell(Some(15)).is_none(), "once");
    give(&mut held, 6..8, &mut Vec::new());
    assert_eq!(held.finish(Some(15)).unwrap().lag, Some(5), "these are only looked at");
    give(&mut held, 8..12, &mut Vec::new());
    assert_eq!(held.finish(Some(15)).unwrap().lag, Some(3));
    held.refetch();
    held.begun();
    assert!(held.tell(Some(15)).is_none(), "going on is no beginning");
    held.seek(Some(11), 0);
    held.begun();
    assert_eq!(held.tell(Some(15)).unwrap().lag, Some(3));
}

#[test]
fn nothing_is_delivered_twice_or_before_the_engine_has_said_from_where() {
    let mut spare = Vec::new();
    for stage in [Stage::Offered, Stage::Sought(5), Stage::Seeking] {
        let mut held = held(stage, 5);
        give(&mut held, [5, 6], &mut spare);
        assert!(held.finish(None).is_none());
        assert_eq!(held.next, 5);
    }
    let mut held = held(Stage::Fetching, 5);
    give(&mut held, [3, 4, 5, 5, 6, 5], &mut spare);
    assert_eq!(delivered(&held.finish(None).unwrap()), [(5, "5"), (6, "6")]);
}

#[test]
fn a_seek_makes_void_what_was_taken() {
    let mut spare = Vec::new();
    let mut held = held(Stage::Fetching, 0);
    give(&mut held, 50..60, &mut spare);
    held.seek(Some(44), 0);
    assert_eq!((held.stage, held.next), (Stage::Seeking, 45));
    give(&mut held, 60..70, &mut spare);
    assert!(held.finish(None).is_none());
    held.seek(None, 0);
    assert_eq!((held.stage, held.next), (Stage::Seeking, 0));
}

#[test]
fn a_gap_that_is_accepted_is_said_to_the_engine_and_passed_once() {
    let mut offered = held(Stage::Offered, 0);
    offered.seek(Some(4), 0);
    offered.pass_gap(10);
    offered.begin_at(10, 10);
    offered.begun();
    let mut fetched = held(Stage::Fetching, 5);
    give(&mut fetched, [5], &mut Vec::new());
    fetched.pass_gap(10);
    assert_eq!((fetched.stage, fetched.next), (Stage::Seeking, 10));
    fetched.begun();
    for mut held in [offered, fetched] {
        let batch = held.tell(Some(10)).unwrap();
        assert_eq!((batch.payloads.len(), batch.lag, batch.reached), (0, Some(0), before(10)));
        assert!(held.tell(Some(10)).is_none());
        give(&mut held, [9, 10], &mut Vec::new());
        assert_eq!(delivered(&held.finish(None).unwrap()), [(10, "10")]);
    }
}

#[test]
fn markers_and_gaps_are_passed_and_the_end_is_kept() {
    let mut spare = Vec::new();
    let mut held = held(Stage::Fetching, 0);
    held.end = Some(8);
    give(&mut held, [0, 1], &mut spare);
    assert!(!held.is_done());
    assert_eq!(held.pass(2, &mut spare), Taken::Left, "no gap");
    assert_eq!(held.pass(4, &mut spare), Taken::Kept);
    let batch = held.finish(Some(9)).unwrap();
    assert_eq!((delivered(&batch).len(), batch.reached, batch.lag), (2, Some(Offset::from_u64(3)), Some(5)));
    give(&mut held, [7, 8, 9], &mut spare);
    assert_eq!(delivered(&held.finish(Some(10)).unwrap()), [(7, "7")]);
    assert!(held.is_done());
    held.seek(Some(1), 0);
    assert!(!held.is_done());
}

#[test]
fn what_was_left_behind_the_end_is_read_when_the_end_moves() {
    let mut spare = Vec::new();
    let mut held = held(Stage::Fetching, 0);
    held.end = Some(2);
    give(&mut held, 0..5, &mut spare);
    assert_eq!(delivered(&held.finish(Some(5)).unwrap()).len(), 2);
    assert_eq!(held.pass(5, &mut spare), Taken::Left, "a commit must not pass what was left");
    held.extend(1);
    assert!(held.is_done(), "an end does not move back");
    held.extend(4);
    assert_eq!((held.stage, held.next), (Stage::Seeking, 2));
    held.stage = Stage::Fetching;
    give(&mut held, 2..5, &mut spare);
    assert_eq!(delivered(&held.finish(Some(5)).unwrap()), [(2, "2"), (3, "3")]);

    let mut ahead = Held { end: Some(2), ..self::held(Stage::Fetching, 9) };
    give(&mut ahead, [9], &mut spare);
    assert_eq!(ahead.next, 9, "a commit may be behind the end");
}

#[test]
fn buffers_are_used_again() {
    let mut held = held(Stage::Fetching, 0);
    let mut spare = vec![Batch { buffer: Vec::with_capacity(1_000), ..Batch::default() }];
    give(&mut held, 0..10, &mut spare);
    assert!(spare.is_empty());
    assert!(held.finish(None).unwrap().buffer.capacity() >= 1_000);
}

#[test]
fn after_a_failure_nothing_is_taken_before_the_seek() {
    let mut spare = Vec::new();
    let mut held = held(Stage::Fetching, 0);
    give(&mut held, 0..3, &mut spare);
    held.refetch();
    give(&mut held, 4..6, &mut spare);
    assert_eq!(held.next, 3);
    assert_eq!(delivered(&held.finish(None).unwrap()).len(), 3, "what came before it counts");
    let mut offered = Held { stage: Stage::Offered, ..held };
    offered.refetch();
    assert_eq!(offered.stage, Stage::Offered);
}
