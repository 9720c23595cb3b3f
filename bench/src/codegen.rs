//! What the macros add to an incremental `cargo check`: a crate with many pipelines beside an empty one.

use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Map;

use crate::measurement::Measurement;
use crate::resources::{Meter, Used};

/// Checks of each crate; the median counts.
const RUNS: usize = 7;

/// Three lines: an empty crate, one with the same events read by serde alone, and the one with pipelines.
pub(crate) fn measure(pipelines: Option<u64>, report: &mut dyn FnMut(Measurement)) -> Result<(), String> {
    let pipelines = pipelines.unwrap_or(40);
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().ok_or("the bench lies in no workspace")?;
    let work = root.join("target/bench/codegen");
    let empty = check(root, &work.join("empty"), "pub fn nothing() {}\n")?;
    let empty_cpu = empty.cpu_s;
    report(line("empty", 0, empty, Map::new()));
    let beyond = |used: &Used| {
        let mut more = Map::new();
        more.insert("cpu_ms_beyond_empty".into(), ((used.cpu_s - empty_cpu) * 1e3).round().into());
        more
    };
    let serde = check(root, &work.join("events"), &source(pipelines, false))?;
    let more = beyond(&serde);
    report(line(&format!("serde-{pipelines}"), pipelines, serde, more));
    let full = check(root, &work.join("pipelines"), &source(pipelines, true))?;
    let more = beyond(&full);
    report(line(&format!("pipelines-{pipelines}"), pipelines, full, more));
    Ok(())
}

fn line(variant: &str, events: u64, used: Used, more: Map<String, serde_json::Value>) -> Measurement {
    // Every check has succeeded, or `check` would have said so.
    Measurement { name: "codegen", variant: variant.into(), events, used, exact: true, ratio: None, more }
}

/// Check the crate several times, each after a change of its source; the median of the CPU time of cargo and rustc.
fn check(root: &Path, folder: &Path, source: &str) -> Result<Used, String> {
    let name = folder.file_name().and_then(|name| name.to_str()).unwrap_or("crate");
    let put = |path: &str, text: &str| {
        let path = folder.join(path);
        let made = path.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| fs::write(&path, text));
        made.map_err(|error| format!("{}: {error}", path.display()))
    };
    let (runtime, build) = (root.join("murmur"), root.join("murmur-build"));
    let manifest = format!(
        "[package]\nname = \"bench-{name}\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n[workspace]\n\n\
         [dependencies]\nmurmur = {{ package = \"murmur-stream\", path = {runtime:?}, default-features = false }}\n\
         serde = {{ version = \"1\", features = [\"derive\"] }}\n\n\
         [build-dependencies]\nmurmur-build = {{ path = {build:?} }}\n"
    );
    put("Cargo.toml", &manifest)?;
    put("build.rs", "fn main() { murmur_build::run() }\n")?;
    fs::copy(root.join("Cargo.lock"), folder.join("Cargo.lock")).map_err(|error| error.to_string())?;
    let mut runs = Vec::new();
    // The first one builds the dependencies, and does not count.
    for run in 0..=RUNS {
        put("src/lib.rs", &format!("//! Run {run}.\n{source}"))?;
        let meter = Meter::children();
        let output = Command::new(env!("CARGO"))
            .args(["check", "--quiet", "--offline", "--manifest-path"])
            .arg(folder.join("Cargo.toml"))
            .env("CARGO_TARGET_DIR", root.join("target/bench/codegen/target"))
            .output()
            .map_err(|error| format!("cargo: {error}"))?;
        if !output.status.success() {
            return Err(format!("cargo check failed:\n{}", String::from_utf8_lossy(&output.stderr)));
        }
        if run > 0 {
            runs.push(meter.used());
        }
    }
    runs.sort_by(|a, b| a.cpu_s.total_cmp(&b.cpu_s));
    Ok(runs.swap_remove(RUNS / 2))
}

/// A crate with this many events; `murmur` says whether they have pipelines, or are plain structs of serde.
fn source(count: u64, murmur: bool) -> String {
    let mut source = String::from(if murmur { "use murmur::prelude::*;\n" } else { "use murmur::time::Timestamp;\n" });
    for n in 0..count {
        let (event, time) = if murmur { ("#[murmur::event]", "#[murmur(time)]") } else { ("", "") };
        // Writing to a string cannot fail.
        let _ = write!(
            source,
            "
/// Event {n}.
{event}
#[derive(serde::Deserialize)]
pub struct Event{n} {{
    pub page_id: String,
    pub user_id: String,
    pub dwell_ms: u64,
    pub referrer: Option<String>,
    {time}
    pub viewed_at: Timestamp,
}}
"
        );
        if murmur {
            let _ = write!(source, "{}", PIPELINE.replace("{n}", &n.to_string()));
        }
    }
    source
}

const PIPELINE: &str = "
/// Aggregate {n}.
#[murmur::aggregate]
pub struct Traffic{n} {
    pub views: Count,
    pub dwell_ms: Sum<u64>,
    pub visitors: Distinct,
    pub slowest: Max<u64>,
}

/// Pipeline {n}.
#[murmur::pipeline(key = page_id, window = sliding(\"90d\", slot = \"1m\"))]
pub fn pipeline_{n}(event: &Event{n}) -> Traffic{n} {
    Traffic{n} {
        views: Count::one(),
        dwell_ms: Sum::of(event.dwell_ms),
        visitors: Distinct::of(&event.user_id),
        slowest: Max::of(event.dwell_ms),
    }
}
";
