//! What the peers have in common: programs of other languages in `bench/peers`, each a process of its own that leaves its
//! counts in a file and prints one JSON object.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Map, Value};

use super::stream::{Stream, text};
use super::{Found, Result};
use crate::resources::Used;
use crate::views::Counts;

/// The root of the workspace.
pub(super) fn root() -> Result<&'static Path> {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().ok_or_else(|| "the bench lies in no workspace".into())
}

/// Where the build puts what it makes.
pub(super) fn target() -> Result<PathBuf> {
    Ok(std::env::var_os("CARGO_TARGET_DIR").map_or(root()?.join("target"), PathBuf::from))
}

/// An empty folder for a peer.
pub(super) fn folder(name: &str) -> Result<PathBuf> {
    let folder = target()?.join("bench").join(name);
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).map_err(text)?;
    Ok(folder)
}

/// Run a program to its end; what it printed. `needs` says what is missing when it cannot be started.
pub(super) fn output(command: &mut Command, needs: &str) -> Result<String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.output().map_err(|error| format!("`{name}`: {error}; {needs}"))?;
    let (said, failed) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if output.status.success() { Ok(said.into_owned()) } else { Err(format!("`{name}` failed:\n{said}{failed}")) }
}

/// The JSON object that a peer has printed last.
pub(super) fn object(printed: &str) -> Result<Map<String, Value>> {
    let line = printed.lines().rev().find_map(|line| serde_json::from_str(line).ok());
    line.ok_or_else(|| format!("the peer said nothing:\n{printed}"))
}

pub(super) fn number(object: &Map<String, Value>, name: &str) -> f64 {
    object.get(name).and_then(Value::as_f64).unwrap_or(f64::NAN)
}

/// What a peer has found out, with its counts in this file.
pub(super) fn found(stream: &Stream, used: Used, rss_mib: f64, counts: &Path) -> Result<Found> {
    let mut more = Map::new();
    more.insert("rss_mib".into(), rss_mib.into());
    more.insert("cpu_s_per_million".into(), ((used.cpu_s / stream.events as f64 * 1e8).round() / 100.0).into());
    more.insert("events_per_s".into(), (stream.events as f64 / used.wall_s).round().into());
    Ok(Found { used, events: stream.events, exact: read(counts)? == stream.expected(), more })
}

fn read(file: &Path) -> Result<Counts> {
    rows(&fs::read_to_string(file).map_err(text)?)
}

/// Lines of page, start of the hour in milliseconds and count, separated by tabs. A page and hour that stands there
/// twice is an error, as the peer would have counted it apart.
fn rows(text: &str) -> Result<Counts> {
    let row = |line: &str| {
        let mut parts = line.split('\t');
        let (page, hour, count) = (parts.next()?, parts.next()?.parse::<i64>().ok()?, parts.next()?.parse().ok()?);
        Some(((page.to_owned(), hour * 1_000), count))
    };
    let mut counts = Counts::new();
    for line in text.lines() {
        let (place, count) = row(line).ok_or_else(|| format!("`{line}` is no count"))?;
        if counts.insert(place, count).is_some() {
            return Err(format!("`{line}` is the second count of its hour"));
        }
    }
    Ok(counts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_counts_of_a_peer_are_read_or_refused() {
        assert_eq!(rows("a\t3600000\t7\n").unwrap(), Counts::from([(("a".into(), 3_600_000_000), 7)]));
        assert!(rows("a\t3600000\n").unwrap_err().contains("is no count"));
        assert!(rows("a\t0\t7\na\t0\t8\n").unwrap_err().contains("second count"));
    }
}
