//! What looks after tables, definitions and made-up streams.

use clap::{Args, Subcommand, ValueEnum};

use super::{PipelineArgs, StoreArgs, instant};
use crate::app::generator::Generate;
use crate::app::print::Output;
use crate::engine::{Clock, SystemClock};
use crate::time::{Span, Timestamp};

#[derive(Debug, Args)]
pub(in crate::app) struct TableArgs {
    #[command(subcommand)]
    pub(in crate::app) verb: TableVerb,
}

#[derive(Debug, Subcommand)]
pub(in crate::app) enum TableVerb {
    /// Make the tables that are missing, and set what they need; can be repeated
    Ensure(ListArgs),
}

#[derive(Debug, Args)]
pub(in crate::app) struct PartitionArgs {
    #[command(subcommand)]
    pub(in crate::app) verb: PartitionVerb,
}

#[derive(Debug, Subcommand)]
pub(in crate::app) enum PartitionVerb {
    /// List the partitions that were read, how far they are, and which of them rolling waits for
    List(ListArgs),
    /// Have rolling not wait for partitions that will get no events any more. Should they get some, these count all the same
    Retire(NamedArgs),
    /// Have rolling wait for partitions again
    Recall(NamedArgs),
}

#[derive(Debug, Args)]
pub(in crate::app) struct ListArgs {
    #[command(flatten)]
    pub(in crate::app) store: StoreArgs,
    #[command(flatten)]
    pub(in crate::app) pipelines: PipelineArgs,
    /// The form of the list
    #[arg(short, long, env = "MURMUR_OUTPUT", default_value = "table", value_name = "FORM")]
    pub(in crate::app) output: Output,
}

#[derive(Debug, Args)]
pub(in crate::app) struct NamedArgs {
    /// Which ones, as the list names them
    #[arg(required = true, value_name = "PARTITION")]
    pub(in crate::app) partitions: Vec<String>,
    #[command(flatten)]
    pub(in crate::app) list: ListArgs,
}

#[derive(Debug, Args)]
pub(in crate::app) struct SchemaArgs {
    /// Which one
    pub(in crate::app) kind: SchemaKind,
    /// Of this pipeline only
    #[arg(long)]
    pub(in crate::app) pipeline: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(in crate::app) enum SchemaKind {
    /// The .proto file of the typed services
    Proto,
    /// The same as a serialized FileDescriptorSet
    Descriptor,
    /// DynamoDB's CreateTable and UpdateTimeToLive
    Dynamodb,
    /// The tables as a CloudFormation template
    Cloudformation,
    /// The tables as Terraform JSON
    Terraform,
    /// What HTTP with JSON reaches, as OpenAPI 3.1
    Openapi,
}

#[derive(Debug, Args)]
pub(in crate::app) struct CheckArgs {
    /// The form of the list
    #[arg(short, long, env = "MURMUR_OUTPUT", default_value = "table", value_name = "FORM")]
    pub(in crate::app) output: Output,
}

#[derive(Debug, Args)]
pub(in crate::app) struct GenerateArgs {
    /// How many events
    #[arg(long, default_value_t = 100_000, value_name = "N")]
    pub(in crate::app) events: u64,
    #[command(flatten)]
    pub(in crate::app) choices: ChoiceArgs,
    /// Time of the first event; by default so that the last one lies just before now
    #[arg(long, value_name = "TIME", value_parser = instant)]
    start: Option<Timestamp>,
    /// Time from one event to the next
    #[arg(long, default_value = "100ms", value_name = "SPAN")]
    step: Span,
}

/// What decides a made-up stream, besides its times.
#[derive(Debug, Args)]
pub(in crate::app) struct ChoiceArgs {
    /// Where the random choices start
    #[arg(long, env = "MURMUR_SEED", default_value_t = 1, value_name = "N")]
    pub(in crate::app) seed: u64,
    /// How many keys there are
    #[arg(long, env = "MURMUR_KEYS", default_value_t = 1_000, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(in crate::app) keys: u64,
}

impl GenerateArgs {
    /// The stream, with its start filled in: whole seconds, so that it can be given again.
    pub(in crate::app) fn stream(&self) -> Generate {
        let Self { events, choices: ChoiceArgs { seed, keys }, start, step } = self;
        let length = Span::from_micros((step.as_micros() as u64).saturating_mul(*events));
        let now = SystemClock.now();
        let start = start.unwrap_or_else(|| Timestamp::from_seconds(now.saturating_sub(length).floor_seconds()));
        Generate { seed: *seed, keys: *keys, start, step: *step }
    }
}
