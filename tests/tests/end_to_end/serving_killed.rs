//! A server that is killed, or asked to stop, while it is asked without a pause: whoever asks has a right answer, or is told to
//! ask again.

use std::collections::BTreeMap;
use std::error::Error;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use murmur_tests::oracle::Truth;
use murmur_tests::process::{self, Server, example};
use serde_json::{Value, json};
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};

use crate::page_views::Stream;
use crate::rust_client::page_traffic::v1::page_traffic_service_client::PageTrafficServiceClient;
use crate::rust_client::page_traffic::v1::*;

/// How often the server goes away: every second time by a kill.
const ROUNDS: usize = 4;

/// As long as a server lets a call take: how busy the machine is does not matter here.
const PATIENCE: Duration = Duration::from_secs(30);

/// Right answers of each client between one end and the next. One watches, and nothing changes: it has its answer once for each
/// server.
const ANSWERS: [u64; CLIENTS] = [10, 10, 1, 10];

/// What those who ask have seen.
#[derive(Default)]
struct Seen {
    truth: BTreeMap<String, Truth>,
    right: Counts,
    told_to_ask_again: Counts,
    enough: AtomicBool,
}

/// By gRPC one by one and many together, a stream, and by plain HTTP/1.1.
const CLIENTS: usize = 4;

impl Seen {
    fn assert_right(&self, page: &str, views: u64, dwell: u64) {
        let truth = &self.truth[page];
        assert_eq!((views, dwell), (truth.views, truth.dwell), "{page}");
    }

    fn assert_value(&self, page: &str, value: Option<Traffic>) {
        let Traffic { views, dwell_ms, .. } = value.unwrap();
        self.assert_right(page, views, dwell_ms);
    }

    fn assert_retryable(&self, status: &Status) {
        // With a source it was not the server who said it: the connection broke, or could not begin.
        let broke = status.source().is_some();
        assert!(broke || status.code() == Code::Unavailable, "{status:?}");
    }
}

type Counts = [AtomicU64; CLIENTS];

fn now(counts: &Counts) -> [u64; CLIENTS] {
    counts.each_ref().map(|count| count.load(Relaxed))
}

