//! What the macros add to an incremental `cargo check`: a crate with many pipelines beside an empty one.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Map;

use crate::measurement::Measurement;
use crate::resources::{Meter, Used};

/// Checks of each crate; the median counts.
const RUNS: usize = 7;

/// Four lines: an empty crate, one with events read by serde alone, one with pipelines that share one event and one
/// aggregate, and one where each pipeline has its own.
pub(crate) fn measure(pipelines: Option<u64>, report: &mut dyn FnMut(Measurement)) -> Result<(), String> {
    let count = pipelines.unwrap_or(40);
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().ok_or("the bench lies in no workspace")?;
    let work = root.join("target/bench/codegen");
    let empty = check(root, &work.join("empty"), "pub fn nothing() {}\n")?;
    let (empty_cpu, empty_user) = (empty.cpu_s, empty.user_s);
    report(line("empty", 0, empty, None, Map::new()));
    let mut of_serde = None;
    for (variant, source) in [("serde", serde(count)), ("shared", shared(count)), ("own", own(count))] {
        let used = check(root, &work.join(variant), &source)?;
        let mut more = Map::new();
        more.insert("cpu_ms_beyond_empty".into(), ((used.cpu_s - empty_cpu) * 1e3).round().into());
        more.insert("user_ms_beyond_empty".into(), ((used.user_s - empty_user) * 1e3).round().into());
        let ratio = of_serde.map(|cpu: f64| (used.cpu_s / cpu, format!("serde-{count}")));
        of_serde.get_or_insert(used.cpu_s);
        report(line(&format!("{variant}-{count}"), count, used, ratio, more));
    }
    Ok(())
}

fn line(
    variant: &str,
    events: u64,
    used: Used,
    ratio: Option<(f64, String)>,
    more: Map<String, serde_json::Value>,
) -> Measurement {
    // Every check has succeeded, or `check` would have said so.
    Measurement { name: "codegen", variant: variant.into(), events, used, exact: true, ratio, more }
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

/// Events alone, as plain structs of serde.
fn serde(count: u64) -> String {
    let events = (0..count).map(|n| EVENT.replace("#[murmur::event]", "").replace("#[murmur(time)]", "").numbered(n));
    format!("use murmur::time::Timestamp;\n{}", events.collect::<String>())
}

/// Pipelines over one event into one aggregate.
fn shared(count: u64) -> String {
    let one = EVENT.numbered(0) + &AGGREGATE.numbered(0);
    let pipelines =
        (0..count).map(|n| PIPELINE.replace("Event{n}", "Event0").replace("Traffic{n}", "Traffic0").numbered(n));
    format!("use murmur::prelude::*;\n{one}{}", pipelines.collect::<String>())
}

/// Pipelines, each with its own event and its own aggregate.
fn own(count: u64) -> String {
    let definitions = (0..count).map(|n| EVENT.numbered(n) + &AGGREGATE.numbered(n) + &PIPELINE.numbered(n));
    format!("use murmur::prelude::*;\n{}", definitions.collect::<String>())
}

trait Numbered {
    fn numbered(&self, n: u64) -> String;
}

impl Numbered for str {
    fn numbered(&self, n: u64) -> String {
        self.replace("{n}", &n.to_string())
    }
}

const EVENT: &str = "
/// Event {n}.
#[murmur::event]
#[derive(serde::Deserialize)]
pub struct Event{n} {
    pub page_id: String,
    pub user_id: String,
    pub dwell_ms: u64,
    pub referrer: Option<String>,
    #[murmur(time)]
    pub viewed_at: Timestamp,
}
";

const AGGREGATE: &str = "
/// Aggregate {n}.
#[murmur::aggregate]
pub struct Traffic{n} {
    pub views: Count,
    pub dwell_ms: Sum<u64>,
    pub visitors: Distinct,
    pub slowest: Max<u64>,
}
";

const PIPELINE: &str = "
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
