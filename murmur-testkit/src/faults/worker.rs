//! The worker under test: pipelines of the testkit from Kafka to DynamoDB.

use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, ValueEnum};
use murmur::engine::{Clock, DeadLetterLimit, Options, Progress, Summary, SystemClock, Worker};
use murmur::pipeline::{Emissions, Pipeline, Spec};
use murmur::source::kafka::{self, KafkaConfig};
use murmur::source::{KafkaDeadLetters, KafkaLettersConfig};
use murmur::store::{DynamoConfig, DynamoStore};
use murmur::time::Span;
use murmur::{Error, ErrorKind, Result};
use serde_json::{Value, json};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::pipelines::{
    Editions, EditionsNext, EditionsOther, Kinds, Reals, Singles, Tallies, Tally, Tick, TickKey, Trails, decode,
};

/// What it is to do.
#[derive(Debug, Clone, Args)]
pub struct WorkerArgs {
    /// `kafka://BROKER/TOPIC?group=NAME`
    #[arg(long)]
    source: String,
    /// `dynamodb://PREFIX?endpoint=URL`
    #[arg(long)]
    store: String,
    /// `kafka://BROKER/TOPIC`
    #[arg(long)]
    dead_letters: String,
    #[arg(long, default_value = "100ms")]
    flush_interval: Span,
    /// Tiles with something to write at which it does not wait for the interval, and reads no further while a flush is
    /// under way.
    #[arg(long, default_value_t = Options::default().flush_tiles)]
    flush_tiles: usize,
    #[arg(long, default_value = "25s")]
    drain_budget: Span,
    /// How many of the last payloads may be dead letters before it stops.
    #[arg(long, default_value_t)]
    dead_letter_limit: DeadLetterLimit,
    /// Which pipelines it keeps.
    #[arg(long, value_delimiter = ',', default_value = "tallies,trails", overrides_with = "pipelines")]
    pipelines: Vec<Keeps>,
    /// How many workers, each on a thread of its own; they write their dead letters as those of a program do.
    #[arg(long, default_value_t = 1)]
    threads: u32,
}

/// A pipeline of the worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Keeps {
    /// Counts.
    Tallies,
    /// Hashes.
    Trails,
    /// Hashes without what was sent before.
    Singles,
    /// One aggregate of each kind.
    Kinds,
    /// Sums of floats.
    Reals,
    /// A pipeline of which there are more versions.
    Editions,
    /// The next one, with a field more.
    EditionsNext,
    /// One in which a field has another size.
    EditionsOther,
    /// A pipeline with the name of another one.
    Impostor,
}

/// Of another program, and named as [`Tallies`] is.
struct Impostor;

impl Pipeline for Impostor {
    type Event = Tick;
    type Key = TickKey;
    type Aggregate = Tally;
    const SPEC: Spec = Spec { package: "impostor.v1", ..Tallies::SPEC };

    fn apply(event: &Tick, out: &mut Emissions<Tally>) {
        out.begin("").field(&event.key);
        out.emit(Tally { count: 1, amount: 1 });
    }
}

/// Work until SIGTERM. Standard output has how far it is, a line of JSON each time.
///
/// Exit codes are those of every program made of Murmur.
pub fn main(args: &WorkerArgs) -> ExitCode {
    let filter = std::env::var("RUST_LOG").unwrap_or_else(|_| "warn,murmur=info".to_owned());
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(false).init();
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error, 1),
    };
    match runtime.block_on(work(args)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let code = match error.kind() {
                ErrorKind::InvalidArgument | ErrorKind::Configuration => 2,
                ErrorKind::Foreign => 3,
                ErrorKind::Unavailable | ErrorKind::DeadlineExceeded | ErrorKind::Conflict => 4,
                _ => 1,
            };
            fail(&error, code)
        }
    }
}

#[allow(clippy::print_stderr, reason = "the error of the command")]
fn fail(error: &dyn std::error::Error, code: u8) -> ExitCode {
    eprintln!("error: {error}");
    let mut source = error.source();
    while let Some(cause) = source {
        eprintln!("  because: {cause}");
        source = cause.source();
    }
    ExitCode::from(code)
}

