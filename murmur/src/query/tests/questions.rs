//! Questions to estimates: whose answer they reach, and as of when.

use std::cell::Cell;

use super::*;
use crate::ErrorKind;
use crate::store::Consistency::Eventual;
use crate::time::TimeRange;

thread_local! {
    /// Replies that this thread has made.
    static MADE: Cell<usize> = const { Cell::new(0) };
}

/// Answers with what it was asked.
#[derive(Debug, Clone)]
struct Echo;

impl Monoid for Echo {
    const FORM: Form = Form::Put;
    const MAX_BYTES: usize = 0;
    type Reply = String;

    fn identity() -> Self {
        Self
    }

    fn combine(&mut self, _: Self) {}

    fn encode(&self, _: &mut Vec<u8>) {}

    fn decode(_: &[u8]) -> Result<Self, DecodeError> {
        Ok(Self)
    }

    fn reply(&self, question: &Question) -> crate::Result<String> {
        MADE.set(MADE.get() + 1);
        if question.ranks == [13.0] {
            return Err(crate::Error::new(ErrorKind::Internal, "it is broken"));
        }
        Ok(format!("{:?} at {}", question.quantiles, question.as_of))
    }
}

impl OfEvent for Echo {
    fn of(_: &Happening) -> Self {
        Self
    }
}

fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

async fn reader() -> Reader<Test<Hours, Echo>> {
    super::reader(&[], time("2026-03-01T12:30:00Z")).await
}

#[tokio::test]
async fn an_answer_is_as_of_the_end_of_its_interval_and_never_of_the_future() {
    let reader = reader().await;
    let a = || Id::new("a");
    let range = |start: &str, end: &str| TimeRange::new(time(start), time(end));
    let now = "[] at 2026-03-01T12:30:00Z";
    assert_eq!(reader.get(&a(), Eventual).await.unwrap().value, now);
    assert_eq!(reader.window(&a(), Span::from_seconds(7_200), None, Eventual).await.unwrap().value, now);
    let end = Some(time("2026-03-01T09:10:00Z"));
    let past = reader.window(&a(), Span::from_seconds(7_200), end, Eventual).await.unwrap();
    assert_eq!(past.value, "[] at 2026-03-01T09:10:00Z");
    let past = reader.range(&a(), range("2026-03-01T07:00:00Z", "2026-03-01T08:00:00Z"), Eventual).await.unwrap();
    assert_eq!(past.value, "[] at 2026-03-01T08:00:00Z");
    let future = reader.range(&a(), range("2026-03-01T07:00:00Z", "2026-03-01T20:00:00Z"), Eventual).await.unwrap();
    assert_eq!(future.value, now);
    let series = reader.series(&a(), time("2026-03-01T11:00:00Z"), None, None, Eventual).await.unwrap();
    let points: Vec<_> = series.points.into_iter().map(|point| point.value).collect();
    assert_eq!(points, ["[] at 2026-03-01T12:00:00Z", now]);
}

#[tokio::test]
async fn a_question_is_of_the_reader_that_asks_it() {
    let plain = reader().await;
    let asking = |share| plain.asking(Question { quantiles: vec![share], ..Question::default() });
    let (half, most) = (asking(0.5).unwrap(), asking(0.9).unwrap());
    let id = Id::new("a");
    let (a, b, c) = tokio::join!(half.get(&id, Eventual), plain.get(&id, Eventual), most.get(&id, Eventual));
    let values = [a, b, c].map(|answer| answer.unwrap().value);
    assert_eq!(values, ["[0.5]", "[]", "[0.9]"].map(|asked| format!("{asked} at 2026-03-01T12:30:00Z")));
    let later = half.clock(Arc::new(Standing(time("2026-03-02T00:00:00Z"))));
    assert_eq!(later.get(&id, Eventual).await.unwrap().value, "[0.5] at 2026-03-02T00:00:00Z");
    assert_eq!(asking(2.0).map(drop).unwrap_err().kind(), ErrorKind::InvalidArgument);
}

#[cfg(feature = "grpc")]
#[tokio::test]
async fn values_that_one_message_has_no_room_for_are_not_made() {
    // The text of one value, its tag and its length.
    let each = "[] at 2026-03-01T12:30:00Z".len() + 2;
    let (fits, lacks) = (reader().await.within(3 * each), reader().await.within(3 * each - 1));
    let count = async |asked: &Reader<Test<Hours, Echo>>, ids: &[Id]| {
        let before = MADE.get();
        let answers = asked.get_many(ids, Eventual).await.map(|answers| answers.len());
        (answers.map_err(|error| error.kind()), MADE.get() - before)
    };
    let ids: Vec<Id> = (0..100).map(|n| Id::new(n.to_string())).collect();
    let refused = Err(ErrorKind::Oversize);
    assert_eq!(count(&fits, &ids[..3]).await, (Ok(3), 3));
    assert_eq!(count(&lacks, &ids[..3]).await, (refused, 3));
    assert_eq!(count(&fits, &ids).await, (refused, 4));
    // A key that is asked for again is in the answer again.
    let same = vec![Id::new("a"); 4];
    assert_eq!(count(&fits, &same[..3]).await, (Ok(3), 1));
    assert_eq!(count(&fits, &same).await, (refused, 1));

    let points = async |asked: &Reader<Test<Hours, Echo>>, start: &str| {
        let before = MADE.get();
        let series = asked.series(&same[0], time(start), None, None, Eventual).await;
        (series.map(|series| series.points.len()).map_err(|error| error.kind()), MADE.get() - before)
    };
    assert_eq!(points(&fits, "2026-03-01T10:00:00Z").await, (Ok(3), 3));
    assert_eq!(points(&lacks, "2026-03-01T10:00:00Z").await, (refused, 3));
    assert_eq!(points(&fits, "2026-03-01T00:00:00Z").await, (refused, 4));
}

#[tokio::test]
async fn an_error_that_is_for_the_log_names_a_key_by_its_mark() {
    let broken = reader().await.asking(Question { ranks: vec![13.0], ..Question::default() }).unwrap();
    let error =
        broken.series(&Id::new("hunter2"), time("2026-03-01T11:00:00Z"), None, None, Eventual).await.unwrap_err();
    let said = error.to_string();
    assert_eq!(error.kind(), ErrorKind::Internal);
    assert!(said.starts_with("key~") && said.ends_with("it is broken") && !said.contains("hunter2"), "{said}");
}
