//! Kafka Streams counting the same windows on the same broker: `bench/peers/HourlyViews.java`, with the libraries that
//! `scripts/services.sh` has installed for the broker.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Map, Value};

use super::stream::{Stream, text};
use super::{Found, Result};
use crate::resources::Used;
use crate::views::Counts;

/// Count with this guarantee.
pub(super) fn run(stream: &Stream, guarantee: &str) -> Result<Found> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().ok_or("the bench lies in no workspace")?;
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    let libraries = target.join("services/kafka/lib");
    if !libraries.is_dir() {
        return Err(format!("{} is not there; `scripts/services.sh start kafka` installs it", libraries.display()));
    }
    let work = target.join("bench/streams");
    let _ = fs::remove_dir_all(&work);
    fs::create_dir_all(&work).map_err(text)?;
    let classpath = format!("{}:{}/*", work.display(), libraries.display());
    output(
        Command::new("javac").args(["-cp", &classpath, "-d"]).arg(&work).arg(root.join("bench/peers/HourlyViews.java")),
    )?;
    let counts = work.join("counts");
    let events = stream.events.to_string();
    let printed = output(
        Command::new("java")
            .args(["-Xms1g", "-Xmx1g", "-cp", &classpath, "HourlyViews", stream.brokers(), &stream.topic, &events])
            .arg(guarantee)
            .arg(work.join("state"))
            .arg(&counts),
    )?;
    let line = printed.lines().rev().find_map(|line| serde_json::from_str::<Map<String, Value>>(line).ok());
    let line = line.ok_or_else(|| format!("Kafka Streams said nothing:\n{printed}"))?;
    let number = |name: &str| line.get(name).and_then(Value::as_f64).unwrap_or(f64::NAN);
    let used = Used { wall_s: number("wall_s"), cpu_s: number("cpu_s"), user_s: f64::NAN };
    let mut more = Map::new();
    more.insert("rss_mib".into(), number("rss_mib").into());
    more.insert("cpu_s_per_million".into(), ((used.cpu_s / stream.events as f64 * 1e8).round() / 100.0).into());
    more.insert("events_per_s".into(), (stream.events as f64 / used.wall_s).round().into());
    Ok(Found { used, events: stream.events, exact: read(&counts)? == stream.expected(), more })
}

fn output(command: &mut Command) -> Result<String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.output().map_err(|error| format!("`{name}`: {error}; a JDK from version 17 on is needed"))?;
    let (said, failed) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if output.status.success() { Ok(said.into_owned()) } else { Err(format!("`{name}` failed:\n{said}{failed}")) }
}

fn read(file: &Path) -> Result<Counts> {
    let bad = |line: &str| format!("`{line}` is no count");
    let text = fs::read_to_string(file).map_err(text)?;
    let row = |line: &str| {
        let mut parts = line.split('\t');
        let (page, hour, count) = (parts.next()?, parts.next()?.parse::<i64>().ok()?, parts.next()?.parse().ok()?);
        Some(((page.to_owned(), hour * 1_000), count))
    };
    text.lines().map(|line| row(line).ok_or_else(|| bad(line))).collect()
}
