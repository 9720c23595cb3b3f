//! The command line, and the environment variable of each of its flags.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

use clap::builder::BoolishValueParser;
use clap::{Args, Parser, Subcommand, ValueEnum};

use super::call::PATIENCE;
use super::generator::Generate;
use super::logs::LogFormat;
use super::print::Output;
use super::units::{Step, Units};
use crate::engine::{Clock, DeadLetterLimit, Options, SystemClock};
use crate::grpc::limits::Limits;
use crate::grpc::{Compress, Origin};
use crate::location::{ByteSize, Location};
use crate::time::{Span, Timestamp, Zone};

/// Where a server listens, and where a query looks for one.
const LISTEN: &str = "127.0.0.1:50051";
const AT: &str = "http://127.0.0.1:50051";

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
    /// Print a contract that follows from the definitions
    Schema(SchemaArgs),
    /// Say what the definitions mean, and what is wrong with them
    Check(CheckArgs),
    /// Print made-up events as JSON lines
    Generate(GenerateArgs),
}

#[derive(Debug, Args)]
pub(super) struct DevArgs {
    /// Read this instead of made-up events: a file, a folder, `-`, or `kafka://BROKER/TOPIC?group=NAME`
    #[arg(long, env = "MURMUR_SOURCE", value_name = "URL")]
    pub(super) source: Option<Location>,
    /// Keep the state here; by default in ./.murmur/<name>
    #[arg(long, env = "MURMUR_STORE", value_name = "URL")]
    pub(super) store: Option<Location>,
    #[command(flatten)]
    pub(super) pipelines: PipelineArgs,
    #[command(flatten)]
    pub(super) listen: ListenArgs,
    /// Made-up events a second
    #[arg(long, env = "MURMUR_RATE", default_value_t = 1_000, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub(super) rate: u64,
    #[command(flatten)]
    pub(super) choices: ChoiceArgs,
    /// Rows of each table
    #[arg(long, default_value_t = 10, value_name = "N")]
    pub(super) rows: usize,
    #[command(flatten)]
    pub(super) worker: WorkerArgs,
}

#[derive(Debug, Args)]
pub(super) struct RunArgs {
    /// Where the events are: a file, a folder, `-` for standard input, or `kafka://BROKER/TOPIC?group=NAME`
    #[arg(long, env = "MURMUR_SOURCE", value_name = "URL")]
    pub(super) source: Location,
    #[command(flatten)]
    pub(super) store: StoreArgs,
    #[command(flatten)]
    pub(super) pipelines: PipelineArgs,
    /// Stop at the end of the source instead of waiting for more
    #[arg(long, env = "MURMUR_UNTIL_END", value_parser = BoolishValueParser::new())]
    pub(super) until_end: bool,
    /// Answer questions as well, at this address
    #[arg(long, env = "MURMUR_LISTEN", value_name = "ADDRESS")]
    pub(super) listen: Option<SocketAddr>,
    #[command(flatten)]
    pub(super) port: PortArgs,
    /// Show metrics (/metrics) and health (/healthz, /readyz) at this address, without answering questions there
    #[arg(long, env = "MURMUR_METRICS_LISTEN", value_name = "ADDRESS")]
    pub(super) metrics_listen: Option<SocketAddr>,
    #[command(flatten)]
    pub(super) worker: WorkerArgs,
    /// The form of the summary at the end; as a table it is one line on standard error
    #[arg(short, long, env = "MURMUR_OUTPUT", default_value = "table", value_name = "FORM")]
    pub(super) output: Output,
}

