//! The worker at full speed, killed again and again: what that costs, and whether the counts are exact all the same.

use std::io::{BufRead, BufReader, Write};
use std::process::Stdio;

use murmur::engine::{Options, Worker, json};
use murmur::source::kafka::{self, KafkaConfig};
use murmur::time::Span;
use serde_json::Map;
use tokio::sync::watch;

use super::count::{clear, open};
use super::stream::{Stream, runtime, text};
use super::{Found, Result, child, command};
use crate::resources::Meter;
use crate::views::{NoLetters, Views, counts};

/// How often it is killed, unless the stream ends before.
const KILLS: u64 = 10;
/// Short, so that most lives leave something behind, and die in the midst of writing more: who is behind reads on for
/// ten of these.
const FLUSH: Span = Span::from_millis(10);
/// What a life says of itself, with how many events it has read.
const READ: &str = "read ";

/// Lives that end by SIGKILL, each after a number of events by chance, and one that reads to the end.
pub(super) fn run(store: &str, stream: &Stream) -> Result<Found> {
    let variant = format!("life-{store}");
    let mut rng = fastrand::Rng::with_seed(9);
    let meter = Meter::children();
    let (mut kills, mut read) = (0, 0);
    for _ in 0..KILLS {
        let until = rng.u64(1..=2 * stream.events / (KILLS + 1));
        let (was_killed, events) = live_until(until, &variant, stream)?;
        kills += u64::from(was_killed);
        read += events;
    }
    let last = child(&variant, stream)?;
    let used = meter.used();
    clear(store, stream);
    let mut more = Map::new();
    more.insert("kills".into(), kills.into());
    // At least: what a life read between its last word and its end is not known.
    more.insert("read_again".into(), (read + last.events).saturating_sub(stream.events).into());
    more.insert("cpu_s_per_million".into(), ((used.cpu_s / stream.events as f64 * 1e8).round() / 100.0).into());
    more.insert("events_per_s".into(), (stream.events as f64 / used.wall_s).round().into());
    Ok(Found { used, events: stream.events, exact: last.exact, more })
}

/// Kill a life when it has read so many events; whether there were as many, and how many it has said to have read.
fn live_until(until: u64, variant: &str, stream: &Stream) -> Result<(bool, u64)> {
    let mut life = command(variant, stream)?.stdout(Stdio::piped()).spawn().map_err(text)?;
    let said = life.stdout.take().ok_or("a life has no standard output")?;
    let mut read = 0;
    for line in BufReader::new(said).lines() {
        let Some(events) = line.map_err(text)?.strip_prefix(READ).and_then(|events| events.parse().ok()) else {
            continue;
        };
        read = events;
        if read >= until {
            life.kill().map_err(text)?;
            break;
        }
    }
    let status = life.wait().map_err(text)?;
    let was_killed = read >= until;
    if was_killed || status.success() { Ok((was_killed, read)) } else { Err(format!("a life failed: {status}")) }
}

/// One life, in a process of its own. Its name in the group stays the same, so that the next one need not wait until the
/// broker has missed this one.
#[allow(clippy::print_stdout, reason = "what the process that kills this one waits for")]
pub(super) fn life(store: &str, stream: &Stream) -> Result<Found> {
    runtime()?.block_on(async {
        let kept = open(store, stream).await?;
        let mut config = KafkaConfig::new(stream.brokers(), &[&stream.topic], format!("bench-killed-{store}"));
        config.until_end = true;
        config.instance = Some("life".to_owned());
        let worker = Worker::builder(kept.clone(), kafka::open(config).map_err(text)?, json, Box::new(NoLetters));
        let mut options = Options::default();
        options.flush_interval = FLUSH;
        let worker = worker.options(options).pipeline::<Views>().build();
        let mut progress = worker.progress();
        let (_stop, stopped) = watch::channel(false);
        let saying = async {
            while progress.changed().await.is_ok() {
                println!("{READ}{}", progress.borrow_and_update().read);
                let _ = std::io::stdout().flush();
            }
        };
        let meter = Meter::start();
        let (summary, ()) = futures_util::future::join(worker.run(stopped), saying).await;
        let (used, events) = (meter.used(), summary.map_err(text)?.progress.read);
        let exact = counts(&*kept).await.map_err(text)? == stream.expected();
        Ok(Found { used, events, exact, more: Map::new() })
    })
}
