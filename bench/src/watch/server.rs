//! The process that serves and writes.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use murmur::grpc::Watching;
use murmur::metrics::catalogue::{QUERY_ITEMS, STORE_REQUEST_DURATION};
use murmur::pipeline::Pipeline;
use murmur::query::Reader;
use murmur::source::{Offset, PartitionId};
use murmur::store::{Applied, Column, MemoryStore, Number, Outcome, Store, Table, TileId, Touched, Write};
use murmur::time::Timestamp;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use super::{RATE, Result, now, page};
use crate::resources::Meter;
use crate::tally::Tally;
use crate::views::Views;

/// Set for the process of the server: what it is to be.
const CHILD: &str = "MURMUR_BENCH_WATCH";

const DESCRIPTOR: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/murmur/descriptor.binpb"));

/// What a server is to be.
pub(super) struct Serving {
    pub(super) keys: u64,
    pub(super) changes: u64,
    /// Whether it is told of writes; otherwise it looks at what is watched every second, as usual.
    pub(super) is_told: bool,
}

/// The server, as the process that measures sees it.
pub(super) struct Server {
    child: Child,
    say: ChildStdin,
    said: BufReader<ChildStdout>,
    pub(super) url: String,
    /// Resident memory before anybody was there.
    pub(super) empty_kib: u64,
}

/// What the server has written, and what that took.
pub(super) struct Written {
    pub(super) wall_s: f64,
    pub(super) cpu_s: f64,
    pub(super) resident_kib: u64,
    /// Calls of the store that read, and the items that they found.
    pub(super) reads: f64,
    pub(super) items: f64,
    /// The last value of each page.
    pub(super) pages: HashMap<String, u64>,
}

impl Server {
    pub(super) fn start(Serving { keys, changes, is_told }: Serving) -> Result<Self> {
        let this = std::env::current_exe().map_err(|error| error.to_string())?;
        let mut command = Command::new(this);
        command
            .arg("list")
            .env(CHILD, format!("{keys} {changes} {}", u8::from(is_told)))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut child = command.spawn().map_err(|error| error.to_string())?;
        let (say, said) = child.stdin.take().zip(child.stdout.take()).ok_or("the server has no pipes")?;
        let mut server = Self { child, say, said: BufReader::new(said), url: String::new(), empty_kib: 0 };
        let begun = server.hear()?;
        server.url = begun["url"].as_str().unwrap_or_default().to_owned();
        server.empty_kib = begun["resident_kib"].as_u64().unwrap_or_default();
        Ok(server)
    }

    pub(super) fn resident(&mut self) -> Result<u64> {
        self.tell("resident")?;
        Ok(self.hear()?["resident_kib"].as_u64().unwrap_or_default())
    }

    /// Have it write everything, while somebody reads until it has.
    pub(super) fn write(&mut self, read: impl FnOnce(&AtomicBool) -> Result<()>) -> Result<Written> {
        self.tell("write")?;
        let ended = AtomicBool::new(false);
        let written = std::thread::scope(|scope| {
            let hearing = scope.spawn(|| {
                let heard = self.hear();
                ended.store(true, Ordering::Release);
                heard
            });
            let read = read(&ended);
            read.and(hearing.join().unwrap_or_else(|_| Err("nobody heard the server".into())))
        })?;
        let number = |name: &str| written[name].as_f64().unwrap_or(f64::NAN);
        let pages = written["pages"].as_object().into_iter().flatten();
        Ok(Written {
            wall_s: number("wall_s"),
            cpu_s: number("cpu_s"),
            resident_kib: number("resident_kib") as u64,
            reads: number("reads"),
            items: number("items"),
            pages: pages.map(|(page, value)| (page.clone(), value.as_u64().unwrap_or_default())).collect(),
        })
    }

    fn tell(&mut self, what: &str) -> Result<()> {
        writeln!(self.say, "{what}").map_err(|error| error.to_string())
    }