#[derive(Debug, Args)]
pub(super) struct WorkerArgs {
    /// Longest time between two flushes of a worker that keeps up with its source; `1s,likes=1m` for one that differs for a pipeline
    #[arg(long, env = "MURMUR_FLUSH_INTERVAL", default_value = "1s", value_delimiter = ',', value_name = "SPAN")]
    pub(super) flush_interval: Vec<FlushInterval>,
    /// Tiles with something to write at which a worker does not wait for the interval
    #[arg(long, env = "MURMUR_FLUSH_TILES", default_value_t = Options::default().flush_tiles, value_name = "N", value_parser = at_least_one)]
    pub(super) flush_tiles: usize,
    /// Unflushed state of a pipeline in a worker at which it does not wait for the interval: 64MiB, 1GiB
    #[arg(long, env = "MURMUR_FLUSH_BYTES", default_value_t = ByteSize(Options::default().flush_bytes), value_name = "SIZE")]
    pub(super) flush_bytes: ByteSize,
    /// After a request to stop: how long the last flush may take; what is not durable by then is read again
    #[arg(long, env = "MURMUR_DRAIN_BUDGET", default_value_t = Options::default().drain_budget, value_name = "SPAN")]
    pub(super) drain_budget: Span,
    /// When the group wants partitions back: how long flushing may hold them up; well below its `max.poll.interval.ms`
    #[arg(long, env = "MURMUR_REVOKE_BUDGET", default_value_t = Options::default().revoke_budget, value_name = "SPAN")]
    pub(super) revoke_budget: Span,
    /// Workers side by side, each with its share of the partitions; by default one a core for Kafka, one otherwise
    #[arg(long, env = "MURMUR_THREADS", value_name = "N", value_parser = clap::value_parser!(u32).range(1..=256))]
    pub(super) threads: Option<u32>,
    /// Where the events go that cannot be counted: a folder, by default beside the store, or `kafka://BROKER/TOPIC`
    #[arg(long, env = "MURMUR_DEAD_LETTERS", value_name = "PLACE")]
    pub(super) dead_letters: Option<Location>,
    /// Stop when more than this share of the last 2,000 events cannot be counted
    #[arg(long, env = "MURMUR_DEAD_LETTER_LIMIT", default_value_t = DeadLetterLimit::default(), value_name = "SHARE")]
    pub(super) dead_letter_limit: DeadLetterLimit,
    /// What workers roll by themselves, so that the first wide reads find it: what they wrote often, or nothing
    #[arg(long, env = "MURMUR_ROLL", default_value = "busy", value_name = "WHAT")]
    pub(super) roll: Roll,
    /// Make tables that are missing first, as `table ensure` does
    #[arg(long, env = "MURMUR_CREATE_TABLES", value_parser = BoolishValueParser::new())]
    pub(super) create_tables: bool,
    #[command(flatten)]
    pub(super) limits: LimitArgs,
}

/// What a worker rolls by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Roll {
    /// Days that are over, of keys that were busy in them: for less than a tenth of the write units that they took
    Busy,
    /// Nothing: what reads have to put together is rolled when they ask for it
    Off,
}

/// Beyond these a worker is not ready.
#[derive(Debug, Clone, Copy, Args)]
pub(super) struct LimitArgs {
    /// Not ready (/readyz, gRPC health) while more events than this are known to wait
    #[arg(long, env = "MURMUR_MAX_LAG", default_value_t = 10_000_000, value_name = "N")]
    pub(super) max_lag: u64,
    /// Not ready while an event that was read longer ago than this is not committed
    #[arg(long, env = "MURMUR_MAX_UNCOMMITTED_AGE", default_value = "5m", value_name = "SPAN")]
    pub(super) max_uncommitted_age: Span,
}

