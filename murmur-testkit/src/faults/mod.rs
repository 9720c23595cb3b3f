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
//!
//! # A worker of your own
//!
//! The rows have pipelines of the testkit. What they are made of can be used with yours, in a line of `cargo test`: a
//! [process](supervisor::Process) that is killed, paused and asked to stop, proxies before the [tables](proxy::dynamodb) and
//! before [any other server](proxy::tcp), a [topic](kafka), and an [`Oracle`](crate::Oracle), which has the definition of
//! your pipeline and knows what was sent.
//!
//! A test reaches the definition if it stands in the library of your package, or in a file that program and test share, and
//! the program as `env!("CARGO_BIN_EXE_<name>")`. Kafka and DynamoDB Local are yours to start, as with Murmur's
//! `compose.yaml`.
//!
//! ```no_run
//! use std::path::Path;
//! use std::time::Duration;
//!
//! use murmur::engine::json;
//! use murmur::prelude::*;
//! use murmur::source::{Offset, Ruler};
//! use murmur::store::{DynamoConfig, DynamoStore};
//! use murmur_testkit::faults::Failure;
//! use murmur_testkit::faults::kafka::{self, Cluster};
//! use murmur_testkit::faults::proxy::dynamodb::{Dynamo, Troubles};
//! use murmur_testkit::faults::supervisor::Process;
//! use murmur_testkit::{Oracle, Verdict};
//!
//! #[murmur::event]
//! #[derive(serde::Deserialize)]
//! struct Order {
//!     shop: String,
//!     cents: u64,
//! }
//!
//! #[murmur::aggregate]
//! struct Turnover {
//!     orders: Count,
//!     cents: Sum<u64>,
//! }
//!
//! #[murmur::pipeline(key = shop)]
//! fn shop_turnover(order: &Order) -> Turnover {
//!     Turnover { orders: Count::one(), cents: Sum::of(order.cents) }
//! }
//!
//! /// `program` has the verb `run` of `murmur::main!(shop_turnover)`, and `orders` are lines of JSON.
//! async fn killed_under_load(program: &Path, orders: &str) -> Result<Verdict, Failure> {
//!     let (cluster, dynamodb) = (Cluster("127.0.0.1:9092".to_owned()), "http://127.0.0.1:8000");
//!     let [topic, group, prefix] = ["orders", "group", "tables"].map(kafka::name);
//!     cluster.create(&topic, 1, &[]).await?;
//!
//!     // One answer of twenty is lost, though what was asked is done.
//!     let tables = Dynamo::start(dynamodb, 1).await?;
//!     tables.set(Troubles { unanswered: 0.05, ..Troubles::default() });
//!     let arguments = [
//!         "run".to_owned(),
//!         format!("--source=kafka://{}/{topic}?group={group}&instance=one", cluster.0),
//!         format!("--store=dynamodb://{prefix}?endpoint=http://{}", tables.address),
//!         "--create-tables".to_owned(),
//!     ];
//!     let mut worker = Process::start(program, &arguments, &[])?;
//!
//!     let mut oracle = Oracle::<ShopTurnover>::new(json, Ruler::Offsets).weigh(|turnover| Some(turnover.orders.get()));
//!     let (sender, commits) = (cluster.sender()?, cluster.commits(&group, &topic, 1)?);
//!     let committed = || commits.now().map_or(0, |offsets| offsets.values().sum::<i64>());
//!     let mut sent = 0;
//!     for order in orders.lines() {
//!         oracle.take(0, Offset::from_u64(sent), order.as_bytes());
//!         sender.send(&topic, 0, order.as_bytes())?;
//!         sender.poll(Duration::from_millis(1));
//!         sent += 1;
//!         if sent % 1_000 == 0 {
//!             worker.kill();
//!             worker = Process::start(program, &arguments, &[])?;
//!         }
//!     }
//!     sender.flush()?;
//!     let all_are_committed = async {
//!         while committed() < sent as i64 && worker.ended().is_none() {
//!             tokio::time::sleep(Duration::from_millis(100)).await;
//!         }
//!     };
//!     // Where it does not come to that, the tables say what is missing.
//!     let _ = tokio::time::timeout(Duration::from_secs(60), all_are_committed).await;
//!     worker.terminate();
//!     worker.wait(Duration::from_secs(60));
//!
//!     // Around the proxy.
//!     let store = DynamoConfig::parse(&format!("dynamodb://{prefix}?endpoint={dynamodb}"))?;
//!     Ok(oracle.judge(&DynamoStore::open(&store).await?).await?) // `Verdict::Exact`
//! }
//! ```
//!
//! Murmur's own test of this, which also compares the dead letters, is `tests/tests/end_to_end/own_worker.rs`. A program
//! that is built with Murmur's feature `failpoints` dies where `MURMUR_FAIL_POINT` says, as `before_commit:3` (with
//! what is no such point it does not start, and names those there are), and has the wrong clock that the file says which
//! `MURMUR_CLOCK_AHEAD` names; both go into the variables of
//! [`Process::start`](supervisor::Process::start). Without Kafka, a file of JSON lines as the source and an embedded store
//! will do: the worker ends by itself with `--until-end`, and its folder is opened once it has.

mod arrivals;
#[doc(hidden)]
pub mod brokers;
mod failure;
mod feed;
mod finding;
pub mod kafka;
mod letters;
mod oracle;
pub mod proxy;
mod rows;
mod services;
pub mod supervisor;
mod trial;
pub mod worker;

use std::path::PathBuf;
use std::time::{Duration, Instant};

pub use failure::Failure;
pub use finding::Finding;
pub use rows::{Elsewhere, Instead, Row, elsewhere, find, rows};

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
