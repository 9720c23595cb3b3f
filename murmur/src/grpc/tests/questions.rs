//! What a request asks of estimates reaches its value, and that of no other request.

use futures_util::StreamExt;
use serde_json::json;

use super::http::post;
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

#[tokio::test]
async fn a_text_to_look_up_is_short_and_a_reply_that_says_too_many_of_them_again_is_not_made() {
    let world = World::new();
    let ask = async |keys: usize, bytes: usize| {
        let keys: Vec<_> = (0..keys).map(|id| json!({"id": id.to_string()})).collect();
        let options = json!({"question": {"texts": vec!["x".repeat(bytes); Question::MOST]}});
        post(&world, &format!("/{NOTES}/GetMany"), json!({"keys": keys, "options": options})).await
    };
    // Each answer has some 103 KB.
    assert_eq!(ask(40, Question::LONGEST).await.status, 200);
    for keys in [41, 1_000] {
        let refused = ask(keys, Question::LONGEST).await;
        assert_eq!(
            (refused.status, &refused.json()["details"][0]["debug"]["reason"]),
            (429, &json!("REPLY_TOO_LARGE"))
        );
        // It is said while the answers are made: nobody knows how long the whole would be.
        assert!(refused.error().2.contains("would have more than 4194304 bytes"), "{}", refused.error().2);
    }
    let long = ask(1, Question::LONGEST + 1).await;
    let error = long.json();
    assert_eq!((long.status, &error["details"][0]["debug"]["reason"]), (400, &json!("FIELD_INVALID")));
    let violation = &error["details"][1]["debug"]["fieldViolations"][0];
    assert_eq!(violation["field"], "options.question.texts", "{error}");
}