/// A flush interval: of all pipelines, or of the one named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FlushInterval {
    pub(super) pipeline: Option<String>,
    pub(super) span: Span,
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
pub(super) struct ServeArgs {
    #[command(flatten)]
    pub(super) store: StoreArgs,
    #[command(flatten)]
    pub(super) listen: ListenArgs,
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

#[derive(Debug, Args)]
pub(super) struct ListenArgs {
    /// Address to answer questions at; port 0 takes a free one
    #[arg(long, env = "MURMUR_LISTEN", default_value = LISTEN, value_name = "ADDRESS")]
    pub(super) listen: SocketAddr,
    #[command(flatten)]
    pub(super) port: PortArgs,
}

/// How questions are answered at an address.
#[derive(Debug, Clone, Args)]
pub(super) struct PortArgs {
    #[command(flatten)]
    pub(super) exposure: ExposureArgs,
    #[command(flatten)]
    pub(super) tls: TlsArgs,
    #[command(flatten)]
    pub(super) cache: CacheArgs,
    #[command(flatten)]
    pub(super) limits: PortLimitArgs,
    /// Compress replies of this size or more, for callers who understand that; `off` compresses none
    #[arg(long, env = "MURMUR_COMPRESS", default_value = "1KiB", value_name = "SIZE")]
    pub(super) compress: Compress,
    /// Let pages of this origin ask, by a browser: https://shop.example; may be given several times
    #[arg(long, env = "MURMUR_CORS_ORIGIN", value_delimiter = ',', value_name = "ORIGIN")]
    pub(super) cors_origin: Vec<Origin>,
}

/// What a port takes at most.
#[derive(Debug, Clone, Copy, Args)]
pub(super) struct PortLimitArgs {
    /// Largest message of a request, decompressed
    #[arg(long, env = "MURMUR_MAX_REQUEST", default_value_t = ByteSize(Limits::default().request), value_name = "SIZE")]
    max_request: ByteSize,
    /// Largest headers of a request: names and values, and 32 bytes for each
    #[arg(long, env = "MURMUR_MAX_HEADERS", default_value_t = ByteSize(Limits::default().headers), value_name = "SIZE")]
    max_headers: ByteSize,
    /// Streams that a connection by HTTP/2 may have open
    #[arg(long, env = "MURMUR_MAX_STREAMS", default_value_t = Limits::default().streams, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    max_streams: u32,
    /// Connections at a time; more wait
    #[arg(long, env = "MURMUR_MAX_CONNECTIONS", default_value_t = Limits::default().connections, value_name = "N", value_parser = at_least_one)]
    max_connections: usize,
    /// Calls that are answered at the same time; more wait, and are refused at their deadline
    #[arg(long, env = "MURMUR_MAX_CALLS", default_value_t = Limits::default().calls, value_name = "N", value_parser = at_least_one)]
    max_calls: usize,
}

impl PortLimitArgs {
    pub(super) fn limits(self) -> Limits {
        let Self { max_request: ByteSize(request), max_headers: ByteSize(headers), .. } = self;
        let Self { max_streams: streams, max_connections: connections, max_calls: calls, .. } = self;
        // Frames say a length of four bytes.
        Limits { request: request.min(u32::MAX as usize), headers, streams, connections, calls }
    }
}

/// Certificates of a port. New ones are taken from the files while it serves.
#[derive(Debug, Clone, Args)]
pub(super) struct TlsArgs {
    /// Answer by TLS only, with this certificate and those between it and its authority behind it, in PEM
    #[arg(long, env = "MURMUR_TLS_CERT", value_name = "FILE", requires = "tls_key")]
    pub(super) tls_cert: Option<PathBuf>,
    /// The private key of --tls-cert, in PEM
    #[arg(long, env = "MURMUR_TLS_KEY", value_name = "FILE", requires = "tls_cert")]
    pub(super) tls_key: Option<PathBuf>,
    /// Answer only those who have a certificate by one of these authorities, in PEM
    #[arg(long, env = "MURMUR_TLS_CLIENT_CA", value_name = "FILE", requires = "tls_cert")]
    pub(super) tls_client_ca: Option<PathBuf>,
}

impl TlsArgs {
    pub(super) fn is_asked_for(&self) -> bool {
        self.tls_cert.is_some()
    }
}

/// Certificates of who asks a server.
#[derive(Debug, Args)]
pub(super) struct ClientTlsArgs {
    /// Authorities of a server with TLS, in PEM, instead of those that this machine knows
    #[arg(long, env = "MURMUR_TLS_CA", value_name = "FILE")]
    pub(super) tls_ca: Option<PathBuf>,
    /// A certificate to show to a server that asks for one, in PEM
    #[arg(long, env = "MURMUR_CLIENT_CERT", value_name = "FILE", requires = "client_key")]
    pub(super) client_cert: Option<PathBuf>,
    /// The private key of --client-cert, in PEM
    #[arg(long, env = "MURMUR_CLIENT_KEY", value_name = "FILE", requires = "client_cert")]
    pub(super) client_key: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, Args)]
