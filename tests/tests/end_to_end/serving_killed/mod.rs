//! A server, killed or asked to stop while it is asked without a pause: whoever asks has a right answer, or is told to ask again, and
//! what had begun is cut off by a kill only. It is the worker itself while it counts, or one beside a worker that counts on.

mod grpc;
mod http1;
mod pages;
mod wire;

use std::fmt::Debug;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU64};
use std::time::{Duration, Instant};

use murmur_tests::process::{self, Process, Server, example};
use tempfile::TempDir;

use self::http1::{Stream, Unary};
use self::pages::Pages;
use self::wire::Way;
use crate::page_views::answers_of;
use crate::store_dynamodb::{endpoint, prefix};

/// As long as a server lets a call take: how busy the machine is does not matter here.
const PATIENCE: Duration = Duration::from_secs(30);

/// Those who ask: by gRPC one by one, many together, and a stream; by gRPC-Web, by Connect and by JSON, one by one; streams by
/// gRPC-Web and by Connect.
const CLIENTS: usize = 8;

/// Right answers of each client between one end and the next; fewer of those that watch, who wait for what is new.
const ANSWERS: [u64; CLIENTS] = [20, 20, 10, 20, 20, 20, 10, 10];

type Tally = [AtomicU64; CLIENTS];

/// What those who ask have seen.
struct Seen {
    pages: Pages,
    right: Tally,
    told_to_ask_again: Tally,
    /// Odd from before a kill until there is another server.
    kills: AtomicU64,
    enough: AtomicBool,
}

impl Seen {
    fn new(pages: Pages) -> Self {
        let (right, told_to_ask_again) = (Tally::default(), Tally::default());
        Self { pages, right, told_to_ask_again, kills: AtomicU64::new(0), enough: AtomicBool::new(false) }
    }

    fn enough(&self) -> bool {
        self.enough.load(SeqCst)
    }

    fn right(&self, client: usize) {
        self.right[client].fetch_add(1, SeqCst);
    }

    fn told(&self, client: usize) {
        self.told_to_ask_again[client].fetch_add(1, SeqCst);
    }

    /// Before a call begins.
    fn moment(&self) -> u64 {
        self.kills.load(SeqCst)
    }

    /// A call that had begun at that moment was cut off, which is what a kill does, and nothing else may.
    #[track_caller]
    fn assert_killed(&self, moment: u64, how: impl Debug) {
        let killed = moment % 2 == 1 || self.kills.load(SeqCst) != moment;
        assert!(killed || self.enough(), "a server that was asked to stop has cut off what had begun: {how:?}");
    }
}

fn now(counts: &Tally) -> [u64; CLIENTS] {
    counts.each_ref().map(|count| count.load(SeqCst))
}

/// Until something is so.
fn until(what: impl Fn() -> String, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < Duration::from_secs(300), "{}", what());
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Until every client has seen so much more of it than before.
fn wait(what: &str, counts: &Tally, before: [u64; CLIENTS], more: [u64; CLIENTS]) {
    until(
        || format!("not every client has {what}: {counts:?}, as {before:?}"),
        || now(counts).iter().zip(before).zip(more).all(|((now, before), more)| *now >= before + more),
    );
}

/// A port that nothing gets that asks for any, and no other test here.
fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = 20_000 + (std::process::id() % 10_000) as u16;
    let mut ports = std::iter::repeat_with(|| first + NEXT.fetch_add(1, SeqCst));
    ports.find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok()).unwrap()
}

/// Who counts.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Counts {
    /// The server that goes away, into the embedded store.
    Itself,
    /// A worker that stays, into DynamoDB Local.
    Another,
}

