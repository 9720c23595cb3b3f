//! Real workers, a real broker and real tables under faults.
//!
//! Each row of the fault matrix starts workers as processes, feeds them through Kafka, does its worst, and then compares
//! every slot of every tile with a fold of what was sent:
//!
//! ```text
//! feed --> Kafka --> worker, worker --> proxy --> DynamoDB --> oracle --> verdict
//!   |                 ^ SIGKILL, SIGSTOP, fail points               ^
//!   +-- what was sent: partition, offset, key, amount, event time --+
//! ```
//!
//! The seed decides what is sent and when what happens; how processes run is for the machine to decide, so a seed gives a
//! schedule that is much like the first one, and not the same.

mod arrivals;
#[doc(hidden)]
pub mod brokers;
mod failure;
mod feed;
#[doc(hidden)]
pub mod kafka;
mod oracle;
pub mod proxy;
mod rows;
mod services;
pub mod supervisor;
mod trial;
mod verdict;
pub mod worker;

use std::path::PathBuf;
use std::time::{Duration, Instant};

pub use failure::Failure;
pub use rows::{Row, find, rows};
pub use verdict::{Finding, Verdict};

/// How a row is run.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The program whose verb `worker` is the worker under test: `murmur-testkit` itself.
    pub program: PathBuf,
    /// What is sent and what happens when.
    pub seed: u64,
    /// How long events are sent; `None` for a few seconds.
    pub length: Option<Duration>,
    /// Whether workers keep one aggregate of each kind too.
    pub kinds: bool,
}

/// A row that was run.
#[derive(Debug)]
pub struct Run {
    /// The fault.
    pub row: &'static Row,
    /// What came out.
    pub finding: Finding,
    /// How long it took.
    pub took: Duration,
}

impl Run {
    /// Whether it is no worse than the row allows.
    pub fn is_good(&self) -> bool {
        self.row.allows.contains(&self.finding.verdict.name())
    }
}

/// Run one row.
///
/// Errors say what is missing to run it (a broker, a program); what is wrong with the workers is its verdict.
pub fn run(row: &'static Row, settings: &Settings) -> Result<Run, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let began = Instant::now();
    let finding = runtime.block_on((row.run)(settings.clone()))?;
    Ok(Run { row, finding, took: began.elapsed() })
}
