//! Connections by HTTP/1.1, which are kept for more requests: for how long, and from when on those may take too long to come.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::time::Instant;

use super::access::Named;
use super::frames::{held, held_by};
use super::*;
use crate::grpc::access::Access;
use crate::grpc::limits::Limits;

const ASK: &[u8] = b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n";

/// The answer to what was sent.
async fn answered(client: &mut DuplexStream) -> String {
    let mut answer = Vec::new();
    while !answer.ends_with(b"}") {
        assert_ne!(client.read_buf(&mut answer).await.unwrap(), 0, "{}", String::from_utf8_lossy(&answer));
    }
    String::from_utf8(answer).unwrap()
}

async fn ask(client: &mut DuplexStream) -> String {
    client.write_all(ASK).await.unwrap();
    answered(client).await
}

fn is_last(answer: &str) -> bool {
    answer.contains("connection: close")
}

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn a_connection_is_kept_between_two_requests_for_as_long_as_one_may_be_idle() {
    let (mut client, _holding) = held(Limits::default());
    // A balancer keeps its connections for a minute, and asks by one that it has not used for nearly as long.
    for pause in [SECOND, 15 * SECOND, 60 * SECOND, Limits::default().idle * 9 / 10] {
        assert!(!is_last(&ask(&mut client).await));
        tokio::time::sleep(pause).await;
    }
    assert!(!is_last(&ask(&mut client).await));
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_nothing_is_asked_by_any_more_ends_in_good_order() {
    let (mut client, holding) = held(Limits::default());
    ask(&mut client).await;
    let begun = Instant::now();
    assert_eq!(client.read(&mut [0]).await.unwrap(), 0);
    holding.await.unwrap();
    let last = 10 * SECOND;
    assert_eq!(begun.elapsed(), Limits::default().idle + last);

    // Whoever has begun to ask just before has its answer, which says that it is the last one.
    let (mut client, holding) = held(Limits::default());
    ask(&mut client).await;
    tokio::time::sleep(Limits::default().idle + last * 9 / 10).await;
    client.write_all(&ASK[..7]).await.unwrap();
    tokio::time::sleep(last / 2).await;
    client.write_all(&ASK[7..]).await.unwrap();
    assert!(is_last(&answered(&mut client).await));
    assert_eq!(client.read(&mut [0]).await.unwrap(), 0);
    holding.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn headers_that_come_byte_by_byte_are_cut_off_after_ten_seconds_those_of_later_requests_too() {
    for requests_before in 0..3 {
        let (mut client, holding) = held(Limits::default());
        for _ in 0..requests_before {
            ask(&mut client).await;
            tokio::time::sleep(60 * SECOND).await;
        }
        let begun = Instant::now();
        let mut bytes = ASK[..ASK.len() - 2].iter().chain(b"x: ").chain(std::iter::repeat(&b'y'));
        while client.write_all(&[*bytes.next().unwrap()]).await.is_ok() {
            tokio::time::sleep(SECOND).await;
        }
        holding.await.unwrap();
        assert!((10 * SECOND..=12 * SECOND).contains(&begun.elapsed()), "{:?}", begun.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn headers_that_stop_in_their_midst_are_cut_off_after_ten_seconds() {
    let (mut client, holding) = held(Limits::default());
    ask(&mut client).await;
    tokio::time::sleep(60 * SECOND).await;
    client.write_all(b"GET /hea").await.unwrap();
    let begun = Instant::now();
    assert_eq!(client.read(&mut [0]).await.unwrap(), 0);
    holding.await.unwrap();
    assert_eq!(begun.elapsed(), 10 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn headers_of_each_request_have_ten_seconds_of_their_own() {
    let (mut client, _holding) = held(Limits::default());
    for _ in 0..3 {
        for piece in ASK.chunks(ASK.len() / 2) {
            client.write_all(piece).await.unwrap();
            tokio::time::sleep(4 * SECOND).await;
        }
        answered(&mut client).await;
        tokio::time::sleep(60 * SECOND).await;
    }
}

/// By HTTP/1.1 there is no word for the end of a connection but the answer to a request.
#[tokio::test(start_paused = true)]
async fn a_stranger_who_asks_and_asks_is_told_by_an_answer_that_it_is_the_last_one() {
    let (mut client, holding) = held_by(World::new().builder().access(Access::by(Named)), Limits::default());
    let begun = Instant::now();
    while !is_last(&ask(&mut client).await) {
        tokio::time::sleep(7 * SECOND).await;
    }
    assert!(begun.elapsed() >= Limits::default().idle);
    assert_eq!(client.read(&mut [0]).await.unwrap(), 0);
    holding.await.unwrap();
}