pub(super) struct CacheArgs {
    /// Memory for tiles that cannot change any more, so that answers need not read them again; 0 keeps none
    #[arg(long, env = "MURMUR_TILE_CACHE", default_value_t = ByteSize(64 << 20), value_name = "SIZE")]
    pub(super) tile_cache: ByteSize,
}

#[derive(Debug, Clone, Args)]
pub(super) struct ExposureArgs {
    /// Answer only those whom this file names, each what it may read: tokens, certificates, an issuer of JWT (docs/access.md)
    #[arg(long, env = "MURMUR_ACCESS", value_name = "FILE", conflicts_with = "insecure_no_auth")]
    pub(super) access: Option<PathBuf>,
    /// Listen on an address that other machines can reach, though everyone there can ask everything
    #[arg(long, env = "MURMUR_INSECURE_NO_AUTH", value_parser = BoolishValueParser::new())]
    pub(super) insecure_no_auth: bool,
}

#[derive(Debug, Args)]
pub(super) struct QueryArgs {
    /// The pipeline
    pub(super) pipeline: String,
    /// The fields of the key, in their order, or as name=value; none for a rollup of everything
    #[arg(allow_negative_numbers = true)]
    pub(super) key: Vec<String>,
    #[command(flatten)]
    pub(super) interval: IntervalArgs,
    #[command(flatten)]
    pub(super) question: QuestionArgs,
    /// Say what was read for the answer, and what that cost
    #[arg(long, conflicts_with = "top")]
    pub(super) explain: bool,
    #[command(flatten)]
    pub(super) sets: SetArgs,
    /// One value per step of this length, or per day, week or month of the calendar: 1h, day
    #[arg(long, value_name = "STEP", conflicts_with = "top")]
    pub(super) series: Option<Step>,
    /// The N largest keys instead of one; looks at the whole store
    #[arg(long, value_name = "N", conflicts_with = "key", value_parser = at_least_one)]
    pub(super) top: Option<usize>,
    /// What the largest are largest by; the first number when not given
    #[arg(long, value_name = "FIELD", requires = "top")]
    pub(super) by: Option<String>,
    /// How long the answer may take; a server stops at 30s, whatever was asked
    #[arg(long, default_value_t = PATIENCE, value_name = "SPAN")]
    pub(super) timeout: Span,
    #[command(flatten)]
    pub(super) place: PlaceArgs,
    /// The form of the answer
    #[arg(short, long, env = "MURMUR_OUTPUT", default_value = "table", value_name = "FORM")]
    pub(super) output: Output,
}

#[derive(Debug, Args)]
pub(super) struct IntervalArgs {
    /// The last stretch of time, such as 7d
    #[arg(long, value_name = "SPAN", conflicts_with_all = ["calendar", "from", "to"])]
    pub(super) window: Option<Span>,
    /// The last days, weeks or months of the calendar, the current one up to now among them: 7d, 4w, 3mo, day, month
    #[arg(long, value_name = "UNITS", conflicts_with_all = ["from", "to"])]
    pub(super) calendar: Option<Units>,
    /// Only days, weeks or months that are over
    #[arg(long, requires = "calendar")]
    pub(super) whole: bool,
    /// Whose calendar, by its name in the IANA database: Europe/Berlin; UTC when not given
    #[arg(long, value_name = "ZONE")]
    pub(super) zone: Option<Zone>,
    /// Beginning of the interval: 2026-05-16 or 2026-05-16T12:00:00Z
    #[arg(long, value_name = "TIME", value_parser = instant)]
    pub(super) from: Option<Timestamp>,
    /// End of the interval, itself outside; now when not given
    #[arg(long, value_name = "TIME", value_parser = instant, requires = "from")]
    pub(super) to: Option<Timestamp>,
    /// How the sides of the interval are cut; the answer says where they lie
    #[arg(long, default_value = "exact", value_name = "EDGES", conflicts_with = "calendar")]
    pub(super) edges: CutAt,
}

