//! What a request asks of estimates reaches its value, and that of no other request.

use futures_util::StreamExt;

use super::*;

fn question() -> Question {
    Question { quantiles: vec![0.5], ranks: vec![-3.0], elements: vec!["/".into(), 7.into()], ..Question::default() }
}

const ASKED: &str = "one; [0.5] [-3.0] [Text(\"/\"), Integer(7)] at 2026-03-01T12:30:00Z";

#[tokio::test]
async fn the_typed_client_asks_in_every_method() {
    let world = World::new();
    world.note(&note("a"), 1, "one").await;
    let server = world.serve().await;
    let plain = server.client::<Notes>().await;
    let asking = plain.clone().asking(question());
    let (a, b, c) = tokio::join!(asking.get(note("a")), plain.get(note("a")), asking.get(note("a")));
    assert_eq!([a, b, c].map(|reply| reply.unwrap().value), [ASKED, "one", ASKED]);
    assert_eq!(asking.get_many(vec![note("a")]).await.unwrap()[0].value, ASKED);
    assert_eq!(asking.strong().get(note("a")).await.unwrap().value, ASKED);
    let watching = plain.asking(question());
    let mut changes = Box::pin(watching.watch(note("a"), None).await.unwrap());
    assert_eq!(changes.next().await.unwrap().unwrap().value, ASKED);
}

#[tokio::test]
async fn a_question_without_an_answer_is_refused_by_the_name_of_its_field() {
    let world = World::new();
    let server = world.serve().await;
    let client = server.client::<Notes>().await;
    let mut wrong = question();
    wrong.quantiles.push(1.5);
    let error = client.clone().asking(wrong.clone()).get(note("a")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    assert!(error.to_string().contains("`quantiles` has 1.5"), "{error}");
    let error = client.asking(wrong).watch(note("a"), None).await.map(drop).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
}