/// Until every client has seen so much more of it than before.
fn wait(what: &str, counts: &Counts, before: [u64; CLIENTS], more: [u64; CLIENTS]) {
    let begun = Instant::now();
    while now(counts).iter().zip(before).zip(more).any(|((now, before), more)| *now < before + more) {
        assert!(begun.elapsed() < Duration::from_secs(300), "not every client has {what}: {counts:?}, as {before:?}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Ask again and again.
async fn keep_asking<F>(client: usize, seen: Arc<Seen>, mut ask: impl FnMut() -> F)
where
    F: Future<Output = Result<(), Status>>,
{
    while !seen.enough.load(Relaxed) {
        match ask().await {
            Ok(()) => seen.right[client].fetch_add(1, Relaxed),
            Err(status) => {
                seen.assert_retryable(&status);
                tokio::time::sleep(Duration::from_millis(10)).await;
                seen.told_to_ask_again[client].fetch_add(1, Relaxed)
            }
        };
    }
}

fn patiently<M>(message: M) -> Request<M> {
    let mut request = Request::new(message);
    request.set_timeout(PATIENCE);
    request
}

async fn one_by_one(client: PageTrafficServiceClient<Channel>, seen: Arc<Seen>) {
    let pages: Vec<String> = seen.truth.keys().cloned().collect();
    let mut turn = pages.iter().cycle();
    keep_asking(0, seen.clone(), || {
        let (mut client, page, seen) = (client.clone(), turn.next().unwrap().clone(), seen.clone());
        async move {
            let key = Some(PageTrafficKey { page_id: page.clone() });
            let reply =
                client.get(patiently(PageTrafficServiceGetRequest { key, ..Default::default() })).await?.into_inner();
            seen.assert_value(&page, reply.value);
            Ok(())
        }
    })
    .await;
}

async fn many(client: PageTrafficServiceClient<Channel>, seen: Arc<Seen>) {
    let keys: Vec<_> = seen.truth.keys().map(|page| PageTrafficKey { page_id: page.clone() }).collect();
    keep_asking(1, seen.clone(), || {
        let (mut client, keys, seen) = (client.clone(), keys.clone(), seen.clone());
        async move {
            let request = PageTrafficServiceGetManyRequest { keys: keys.clone(), ..Default::default() };
            let entries = client.get_many(patiently(request)).await?.into_inner().entries;
            assert_eq!(entries.len(), keys.len());
            for entry in entries {
                seen.assert_value(&entry.key.unwrap().page_id, entry.value);
            }
            Ok(())
        }
    })
    .await;
}

/// Each stream until it ends, which it does by an error only.
async fn watching(client: PageTrafficServiceClient<Channel>, seen: Arc<Seen>) {
    let page = seen.truth.keys().next().unwrap().clone();
    while !seen.enough.load(Relaxed) {
        let key = Some(PageTrafficKey { page_id: page.clone() });
        let watch = PageTrafficServiceWatchRequest { key, ..Default::default() };
        let watched = async {
            let mut changes = client.clone().watch(watch).await?.into_inner();
            loop {
                // There is nothing new, unless the server wants it: who waits looks whether it is enough.
                let next = tokio::time::timeout(Duration::from_millis(100), changes.message());
                match next.await {
                    Ok(reply) => {
                        seen.assert_value(&page, reply?.unwrap().value);
                        seen.right[2].fetch_add(1, Relaxed);
                    }
                    Err(_) if seen.enough.load(Relaxed) => return Ok(()),
                    Err(_) => {}
                }
            }
        };
        if let Err(status) = watched.await {
            seen.assert_retryable(&status);
            tokio::time::sleep(Duration::from_millis(10)).await;
            seen.told_to_ask_again[2].fetch_add(1, Relaxed);
        }
    }
}

/// By JSON, on a connection for each call.
fn plainly(address: &str, seen: &Seen) {
    let mut pages = seen.truth.keys().cycle();
    while !seen.enough.load(Relaxed) {
        let page = pages.next().unwrap();
        match post(address, &json!({ "key": { "page_id": page } }).to_string()) {
            Some((200, reply)) => {
                let number = |name: &str| reply["value"][name].as_str().unwrap().parse().unwrap();
                seen.assert_right(page, number("views"), number("dwellMs"));
                seen.right[3].fetch_add(1, Relaxed);
            }
            Some((status, reply)) => {
                assert_eq!((status, &reply["code"]), (503, &json!("unavailable")), "{reply}");
                seen.told_to_ask_again[3].fetch_add(1, Relaxed);
            }
            None => {
                seen.told_to_ask_again[3].fetch_add(1, Relaxed);
                std::thread::sleep(Duration::from_millis(10));
            }
        }
    }
}

/// The status and the whole body; `None` where the connection broke before these were there.
fn post(address: &str, body: &str) -> Option<(u16, Value)> {
    let mut stream = TcpStream::connect(address).ok()?;
    let head = "POST /page_traffic.v1.PageTrafficService/Get HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\nconnect-timeout-ms: 30000";
    let request = format!("{head}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    stream.write_all(request.as_bytes()).ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok()?;
    let answer = String::from_utf8(answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok());
    (length == Some(body.len())).then(|| (head[9..12].parse().unwrap(), serde_json::from_str(body).unwrap()))
}

/// A port that nothing gets that asks for any.
fn free_port() -> u16 {
    let first = 20_000 + (std::process::id() % 10_000) as u16;
    (first..).find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok()).unwrap()
}

#[test]
fn whoever_asks_a_server_that_goes_away_has_a_right_answer_or_is_told_to_ask_again() {
    let stream = Stream::generate(1_000, 5, 11);
    let store = stream.store("state");
    stream.count_into(&store);
    let (store, address) = (process::store(&store), format!("127.0.0.1:{}", free_port()));
    let start = || Server::listening(example("page-traffic"), &["serve", "--store", &store, "--listen", &address]);
    let seen = Arc::new(Seen { truth: stream.views.whole_truth(), ..Seen::default() });

    let (mut server, mut answered) = (Some(start()), now(&seen.right));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let channel = || {
        let _runtime = runtime.enter();
        PageTrafficServiceClient::new(Endpoint::from_shared(format!("http://{address}")).unwrap().connect_lazy())
    };
    let clients = [
        runtime.spawn(one_by_one(channel(), seen.clone())),
        runtime.spawn(many(channel(), seen.clone())),
        runtime.spawn(watching(channel(), seen.clone())),
        runtime.spawn_blocking({
            let (seen, address) = (seen.clone(), address.clone());
            move || plainly(&address, &seen)
        }),
    ];
    for round in 0..ROUNDS {
        wait("right answers", &seen.right, answered, ANSWERS);
        let (going, told) = (server.take().unwrap(), now(&seen.told_to_ask_again));
        let asked = std::thread::spawn(move || match round % 2 {
            0 => drop(going),
            _ => assert!(going.stop().success(), "it was asked to stop, and did not end well"),
        });
        wait("been told to ask again", &seen.told_to_ask_again, told, [1; CLIENTS]);
        asked.join().unwrap();
        answered = now(&seen.right);
        server = Some(start());
    }
    wait("right answers", &seen.right, answered, ANSWERS);
    seen.enough.store(true, Relaxed);
    for client in clients {
        runtime.block_on(client).unwrap();
    }
    println!("{:?} right, {:?} told to ask again", now(&seen.right), now(&seen.told_to_ask_again));
}