/// How the sides of an interval are cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(super) enum CutAt {
    /// At slots
    #[default]
    Exact,
    /// At whole minutes, hours or days of UTC, whatever the interval has twelve of, for the fewest reads
    Sawtooth,
}

/// Set algebra with the sets of other keys or intervals.
#[derive(Debug, Args)]
pub(super) struct SetArgs {
    /// Count the elements of this set too; a key, a JSON list of its fields, or JSON with an interval of its own:
    /// {"key": {"page_id": "/home"}, "window": "86400s"}; may be given several times
    #[arg(long, value_name = "SET", conflicts_with_all = ["intersect", "except", "top", "series"])]
    pub(super) unite: Vec<String>,
    /// Count only elements that are in this set too; written as for --unite; may be given several times
    #[arg(long, value_name = "SET", conflicts_with_all = ["except", "top", "series"])]
    pub(super) intersect: Vec<String>,
    /// Count only elements that are not in this set; written as for --unite; may be given several times
    #[arg(long, value_name = "SET", conflicts_with_all = ["top", "series"])]
    pub(super) except: Vec<String>,
    /// Which field is the set, where there are several
    #[arg(long, value_name = "FIELD")]
    pub(super) field: Option<String>,
}

/// What is asked of the estimates in a value.
#[derive(Debug, Args)]
pub(super) struct QuestionArgs {
    /// A quantile of `Quantiles`, from 0 to 1, such as 0.99; may be given several times
    #[arg(long, value_name = "SHARE", allow_negative_numbers = true)]
    pub(super) quantile: Vec<f64>,
    /// A value whose rank to tell: the share of all values that do not exceed it; may be given several times
    #[arg(long, value_name = "VALUE", allow_negative_numbers = true)]
    pub(super) rank: Vec<f64>,
    /// An element to look up; what reads as a whole number is one, unless written as text:7; may be given several times
    #[arg(long, value_name = "ELEMENT", allow_negative_numbers = true)]
    pub(super) element: Vec<String>,
}

fn at_least_one(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|count| *count > 0).ok_or_else(|| "write a number from 1 on".to_owned())
}

/// A time, or a day for its first instant of UTC.
fn instant(text: &str) -> Result<Timestamp, String> {
    let day = text.len() == "2026-05-16".len() && !text.contains(':');
    if day { format!("{text}T00:00:00Z").parse() } else { text.parse() }
}

#[derive(Debug, Args)]
pub(super) struct PlaceArgs {
    /// A running server; `https://` for one with TLS
    #[arg(long, env = "MURMUR_AT", default_value = AT, value_name = "URL")]
    pub(super) at: String,
    #[command(flatten)]
    pub(super) tls: ClientTlsArgs,
    /// A file with the token to show to the server; without one, the variable MURMUR_TOKEN
    #[arg(long, env = "MURMUR_TOKEN_FILE", value_name = "FILE")]
    pub(super) token_file: Option<PathBuf>,
    /// A store that no other process has open, instead of a server
    #[arg(long, env = "MURMUR_STORE", value_name = "URL")]
    pub(super) store: Option<Location>,
}

#[derive(Debug, Args)]
pub(super) struct TableArgs {
    #[command(subcommand)]
    pub(super) verb: TableVerb,
}

#[derive(Debug, Subcommand)]
pub(super) enum TableVerb {
    /// Make the tables that are missing, and set what they need; can be repeated
    Ensure(EnsureArgs),
}