async fn work(args: &WorkerArgs) -> Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let (stop, stopped) = watch::channel(false);
    let by_signal = stop.clone();
    tokio::spawn(async move {
        terminate.recv().await;
        by_signal.send_replace(true);
    });
    let letters = KafkaDeadLetters::open(&KafkaLettersConfig::of(args.dead_letters.parse()?, "murmur-testkit")?)?;
    let (mut gauges, mut ends) = (Vec::new(), Vec::new());
    for number in 0..args.threads {
        let (gauge, seen) = watch::channel(Progress::default());
        gauges.push(seen);
        let (args, letters, stopped, stop) = (args.clone(), letters.share(), stopped.clone(), stop.clone());
        ends.push(tokio::task::spawn_blocking(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            let ended = runtime.block_on(one(&args, number, letters, gauge, stopped));
            if ended.is_err() {
                stop.send_replace(true);
            }
            ended
        }));
    }
    let shown = gauges.clone();
    tokio::spawn(async move {
        loop {
            say(&status(&shown));
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    let ends = futures_util::future::join_all(ends).await;
    say(&status(&gauges));
    ends.into_iter().try_for_each(|ended| {
        let broke_down = |_| Err(Error::new(ErrorKind::Internal, "a worker broke down"));
        ended.unwrap_or_else(broke_down).map(drop)
    })
}

/// One of the workers, on its own thread.
async fn one(
    args: &WorkerArgs,
    number: u32,
    letters: KafkaDeadLetters,
    gauge: watch::Sender<Progress>,
    stopped: watch::Receiver<bool>,
) -> Result<Summary> {
    let store = Arc::new(DynamoStore::open(&DynamoConfig::parse(&args.store)?).await?);
    let mut config = KafkaConfig::parse(&args.source)?;
    config.metadata = true;
    config.reader = number;
    let mut options = Options::default();
    options.flush_interval = args.flush_interval;
    options.flush_tiles = args.flush_tiles;
    options.drain_budget = args.drain_budget;
    options.dead_letter_limit = args.dead_letter_limit;
    options.worker = number;
    let worker = Worker::builder(store, kafka::open(config)?, decode, Box::new(letters)).options(options);
    let worker = args.pipelines.iter().fold(worker, |worker, keeps| match keeps {
        Keeps::Tallies => worker.pipeline::<Tallies>(),
        Keeps::Trails => worker.pipeline::<Trails>(),
        Keeps::Singles => worker.pipeline::<Singles>(),
        Keeps::Kinds => worker.pipeline::<Kinds>(),
        Keeps::Reals => worker.pipeline::<Reals>(),
        Keeps::Editions => worker.pipeline::<Editions>(),
        Keeps::EditionsNext => worker.pipeline::<EditionsNext>(),
        Keeps::EditionsOther => worker.pipeline::<EditionsOther>(),
        Keeps::Impostor => worker.pipeline::<Impostor>(),
    });
    worker.build().report_to(gauge).run(stopped).await
}

/// Whoever listens may be gone.
fn say(status: &Value) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{status}");
    let _ = out.flush();
}

fn status(gauges: &[watch::Receiver<Progress>]) -> Value {
    let all: Vec<Progress> = gauges.iter().map(|gauge| gauge.borrow().clone()).collect();
    // How many of them wait for the place of the dead letters.
    let letters_wait = all.iter().filter(|progress| progress.letters_since.is_some()).count();
    let owners = all.iter().filter(|progress| !progress.partitions.is_empty()).count();
    let progress = all.into_iter().reduce(Progress::with).unwrap_or_default();
    let owned: Vec<&str> = progress.partitions.iter().map(|status| status.partition.as_str()).collect();
    json!({
        "read": progress.read, "applied": progress.applied, "dead": progress.dead, "ahead": progress.ahead,
        "expired": progress.expired, "late": progress.late, "already_applied": progress.already_applied, "flushes": progress.flushes,
        "repeated": progress.repeated, "writes": progress.writes, "rewinds": progress.rewinds, "resent": progress.resent, "lag": progress.lag,
        "partitions": progress.partitions.len(), "letters_wait": letters_wait, "owners": owners,
        "owned": owned, "ambiguous": progress.ambiguous, "clock": SystemClock.now().as_micros() / 1_000_000,
    })
}
