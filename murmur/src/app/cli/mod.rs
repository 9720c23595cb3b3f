//! The command line, and the environment variable of each of its flags.

mod ask;
mod port;
#[cfg(test)]
mod tests;
mod tools;
mod work;

use clap::{Args, Parser, Subcommand};

use super::logs::LogFormat;
use crate::location::{ByteSize, Location};
use crate::time::{Span, Timestamp};

pub(super) use ask::{ClientTlsArgs, CutAt, IntervalArgs, QueryArgs, QuestionArgs, SetArgs};
pub(super) use port::{ListenArgs, TlsArgs};
pub(super) use tools::{
    CheckArgs, GenerateArgs, ListArgs, NamedArgs, PartitionArgs, PartitionVerb, SchemaArgs, SchemaKind, TableArgs,
    TableVerb,
};
pub(super) use work::{DevArgs, FlushInterval, LimitArgs, Roll, RunArgs, ServeArgs, WorkerArgs};

#[derive(Debug, Parser)]
#[command(version, about = "Live aggregates per key: worker, query server and tools in one binary", long_about = None)]
#[command(
    after_help = "Exit codes: 0 done, 1 failed, 2 usage, 3 definitions have problems or do not fit the store, 4 unavailable; 129, 130, 143 ended by SIGHUP, Ctrl-C, SIGTERM before it was done."
)]
pub(super) struct Cli {
    #[command(subcommand)]
    pub(super) verb: Verb,
    #[command(flatten)]
    pub(super) log: LogArgs,
}

#[derive(Debug, Args)]
pub(super) struct LogArgs {
    /// What to log to standard error, as tracing's filter: `info`, `warn,murmur=debug`
    #[arg(long, env = "RUST_LOG", default_value = "warn", global = true, value_name = "FILTER")]
    pub(super) log: String,
    /// The form of the log
    #[arg(long, env = "MURMUR_LOG_FORMAT", default_value = "text", global = true, value_name = "FORMAT")]
    pub(super) log_format: LogFormat,
}

#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Try it out: made-up events or a file, a store in a folder, a server, and a table of answers
    Dev(DevArgs),
    /// Count the events of a source into a store, each exactly once
    Run(RunArgs),
    /// Answer questions about a store
    Serve(ServeArgs),
    /// Ask a server, or a store
    Query(QueryArgs),
    /// Look after the tables of a store
    Table(TableArgs),
    /// Look after the partitions that pipelines have read
    Partition(PartitionArgs),
    /// Print a contract that follows from the definitions
    Schema(SchemaArgs),
    /// Say what the definitions mean, and what is wrong with them
    Check(CheckArgs),
    /// Print made-up events as JSON lines
    Generate(GenerateArgs),
}

#[derive(Debug, Args)]
pub(super) struct StoreArgs {
    /// Where the state is: `embedded://FOLDER`, a folder, `dynamodb://PREFIX`, or `memory:`
    #[arg(long, env = "MURMUR_STORE", value_name = "URL")]
    pub(super) store: Location,
}

#[derive(Debug, Args)]
pub(super) struct PipelineArgs {
    /// Only these pipelines
    #[arg(long = "pipeline", env = "MURMUR_PIPELINE", value_delimiter = ',', value_name = "NAME")]
    pub(super) names: Vec<String>,
}

fn at_least_one(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|count| *count > 0).ok_or_else(|| "write a number from 1 on".to_owned())
}

/// With less nothing could be asked at all.
fn at_least_a_kibibyte(text: &str) -> Result<ByteSize, String> {
    let size: ByteSize = text.parse()?;
    if size.0 < 1 << 10 { Err("write a size from 1KiB on".to_owned()) } else { Ok(size) }
}

/// A length of time that is not nothing.
fn some_time(text: &str) -> Result<Span, String> {
    let span: Span = text.parse()?;
    if span == Span::ZERO { Err("write a time that is longer than nothing".to_owned()) } else { Ok(span) }
}

/// A time, or a day for its first instant of UTC.
fn instant(text: &str) -> Result<Timestamp, String> {
    let day = text.len() == "2026-05-16".len() && !text.contains(':');
    if day { format!("{text}T00:00:00Z").parse() } else { text.parse() }
}