#[derive(Debug, Args)]
pub(super) struct EnsureArgs {
    #[command(flatten)]
    pub(super) store: StoreArgs,
    #[command(flatten)]
    pub(super) pipelines: PipelineArgs,
    /// The form of the list
    #[arg(short, long, env = "MURMUR_OUTPUT", default_value = "table", value_name = "FORM")]
    pub(super) output: Output,
}

#[derive(Debug, Args)]
pub(super) struct SchemaArgs {
    /// Which one
    pub(super) kind: SchemaKind,
    /// Of this pipeline only
    #[arg(long)]
    pub(super) pipeline: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
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
    /// What HTTP with JSON reaches, as OpenAPI 3.1
    Openapi,
}

#[derive(Debug, Args)]
pub(super) struct CheckArgs {
    /// The form of the list
    #[arg(short, long, env = "MURMUR_OUTPUT", default_value = "table", value_name = "FORM")]
    pub(super) output: Output,
}

#[derive(Debug, Args)]
pub(super) struct GenerateArgs {
    /// How many events
    #[arg(long, default_value_t = 100_000, value_name = "N")]
    pub(super) events: u64,
    #[command(flatten)]
    pub(super) choices: ChoiceArgs,
    /// Time of the first event; by default so that the last one lies just before now
    #[arg(long, value_name = "TIME", value_parser = instant)]
    start: Option<Timestamp>,
    /// Time from one event to the next
    #[arg(long, default_value = "100ms", value_name = "SPAN")]
    step: Span,
}

/// What decides a made-up stream, besides its times.
#[derive(Debug, Args)]
pub(super) struct ChoiceArgs {
    /// Where the random choices start
    #[arg(long, env = "MURMUR_SEED", default_value_t = 1, value_name = "N")]
    pub(super) seed: u64,
    /// How many keys there are
    #[arg(long, env = "MURMUR_KEYS", default_value_t = 1_000, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(super) keys: u64,
}

