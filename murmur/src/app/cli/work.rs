//! Workers and servers.

use std::net::SocketAddr;
use std::str::FromStr;

use clap::builder::BoolishValueParser;
use clap::{Args, ValueEnum};

use super::port::{ListenArgs, PortArgs};
use super::tools::ChoiceArgs;
use super::{PipelineArgs, StoreArgs, at_least_one, some_time};
use crate::app::print::Output;
use crate::engine::{DeadLetterLimit, Options};
use crate::location::{ByteSize, Location};
use crate::time::Span;

#[derive(Debug, Args)]
pub(in crate::app) struct DevArgs {
    /// Read this instead of made-up events: a file, a folder, `-`, or `kafka://BROKER/TOPIC?group=NAME`
    #[arg(long, env = "MURMUR_SOURCE", value_name = "URL")]
    pub(in crate::app) source: Option<Location>,
    /// Keep the state here; by default in ./.murmur/<name>
    #[arg(long, env = "MURMUR_STORE", value_name = "URL")]
    pub(in crate::app) store: Option<Location>,
    #[command(flatten)]
    pub(in crate::app) pipelines: PipelineArgs,
    #[command(flatten)]
    pub(in crate::app) listen: ListenArgs,
    /// Made-up events a second
    #[arg(long, env = "MURMUR_RATE", default_value_t = 1_000, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub(in crate::app) rate: u64,
    #[command(flatten)]
    pub(in crate::app) choices: ChoiceArgs,
    /// Rows of each table
    #[arg(long, default_value_t = 10, value_name = "N")]
    pub(in crate::app) rows: usize,
    #[command(flatten)]
    pub(in crate::app) worker: WorkerArgs,
}

#[derive(Debug, Args)]
pub(in crate::app) struct RunArgs {
    /// Where the events are: a file, a folder, `-` for standard input, or `kafka://BROKER/TOPIC?group=NAME`
    #[arg(long, env = "MURMUR_SOURCE", value_name = "URL")]
    pub(in crate::app) source: Location,
    #[command(flatten)]
    pub(in crate::app) store: StoreArgs,
    #[command(flatten)]
    pub(in crate::app) pipelines: PipelineArgs,
    /// Stop at the end of the source instead of waiting for more
    #[arg(long, env = "MURMUR_UNTIL_END", value_parser = BoolishValueParser::new())]
    pub(in crate::app) until_end: bool,
    /// Answer questions as well, at this address
    #[arg(long, env = "MURMUR_LISTEN", value_name = "ADDRESS")]
    pub(in crate::app) listen: Option<SocketAddr>,
    #[command(flatten)]
    pub(in crate::app) port: PortArgs,
    /// Show metrics (/metrics) and health (/healthz, /readyz) at this address, without answering questions there
    #[arg(long, env = "MURMUR_METRICS_LISTEN", value_name = "ADDRESS")]
    pub(in crate::app) metrics_listen: Option<SocketAddr>,
    #[command(flatten)]
    pub(in crate::app) worker: WorkerArgs,
    /// The form of the summary at the end; as a table it is one line on standard error
    #[arg(short, long, env = "MURMUR_OUTPUT", default_value = "table", value_name = "FORM")]
    pub(in crate::app) output: Output,
}

