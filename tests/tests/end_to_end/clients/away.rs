//! What clients do while there is no server, or one that says nothing.

use std::io::{BufRead, BufReader, Lines, Read};
use std::net::TcpListener;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use murmur_tests::process::{Server, example, store};
use serde_json::{Value, json};
use tonic::Code;

use super::calls::code;
use crate::page_views::Stream;

/// A port at which no server answers.
pub(super) struct Port {
    address: String,
    /// How many connections it has taken.
    taken: Arc<AtomicUsize>,
}

impl Port {
    /// One that nobody listens at.
    pub(super) fn closed() -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        format!("http://{}", listener.local_addr().unwrap())
    }

    /// Connections are taken, and `kept` or dropped once something was sent; as long as the tests run.
    fn open(kept: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let taken = Arc::<AtomicUsize>::default();
        let counted = taken.clone();
        std::thread::spawn(move || {
            for connection in listener.incoming() {
                counted.fetch_add(1, Ordering::SeqCst);
                let mut connection = connection.unwrap();
                std::thread::spawn(move || {
                    let mut more = [0; 1024];
                    // Until the other side has enough of it.
                    while connection.read(&mut more).is_ok_and(|read| kept && read > 0) {}
                });
            }
        });
        Self { address, taken }
    }

    fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

/// A call ends as it should where no server answers. `tries` is how many connections a call makes to a port that drops them,
/// where the client itself tries again; gRPC's own tries go by its own rules of when to connect.
pub(super) fn assert_ends_without_a_server(ask: impl Fn(&[&str]) -> Value, tries: Option<usize>) {
    assert_eq!(ask(&[&Port::closed(), "one"]), code(Code::Unavailable), "a closed port");
    let dropping = Port::open(false);
    assert_eq!(ask(&[&dropping.url(), "one"]), code(Code::Unavailable), "a port that drops connections");
    let taken = dropping.taken.load(Ordering::SeqCst);
    match tries {
        Some(tries) => assert_eq!(taken, tries),
        None => assert_ne!(taken, 0),
    }
    let silent = Port::open(true);
    assert_eq!(ask(&[&silent.url(), "brief"]), code(Code::DeadlineExceeded), "a port that says nothing");
    assert_ne!(silent.taken.load(Ordering::SeqCst), 0);
}

/// A client that watches, and prints how many views it is told of.
struct Watcher {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Watcher {
    fn start(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    /// It prints and ends by itself, so this does not wait for ever.
    fn next(&mut self) -> Value {
        let line = self.lines.next().unwrap_or_else(|| panic!("the client has ended: {:?}", self.child.wait()));
        serde_json::from_str(&line.unwrap()).unwrap()
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A stream whose server is killed goes on at the one that comes after, at the same port.
pub(super) fn assert_watches_on(ask: impl Fn(&[&str]) -> Command) {
    let mut watcher = assert_watch_goes_on(&[], |url| Watcher::start(ask(&[url, "watch"])), Watcher::next);
    assert!(watcher.child.wait().unwrap().success());
}

/// The same of whoever is told of views in another way, with more arguments for the servers.
pub(super) fn assert_watch_goes_on<W>(
    more: &[&str],
    watch: impl FnOnce(&str) -> W,
    next: impl Fn(&mut W) -> Value,
) -> W {
    let now = jiff::Timestamp::now().to_string();
    let views = |count: usize| {
        let view = json!({ "page_id": "/home", "user_id": "somebody", "dwell_ms": 1, "viewed_at": now });
        let stream = Stream::of(&format!("{view}\n").repeat(count));
        let state = stream.store("state");
        stream.count_into(&state);
        (store(&state), stream)
    };
    // Before anything is watched, so that the server is not away for longer than it takes to start one.
    let (before, after) = (views(1), views(2));
    let serve = |store: &str, listen: &str| {
        let arguments = ["serve", "--store", store, "--listen", listen];
        Server::listening(example("page-traffic"), &[&arguments, more].concat())
    };
    let server = serve(&before.0, "127.0.0.1:0");
    let address = server.address.clone();
    let mut watcher = watch(&server.url());
    assert_eq!(next(&mut watcher), "1");
    // By SIGKILL.
    drop(server);
    let _next = serve(&after.0, &address);
    assert_eq!(next(&mut watcher), "2");
    watcher
}
