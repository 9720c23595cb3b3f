//! Streams of `Watch`: what each takes of a server, and how long after a write its watchers have the new value.
//!
//! The server is a process of its own, which writes too, as a worker in the same process does: CPU time and memory are
//! of that process alone. The value of a page *is* the time at which it was written, so that a reader needs nothing else
//! to know how old it is, and what each has at the end is compared with what was written last.

mod readers;
mod server;

use std::time::Duration;

use serde_json::{Map, Value};

use crate::Arguments;
use crate::measurement::Measurement;
use crate::resources::Used;
use readers::{Readers, Seen, Streams};
use server::{Server, Serving};

pub(crate) use server::be_child;

type Result<T> = std::result::Result<T, String>;

/// Streams of one connection; the server allows 256.
const OF_CONNECTION: usize = 250;
/// Bytes that may wait for a quick reader, the usual of HTTP/2, and for one that has stopped, which is less than a value has.
const AHEAD: u32 = 65_535;
const AHEAD_OF_STALLED: u32 = 16;
/// Changes a second.
const RATE: u64 = 1_000;

/// Who watches.
struct Variant {
    name: &'static str,
    /// Streams of quick readers.
    quick: Streams,
    /// Streams of readers that have stopped, beside them.
    stalled: usize,
    /// Whether the server is told of writes, as by a worker in its process; otherwise it looks by itself.
    is_told: bool,
}

const ONE_BY_ONE: Streams = Streams { count: 10_000, keys: 1 };

const VARIANTS: [Variant; 4] = [
    Variant { name: "streams", quick: ONE_BY_ONE, stalled: 0, is_told: true },
    Variant { name: "stalled", quick: ONE_BY_ONE, stalled: 100, is_told: true },
    Variant { name: "polled", quick: ONE_BY_ONE, stalled: 0, is_told: false },
    Variant { name: "many", quick: Streams { count: 1_000, keys: 10 }, stalled: 0, is_told: true },
];

/// Each variant, or the one that was asked for.
pub(crate) fn measure(arguments: &Arguments, report: &mut dyn FnMut(Measurement)) -> Result<()> {
    let is_wanted = |variant: &&Variant| arguments.variant.as_deref().is_none_or(|name| name == variant.name);
    let wanted: Vec<&Variant> = VARIANTS.iter().filter(is_wanted).collect();
    if wanted.is_empty() {
        return Err(format!("the variants are {}", VARIANTS.map(|variant| variant.name).join(", ")));
    }
    for variant in wanted {
        report(run(variant, arguments.events.unwrap_or(20_000), arguments.keys.unwrap_or(1_000))?);
    }
    Ok(())
}

fn run(variant: &Variant, changes: u64, keys: u64) -> Result<Measurement> {
    let Variant { name, quick: streams, stalled, is_told } = variant;
    let mut server = Server::start(Serving { keys, changes, is_told: *is_told })?;
    let mut quick = Readers::connect(&server.url, *streams, keys, AHEAD)?;
    let with_streams = server.resident()?;
    // Nobody reads for them before the end.
    let late = Readers::connect(&server.url, Streams { count: *stalled, keys: 1 }, keys, AHEAD_OF_STALLED)?;
    let empty = server.empty_kib;
    let written = server.write(|ended| quick.read(ended))?;
    let wanted = written.pages;
    let Seen { delays, is_right: quick_right, .. } = quick.end(&wanted)?;
    let late = late.end(&wanted)?;
    let mut more = Map::new();
    let mut say = |name: &str, value: f64| {
        more.insert(name.into(), Value::from((value * 1_000.0).round() / 1_000.0));
    };
    say("streams", streams.count as f64);
    say("keys_of_stream", streams.keys as f64);
    say("keys", keys as f64);
    say("kib_per_stream", with_streams.saturating_sub(empty) as f64 / streams.count as f64);
    say("server_mib", written.resident_kib as f64 / 1_024.0);
    say("received", delays.len() as f64);
    say("received_stalled", late.received as f64);
    say("delay_ms_p50", percentile(&delays, 0.5));
    say("delay_ms_p99", percentile(&delays, 0.99));
    say("reads_per_s", written.reads / written.wall_s);
    say("items_per_s", written.items / written.wall_s);
    let used = Used { wall_s: written.wall_s, cpu_s: written.cpu_s, user_s: f64::NAN };
    // One value that was on its way, one in the hands of the server, and the newest: who got more was not held up.
    let has_stalled = late.received <= 3 * stalled;
    let exact = quick_right && late.is_right && has_stalled && !delays.is_empty();
    Ok(Measurement { name: "watch", variant: (*name).into(), events: changes, used, exact, ratio: None, more })
}

/// In milliseconds, of sorted delays.
fn percentile(sorted: &[Duration], share: f64) -> f64 {
    let at = (sorted.len() as f64 * share) as usize;
    sorted.get(at.min(sorted.len().saturating_sub(1))).map_or(f64::NAN, |delay| delay.as_secs_f64() * 1e3)
}

/// The page of a reader, and of a write.
fn page(at: u64, keys: u64) -> String {
    format!("page-{:08}", at % keys)
}

/// Now, in microseconds since 1970, which two processes of a machine agree on.
fn now() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| since.as_micros() as u64)
}
