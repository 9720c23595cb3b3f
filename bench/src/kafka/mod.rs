//! From Kafka to windowed counts by the real worker, into each store, beside plain consumers and peers on the same
//! broker. Each variant is a process of its own, which the command starts: CPU time and memory are of that process.
//!
//! The broker is the one that `MURMUR_TEST_KAFKA` names, DynamoDB the one of `MURMUR_TEST_DYNAMODB`.

mod bytewax;
mod consume;
mod count;
mod killed;
mod pace;
mod peer;
mod stream;
mod streams;
mod updates;

use std::process::Command;

use clap::ValueEnum;
use serde_json::{Map, Value};

use crate::Arguments;
use crate::measurement::Measurement;
use crate::resources::Used;
use stream::Stream;

/// Set for the process of one variant: the variant, and the stream.
const CHILD: &str = "MURMUR_BENCH_KAFKA";

/// What a variant has found out.
pub(crate) struct Found {
    used: Used,
    events: u64,
    exact: bool,
    more: Map<String, Value>,
}

type Result<T> = std::result::Result<T, String>;

/// The variants, and what each is measured against.
const VARIANTS: [(&str, Option<&str>); 12] = [
    ("bare", None),
    ("decode", Some("bare")),
    ("memory", Some("decode")),
    ("embedded", Some("decode")),
    ("dynamodb", None),
    ("killed-embedded", Some("embedded")),
    ("killed-dynamodb", Some("dynamodb")),
    ("streams", Some("decode")),
    ("streams-eos", Some("decode")),
    ("bytewax", Some("decode")),
    ("pace", None),
    ("pace-dynamodb", None),
];

/// How the messages of a topic are compressed.
#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum Compression {
    /// Not at all.
    None,
    /// By LZ4.
    Lz4,
}

impl Compression {
    /// As librdkafka calls it.
    fn codec(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Lz4 => "lz4",
        }
    }
}

/// Streams of these keys and this compression, each through every variant, or through the one that was asked for.
pub(crate) fn measure(arguments: &Arguments, report: &mut dyn FnMut(Measurement)) -> Result<()> {
    let only = arguments.variant.as_deref();
    if let Some(unknown) = only.filter(|only| VARIANTS.iter().all(|(name, _)| name != only)) {
        let known: Vec<&str> = VARIANTS.iter().map(|(name, _)| *name).collect();
        return Err(format!("there is no variant `{unknown}`; there are: {}", known.join(", ")));
    }
    let keys = arguments.keys.map_or_else(|| vec![100, 10_000, 1_000_000], |keys| vec![keys]);
    for keys in keys {
        let codec = arguments.compression.unwrap_or(Compression::None).codec();
        let mut stream = Stream::new(arguments.events.unwrap_or(2_000_000), keys, codec);
        stream.produce()?;
        let ended = variants(&stream, only, report);
        stream.delete();
        ended?;
    }
    Ok(())
}

fn variants(stream: &Stream, only: Option<&str>, report: &mut dyn FnMut(Measurement)) -> Result<()> {
    let mut cpu_of: Vec<(&str, f64)> = Vec::new();
    for (name, against) in VARIANTS {
        if only.is_some_and(|only| only != name) {
            continue;
        }
        let Found { used, events, exact, more } = match name {
            "streams" => streams::run(stream, "at_least_once")?,
            "streams-eos" => streams::run(stream, "exactly_once_v2")?,
            "bytewax" => bytewax::run(stream)?,
            _ => match name.strip_prefix("killed-") {
                Some(store) => killed::run(store, stream)?,
                None => child(name, stream)?,
            },
        };
        let per_event = used.cpu_s / events as f64;
        let against = against.and_then(|against| cpu_of.iter().find(|(name, _)| *name == against));
        let ratio = against.map(|(name, cpu)| (per_event / cpu, (*name).to_owned()));
        cpu_of.push((name, per_event));
        let variant = format!("{name}-{}-{}", stream.keys, stream.compression);
        report(Measurement { name: "kafka", variant, events, used, exact, ratio, more });
    }
    Ok(())
}

/// The process of a variant.
fn command(variant: &str, stream: &Stream) -> Result<Command> {
    let mut command = Command::new(std::env::current_exe().map_err(|error| error.to_string())?);
    command.args(["kafka", "-o", "json"]).env(CHILD, format!("{variant} {stream}"));
    Ok(command)
}

/// Run a variant in a process of its own.
fn child(variant: &str, stream: &Stream) -> Result<Found> {
    let output = command(variant, stream)?.output().map_err(|error| error.to_string())?;
    let text = String::from_utf8_lossy(&output.stdout);
    let line = text.lines().last().filter(|_| output.status.success());
    let line = line
        .and_then(|line| serde_json::from_str::<Map<String, Value>>(line).ok())
        .ok_or_else(|| format!("variant `{variant}` failed:\n{text}{}", String::from_utf8_lossy(&output.stderr)))?;
    let number = |name: &str| line.get(name).and_then(Value::as_f64).unwrap_or(f64::NAN);
    Ok(Found {
        used: Used { wall_s: number("wall_s"), cpu_s: number("cpu_s"), user_s: number("user_s") },
        events: number("events") as u64,
        exact: line.get("exact") == Some(&Value::Bool(true)),
        more: line.get("more").and_then(Value::as_object).cloned().unwrap_or_default(),
    })
}

/// When this is the process of a variant: run it, and print what it has found out.
#[allow(clippy::print_stdout, reason = "the answer to the process that started this one")]
pub(crate) fn be_child() -> Option<Result<()>> {
    let asked = std::env::var(CHILD).ok()?;
    Some(run(&asked).map(|Found { used, events, exact, mut more }| {
        // Unless it was looked at before the end state was, which takes memory of its own.
        more.entry("rss_mib").or_insert_with(|| crate::resources::peak_rss_mib().round().into());
        more.insert("cpu_s_per_million".into(), ((used.cpu_s / events as f64 * 1e8).round() / 100.0).into());
        more.insert("events_per_s".into(), (events as f64 / used.wall_s).round().into());
        println!(
            "{}",
            serde_json::json!({
                "wall_s": used.wall_s, "cpu_s": used.cpu_s, "user_s": used.user_s, "events": events, "exact": exact,
                "more": more,
            })
        );
    }))
}

fn run(asked: &str) -> Result<Found> {
    let (variant, stream) = asked.split_once(' ').ok_or("a variant and a stream")?;
    let stream: Stream = stream.parse()?;
    match variant {
        "bare" => consume::bare(&stream),
        "decode" => consume::decode(&stream),
        "pace" => pace::run(&stream, "memory"),
        "pace-dynamodb" => pace::run(&stream, "dynamodb"),
        _ => match variant.strip_prefix("life-") {
            Some(store) => killed::life(store, &stream),
            None => count::run(variant, &stream),
        },
    }
}