impl GenerateArgs {
    /// The stream, with its start filled in: whole seconds, so that it can be given again.
    pub(super) fn stream(&self) -> Generate {
        let Self { events, choices: ChoiceArgs { seed, keys }, start, step } = self;
        let length = Span::from_micros((step.as_micros() as u64).saturating_mul(*events));
        let now = SystemClock.now();
        let start = start.unwrap_or_else(|| Timestamp::from_seconds(now.saturating_sub(length).floor_seconds()));
        Generate { seed: *seed, keys: *keys, start, step: *step }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    /// The key of a rollup of everything has no fields; which pipelines have one, only the pipeline knows.
    #[test]
    fn a_query_can_name_the_pipeline_alone() {
        let cli = Cli::try_parse_from(["shop", "query", "likes"]).unwrap();
        assert!(matches!(cli.verb, Verb::Query(QueryArgs { key, .. }) if key.is_empty()));
    }

    #[test]
    fn a_field_of_a_key_can_be_negative() {
        let cli = Cli::try_parse_from(["shop", "query", "likes", "home", "-1", "--top=3"]);
        assert_eq!(cli.unwrap_err().kind(), clap::error::ErrorKind::ArgumentConflict);
        let cli = Cli::try_parse_from(["shop", "query", "likes", "home", "-1"]).unwrap();
        assert!(matches!(cli.verb, Verb::Query(QueryArgs { key, .. }) if key == ["home", "-1"]));
    }

    #[test]
    fn budgets_and_bounds_of_a_worker_are_flags() {
        let parse = |flags: &[&str]| {
            let cli = Cli::try_parse_from([&["shop", "run", "--source", "-", "--store", "memory:"], flags].concat());
            let Verb::Run(RunArgs { worker, .. }) = cli.unwrap().verb else { panic!("another verb") };
            crate::app::open::options(&worker, &[]).unwrap()
        };
        let (plain, default) = (parse(&[]), Options::default());
        assert_eq!((plain.drain_budget, plain.revoke_budget), (default.drain_budget, default.revoke_budget));
        assert_eq!((plain.flush_tiles, plain.flush_bytes), (default.flush_tiles, default.flush_bytes));
        let given = parse(&["--drain-budget=1m", "--revoke-budget=2s", "--flush-tiles=7", "--flush-bytes=3KiB"]);
        assert_eq!((given.drain_budget, given.revoke_budget), (Span::from_seconds(60), Span::from_seconds(2)));
        assert_eq!((given.flush_tiles, given.flush_bytes), (7, 3 << 10));
        assert_eq!((plain.roll_every, given.roll_every), (default.roll_every, default.roll_every));
        assert_eq!(parse(&["--roll=off"]).roll_every, None);
    }

    #[test]
    fn whatever_answers_can_keep_tiles_or_none() {
        let bytes = |arguments: &[&str]| match Cli::try_parse_from(arguments).unwrap().verb {
            Verb::Serve(ServeArgs { listen, .. }) | Verb::Dev(DevArgs { listen, .. }) => listen.port.cache.tile_cache,
            Verb::Run(RunArgs { port, .. }) => port.cache.tile_cache,
            other => panic!("{other:?}"),
        };
        for verb in [&["shop", "dev"][..], &["shop", "serve", "--store=s"], &["shop", "run", "--source=-", "--store=s"]]
        {
            assert_eq!(bytes(verb), ByteSize(64 << 20));
            assert_eq!(bytes(&[verb, &["--tile-cache=1GiB"]].concat()), ByteSize(1 << 30));
            assert_eq!(bytes(&[verb, &["--tile-cache=0"]].concat()), ByteSize(0));
        }
    }

    #[test]
    fn limits_of_a_port_are_flags() {
        let parse = |flags: &[&str]| {
            let cli = Cli::try_parse_from([&["shop", "serve", "--store=s"], flags].concat()).unwrap();
            let Verb::Serve(ServeArgs { listen, .. }) = cli.verb else { panic!("another verb") };
            listen.port
        };
        let (plain, default) = (parse(&[]), Limits::default());
        assert_eq!(format!("{:?}", plain.limits.limits()), format!("{default:?}"));
        assert_eq!((plain.compress, plain.cors_origin.len()), (Compress::default(), 0));
        let limits =
            ["--max-request=2MiB", "--max-headers=9KiB", "--max-streams=3", "--max-connections=4", "--max-calls=5"];
        let given = parse(&limits).limits.limits();
        let want = Limits { request: 2 << 20, headers: 9 << 10, streams: 3, connections: 4, calls: 5 };
        assert_eq!(format!("{given:?}"), format!("{want:?}"));
        assert_eq!(parse(&["--compress=off"]).compress, Compress::Off);
        assert_eq!(parse(&["--compress=64KiB"]).compress, Compress::From(64 << 10));
        let origins = parse(&["--cors-origin=https://a,http://b:81"]).cors_origin;
        assert_eq!(origins, ["https://a", "http://b:81"].map(|origin| origin.parse().unwrap()));
        for wrong in ["--compress=on", "--cors-origin=*", "--max-calls=0", "--max-streams=0"] {
            assert!(Cli::try_parse_from(["shop", "serve", "--store=s", wrong]).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_flush_interval_is_of_all_pipelines_or_of_one() {
        let interval = |pipeline: Option<&str>, seconds| FlushInterval {
            pipeline: pipeline.map(str::to_owned),
            span: Span::from_seconds(seconds),
        };
        assert_eq!("5s".parse(), Ok(interval(None, 5)));
        assert_eq!("likes=1m".parse(), Ok(interval(Some("likes"), 60)));
        for text in ["", "likes=", "0s", "=", "likes=0s"] {
            assert!(text.parse::<FlushInterval>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_day_is_its_first_instant() {
        assert_eq!(instant("2026-05-16").unwrap(), "2026-05-16T00:00:00Z".parse().unwrap());
        assert_eq!(instant("2026-05-16T12:00:00.5Z").unwrap().subsec_nanos(), 500_000_000);
        assert!(instant("yesterday").is_err());
    }
}