#[derive(Debug, Args)]
pub(in crate::app) struct WorkerArgs {
    /// Longest time between two flushes of a worker that keeps up with its source; `1s,likes=1m` for one that differs for a pipeline
    #[arg(long, env = "MURMUR_FLUSH_INTERVAL", default_value = "1s", value_delimiter = ',', value_name = "SPAN")]
    pub(in crate::app) flush_interval: Vec<FlushInterval>,
    /// Tiles with something to write at which a worker does not wait for the interval
    #[arg(long, env = "MURMUR_FLUSH_TILES", default_value_t = Options::default().flush_tiles, value_name = "N", value_parser = at_least_one)]
    pub(in crate::app) flush_tiles: usize,
    /// What all workers together may hold of messages and unflushed state, beside what the program itself takes: 256MiB, 4GiB; by default 512MiB a worker
    #[arg(long, env = "MURMUR_MEMORY", value_name = "SIZE")]
    pub(in crate::app) memory: Option<ByteSize>,
    /// Unflushed state of a pipeline in a worker at which it does not wait for the interval, where `--memory` leaves that much: 64MiB, 1GiB
    #[arg(long, env = "MURMUR_FLUSH_BYTES", default_value_t = ByteSize(Options::default().flush_bytes), value_name = "SIZE")]
    pub(in crate::app) flush_bytes: ByteSize,
    /// After a request to stop: how long the last flush and commit may take; what is not durable by then is read again
    #[arg(long, env = "MURMUR_DRAIN_BUDGET", default_value_t = Options::default().drain_budget, value_name = "SPAN", value_parser = some_time)]
    pub(in crate::app) drain_budget: Span,
    /// When the group wants partitions back: how long flushing may hold them up; well below its `max.poll.interval.ms`
    #[arg(long, env = "MURMUR_REVOKE_BUDGET", default_value_t = Options::default().revoke_budget, value_name = "SPAN")]
    pub(in crate::app) revoke_budget: Span,
    /// Workers side by side, each with its share of the partitions; by default one a core for Kafka, one otherwise
    #[arg(long, env = "MURMUR_THREADS", value_name = "N", value_parser = clap::value_parser!(u32).range(1..=256))]
    pub(in crate::app) threads: Option<u32>,
    /// Where the events go that cannot be counted: a folder, by default beside the store, or `kafka://BROKER/TOPIC`
    #[arg(long, env = "MURMUR_DEAD_LETTERS", value_name = "PLACE")]
    pub(in crate::app) dead_letters: Option<Location>,
    /// Stop when more than this share of the last 2,000 events cannot be counted
    #[arg(long, env = "MURMUR_DEAD_LETTER_LIMIT", default_value_t = DeadLetterLimit::default(), value_name = "SHARE")]
    pub(in crate::app) dead_letter_limit: DeadLetterLimit,
    /// What workers roll by themselves, so that the first wide reads find it: what they wrote often, or nothing
    #[arg(long, env = "MURMUR_ROLL", default_value = "busy", value_name = "WHAT")]
    pub(in crate::app) roll: Roll,
    /// Make tables that are missing first, as `table ensure` does
    #[arg(long, env = "MURMUR_CREATE_TABLES", value_parser = BoolishValueParser::new())]
    pub(in crate::app) create_tables: bool,
    #[command(flatten)]
    pub(in crate::app) limits: LimitArgs,
}

/// What a worker rolls by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(in crate::app) enum Roll {
    /// Days that are over, of keys that were busy in them: for less than a tenth of the write units that they took
    Busy,
    /// Nothing: what reads have to put together is rolled when they ask for it
    Off,
}

/// Beyond these a pipeline is not ready.
#[derive(Debug, Clone, Copy, Args)]
pub(in crate::app) struct LimitArgs {
    /// Not ready (/readyz, gRPC health) while more events than this are known to wait to be read for the pipeline
    #[arg(long, env = "MURMUR_MAX_LAG", default_value_t = 10_000_000, value_name = "N")]
    pub(in crate::app) max_lag: u64,
    /// Not ready while an event that was read longer ago than this is not committed for the pipeline
    #[arg(long, env = "MURMUR_MAX_UNCOMMITTED_AGE", default_value = "5m", value_name = "SPAN")]
    pub(in crate::app) max_uncommitted_age: Span,
}

/// A flush interval: of all pipelines, or of the one named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::app) struct FlushInterval {
    pub(in crate::app) pipeline: Option<String>,
    pub(in crate::app) span: Span,
}

impl FromStr for FlushInterval {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (pipeline, span) = match text.split_once('=') {
            Some((pipeline, span)) => (Some(pipeline.to_owned()), span),
            None => (None, text),
        };
        let span = span.parse::<Span>().map_err(|error| error.to_string())?;
        if span == Span::from_micros(0) {
            return Err("a flush cannot begin at once after the one before; write `100ms` or more".to_owned());
        }
        Ok(Self { pipeline, span })
    }
}

#[derive(Debug, Args)]
pub(in crate::app) struct ServeArgs {
    #[command(flatten)]
    pub(in crate::app) store: StoreArgs,
    #[command(flatten)]
    pub(in crate::app) listen: ListenArgs,
}