/// The server goes away so often, every second time by a kill.
fn a_server_goes_away(times: usize, by_tls: bool, counts: Counts) {
    let folder = TempDir::new().unwrap();
    let pages = Pages::new(folder.path());
    let store = match counts {
        Counts::Itself => process::store(&folder.path().join("state")),
        Counts::Another => format!("dynamodb://{}?endpoint={}", prefix(), endpoint()),
    };
    // So that there is something of every page from the beginning.
    pages.view();
    let (source, letters) = (pages.source(), folder.path().join("letters").display().to_string());
    let apart = ["--create-tables", "--dead-letters", &letters];
    let counting = ["run", "--source", &source, "--store", &store, "--flush-interval", "20ms"];
    let counting = [&counting[..], if counts == Counts::Another { &apart } else { &[] }].concat();
    process::success(example("page-traffic"), &[&counting[..], &["--until-end"]].concat());
    let mut worker = (counts == Counts::Another).then(|| Process::start(example("page-traffic"), &counting));

    let way = Way::new(free_port(), by_tls.then_some(folder.path()));
    let certificates: Vec<&str> = way.arguments().iter().map(String::as_str).collect();
    let serving = match counts {
        Counts::Itself => counting,
        Counts::Another => vec!["serve", "--store", &store, "--watch-interval", "100ms"],
    };
    let listening = [&serving[..], &["--listen", way.address()], &certificates].concat();
    let start = || Server::listening(example("page-traffic"), &listening);
    let seen = Arc::new(Seen::new(pages));
    let (mut server, mut answered) = (Some(start()), now(&seen.right));

    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let channel = || {
        let _runtime = runtime.enter();
        way.channel()
    };
    let by_grpc = [
        runtime.spawn(grpc::one_by_one(0, channel(), seen.clone())),
        runtime.spawn(grpc::many(1, channel(), seen.clone())),
        runtime.spawn(grpc::watching(2, channel(), seen.clone())),
    ];
    let plainly = [(3, Unary::Web), (4, Unary::Proto), (5, Unary::Json)];
    let plainly = plainly.map(|(client, unary)| {
        let (way, seen) = (way.clone(), seen.clone());
        std::thread::spawn(move || http1::one_by_one(client, unary, &way, &seen))
    });
    let watching = [(6, Stream::Web), (7, Stream::Connect)].map(|(client, stream)| {
        let (way, seen) = (way.clone(), seen.clone());
        std::thread::spawn(move || http1::watching(client, stream, &way, &seen))
    });
    let viewing = std::thread::spawn({
        let seen = seen.clone();
        move || seen.pages.keep_viewing()
    });

    for time in 0..times {
        wait("right answers", &seen.right, answered, ANSWERS);
        let (going, told) = (server.take().unwrap(), now(&seen.told_to_ask_again));
        let is_kill = time % 2 == 0;
        if is_kill {
            seen.kills.fetch_add(1, SeqCst);
            drop(going);
        } else {
            assert!(going.stop().success(), "it was asked to stop, and did not end well");
        }
        wait("been told to ask again", &seen.told_to_ask_again, told, [1; CLIENTS]);
        answered = now(&seen.right);
        server = Some(start());
        if is_kill {
            seen.kills.fetch_add(1, SeqCst);
        }
    }
    wait("right answers", &seen.right, answered, ANSWERS);
    // Everything that was written is counted in the end, and nothing twice.
    seen.pages.stop_viewing();
    viewing.join().unwrap();
    until(|| format!("not everything is counted: {:?}", seen.pages), || seen.pages.are_counted());
    seen.enough.store(true, SeqCst);
    for client in by_grpc {
        runtime.block_on(client).unwrap();
    }
    for client in plainly.into_iter().chain(watching) {
        client.join().unwrap();
    }
    assert!(server.take().unwrap().stop().success());
    if let Some(worker) = &mut worker {
        assert_eq!(worker.ended(), None, "the worker has ended");
    }
    seen.pages.assert_exact(&answers_of(&store));
    println!("{:?} right, {:?} told to ask again", now(&seen.right), now(&seen.told_to_ask_again));
}

#[test]
fn whoever_asks_a_server_that_goes_away_has_a_right_answer_or_is_told_to_ask_again() {
    a_server_goes_away(4, false, Counts::Itself);
}

#[test]
fn whoever_asks_by_tls_a_server_that_goes_away_has_a_right_answer_or_is_told_to_ask_again() {
    a_server_goes_away(2, true, Counts::Itself);
}

#[test]
fn whoever_asks_a_server_beside_a_worker_that_goes_away_has_a_right_answer_or_is_told_to_ask_again() {
    a_server_goes_away(4, false, Counts::Another);
}