    fn hear(&mut self) -> Result<Value> {
        let mut line = String::new();
        self.said.read_line(&mut line).map_err(|error| error.to_string())?;
        serde_json::from_str(&line).map_err(|error| format!("the server said `{line}`: {error}"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may be gone already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// When this is the process of the server: serve until it is killed, or nobody tells it anything any more.
pub(crate) fn be_child() -> Option<Result<()>> {
    let asked = std::env::var(CHILD).ok()?;
    let numbers: Vec<u64> = asked.split(' ').filter_map(|number| number.parse().ok()).collect();
    let &[keys, changes, is_told] = &numbers[..] else { return Some(Err(format!("`{asked}` is no server"))) };
    let serving = Serving { keys, changes, is_told: is_told > 0 };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    Some(runtime.map_err(|error| error.to_string()).and_then(|runtime| serve(&runtime, &serving)))
}

fn serve(runtime: &Runtime, serving: &Serving) -> Result<()> {
    let tally = Tally::install()?;
    let store: Arc<dyn Store> = Arc::new(MemoryStore::default());
    let touched = Touched::new();
    let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).map_err(|error| error.to_string())?;
    let address = listener.local_addr().map_err(|error| error.to_string())?;
    let server =
        murmur::grpc::Server::builder().pipeline(Reader::<Views>::new(store.clone(), 1)).descriptor(DESCRIPTOR);
    let watching = Watching::default();
    let server = server.watching(if serving.is_told { watching.told_by(&touched) } else { watching });
    runtime.spawn(server.serve(listener, std::future::pending()));
    say(&json!({ "url": format!("http://{address}"), "resident_kib": resident_kib() }));
    let store = touched.store(store);
    for line in std::io::stdin().lines() {
        match line.map_err(|error| error.to_string())?.as_str() {
            "resident" => say(&json!({ "resident_kib": resident_kib() })),
            "write" => say(&runtime.block_on(write(&*store, serving, &tally))?),
            other => return Err(format!("`{other}` is asked for")),
        }
    }
    Ok(())
}

#[allow(clippy::print_stdout, reason = "the answer to the process that started this one")]
fn say(what: &Value) {
    println!("{what}");
}

/// Between two flushes.
const FLUSH: Duration = Duration::from_millis(20);

/// Write at a steady rate; what it took and what the pages have in the end.
async fn write(store: &dyn Store, serving: &Serving, tally: &Tally) -> Result<Value> {
    let Serving { keys, changes, .. } = *serving;
    let (tile, slot) = Views::tiling().locate(Timestamp::from_micros(now() as i64));
    let table = Table::new("views", 1);
    let mut values = vec![0_u64; keys as usize];
    let mut rng = fastrand::Rng::with_seed(7);
    let (calls, items) = read(tally);
    let meter = Meter::start();
    let (began, mut written, mut flush) = (Instant::now(), 0, 0);
    while written < changes {
        flush += 1;
        tokio::time::sleep_until((began + FLUSH * flush).into()).await;
        let due = (began.elapsed().as_micros() as u64 * RATE / 1_000_000).min(changes);
        let mut pages: Vec<u64> = (written..due).map(|_| rng.u64(..keys)).collect();
        written = due;
        // One write of a tile in a flush.
        pages.sort_unstable();
        pages.dedup();
        let at = now();
        let writes = pages.iter().map(|at_page| {
            let value = &mut values[*at_page as usize];
            let delta = at - std::mem::replace(value, at);
            let offset = Offset::from_u64(u64::from(flush));
            Write::Add {
                id: TileId { key: format!("={}", page(*at_page, keys)).into(), tile, part: None },
                numbers: vec![((slot, Column { field: 0, part: 0 }), Number::Int(delta.into()))],
                applied: vec![Applied { partition: PartitionId::new("p"), first: offset, last: offset }],
                expires: None,
            }
        });
        let writes: Vec<Write> = writes.collect();
        for outcome in store.write(&table, writes.into()).await {
            if outcome.map_err(|error| error.to_string())? != Outcome::Applied {
                return Err("a write was refused".into());
            }
        }
    }
    // What the readers are sent of the last flush belongs to it.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let used = meter.used();
    let (calls_then, items_then) = read(tally);
    let values = values.iter().enumerate().map(|(at, value)| (page(at as u64, keys), Value::from(*value)));
    let pages: Value = values.collect::<serde_json::Map<_, _>>().into();
    Ok(json!({
        "wall_s": used.wall_s, "cpu_s": used.cpu_s, "resident_kib": resident_kib(), "pages": pages,
        "reads": calls_then - calls, "items": items_then - items,
    }))
}

/// Calls of the store that read tiles, and the items that were found, until now.
fn read(tally: &Tally) -> (u64, f64) {
    let calls = ["get", "range"].map(|op| tally.sum(STORE_REQUEST_DURATION.name, Some(("op", op))));
    (calls.iter().sum(), tally.recorded(QUERY_ITEMS.name))
}

/// Resident memory of this process (`VmRSS`).
fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).unwrap_or_default()
}
