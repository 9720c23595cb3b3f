//! The command line, and the environment variable of each of its flags.

use clap::{Args, Parser, Subcommand, ValueEnum};

use super::generator::Generate;
use crate::time::{Span, Timestamp};

#[derive(Debug, Parser)]
#[command(version, about = "Live aggregates per key: worker, query server and tools in one binary", long_about = None)]
pub(super) struct Cli {
    #[command(subcommand)]
    pub(super) verb: Verb,
}

#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Print a contract that follows from the definitions
    Schema(SchemaArgs),
    /// Print made-up events as JSON lines
    Generate(GenerateArgs),
}

#[derive(Debug, Args)]
pub(super) struct SchemaArgs {
    /// Which one
    pub(super) kind: SchemaKind,
    /// Of this pipeline only
    #[arg(long)]
    pub(super) pipeline: Option<String>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum SchemaKind {
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
}

#[derive(Debug, Args)]
pub(super) struct GenerateArgs {
    /// How many events
    #[arg(long, default_value_t = 100_000)]
    pub(super) events: u64,
    #[command(flatten)]
    stream: StreamArgs,
}

/// What decides a generated stream.
#[derive(Debug, Args)]
pub(super) struct StreamArgs {
    /// Where the random choices start
    #[arg(long, env = "MURMUR_SEED", default_value_t = 1)]
    seed: u64,
    /// How many keys there are
    #[arg(long, env = "MURMUR_KEYS", default_value_t = 1_000)]
    keys: u64,
    /// Time of the first event; so that the last one lies just before now when not given
    #[arg(long)]
    start: Option<Timestamp>,
    /// Time from one event to the next
    #[arg(long, default_value = "100ms")]
    step: Span,
}

impl GenerateArgs {
    /// The stream, with its start filled in: whole seconds, so that it can be given again.
    pub(super) fn stream(&self) -> Generate {
        let StreamArgs { seed, keys, start, step } = &self.stream;
        let length = Span::from_micros((step.as_micros() as u64).saturating_mul(self.events));
        let now = Timestamp::from(std::time::SystemTime::now());
        let start = start.unwrap_or_else(|| Timestamp::from_seconds(now.saturating_sub(length).floor_seconds()));
        Generate { seed: *seed, keys: *keys, start, step: *step }
    }
}
