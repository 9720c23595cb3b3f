//! `murmur::main!`: the user's crate as one binary that is worker, query server and operator tool.
//!
//! The macro makes this of `murmur::main!(page_traffic; generator = generator::line)`:
//!
//! ```text
//! fn main() -> std::process::ExitCode {
//!     murmur::app::App::new(env!("CARGO_BIN_NAME"), include!(concat!(env!("OUT_DIR"), "/murmur/contracts.rs")))
//!         .pipeline::<PageTraffic>()
//!         .generator(generator::line)
//!         .run()
//! }
//! ```
//!
//! Data goes to standard output, what is said about it to standard error.
//!
//! | exit code | means |
//! |---|---|
//! | 0 | done |
//! | 1 | failed |
//! | 2 | the command line is wrong |
//! | 3 | `check` found problems, or the store holds what these definitions cannot go on with |
//! | 4 | something that is needed cannot be reached |
//! | 129, 130, 143 | ended by SIGHUP, Ctrl-C, SIGTERM before it was done: `run --until-end` before the end of its source, having flushed and committed; any verb at the second signal, at once |

use std::ffi::OsString;
use std::process::ExitCode;
use std::time::Duration;

use clap::{CommandFactory, FromArgMatches};
use serde::de::DeserializeOwned;

use crate::engine::{Format, Json};
use crate::pipeline::Pipeline;
use crate::{Error, ErrorKind, Result};

mod ask;
mod call;
mod certificates;
mod check;
mod cli;
mod dev;
mod entry;
mod exit;
mod explain;
mod generator;
mod limits;
mod logs;
mod memory;
mod observe;
mod open;
#[cfg(feature = "otlp")]
mod otlp;
mod partition;
mod print;
mod progress;
mod query;
mod run;
mod schema;
mod serve;
mod sets;
mod signals;
mod table;
mod team;
mod token;
mod top;
mod units;

pub use crate::grpc::Contracts;
pub use generator::{Generate, Line};
pub use logs::OnPanic;

use cli::{Cli, PipelineArgs, TableArgs, TableVerb, Verb};
use entry::Entry;
use exit::Exit;

/// The generation of the pipelines' state that this binary works on.
const GENERATION: u32 = 1;

/// What a binary does when it is called without a verb; its arguments are given as they are.
pub type Start = fn(&App, &[OsString]) -> ExitCode;

/// A binary made of pipelines.
#[derive(Debug)]
pub struct App {
    name: &'static str,
    contracts: Contracts,
    entries: Vec<Entry>,
    generator: Option<Line>,
    start: Option<Start>,
    on_panic: Option<OnPanic>,
}

impl App {
    /// A binary of this name, without pipelines yet.
    pub fn new(name: &'static str, contracts: impl Into<Contracts>) -> Self {
        Self { name, contracts: contracts.into(), entries: Vec::new(), generator: None, start: None, on_panic: None }
    }

    /// With this pipeline, whose events are written in JSON.
    #[must_use]
    pub fn pipeline<P: Pipeline<Event: DeserializeOwned>>(self) -> Self {
        self.pipeline_in::<P, Json>()
    }

    /// With this pipeline, whose events are written in another form (`page_traffic: protobuf<pb::PageView>` in the macro
    /// is [`Protobuf<pb::PageView>`](crate::engine::Protobuf) here). Pipelines of one event type read one form.
    #[must_use]
    pub fn pipeline_in<P: Pipeline, F: Format<P::Event>>(mut self) -> Self {
        self.entries.push(Entry::of::<P, F>());
        self
    }

    /// With a generator of events, for `dev` and `generate`.
    #[must_use]
    pub fn generator(mut self, line: Line) -> Self {
        self.generator = Some(line);
        self
    }

    /// With something to do when the first argument is no verb.
    #[must_use]
    pub fn start(mut self, start: Start) -> Self {
        self.start = Some(start);
        self
    }

    /// With something to do at a panic, such as to send it to where crashes are gathered. Whoever is told gets its message, which may
    /// quote an event or a key; the log does not.
    ///
    /// A hook that was set before (`std::panic::set_hook`) is replaced and not called, as the one of the standard library would write
    /// the message to the log. A panic of an aggregate function is a dead letter, and the process goes on.
    #[must_use]
    pub fn on_panic(mut self, hook: OnPanic) -> Self {
        self.on_panic = Some(hook);
        self
    }

    /// Do what the process's command line says.
    pub fn run(self) -> ExitCode {
        let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
        let command = Cli::command();
        let is_verb = |argument: &OsString| {
            let names = command.get_subcommands().map(clap::Command::get_name).chain(["help"]);
            names.into_iter().any(|name| argument == name)
        };
        match self.start {
            Some(start) if !arguments.first().is_some_and(is_verb) => start(&self, &arguments),
            _ => self.run_with(arguments),
        }
    }

    /// Do what these arguments say: a verb and its flags.
    pub fn run_with(&self, arguments: impl IntoIterator<Item = impl Into<OsString>>) -> ExitCode {
        let arguments = std::iter::once(self.name.into()).chain(arguments.into_iter().map(Into::into));
        let matches = Cli::command().name(self.name).try_get_matches_from(arguments);
        let exit = match matches.and_then(|matches| Cli::from_arg_matches(&matches)) {
            Ok(cli) => exit::report(self.carry_out(&cli)),
            Err(error) => {
                // Help and version were asked for, and go to standard output; clap knows.
                let _ = error.print();
                if error.use_stderr() { Exit::Usage } else { Exit::Done }
            }
        };
        exit.into()
    }

    fn carry_out(&self, cli: &Cli) -> Result<Exit> {
        logs::start(&cli.log, self.name, self.on_panic)?;
        // `check` says it among its problems, and contracts can be looked at.
        if !matches!(cli.verb, Verb::Check(_) | Verb::Schema(_) | Verb::Generate(_))
            && let Some(problem) = check::twice(&self.entries).chain(check::formats(&self.entries)).next()
        {
            return Err(Error::new(ErrorKind::Configuration, problem));
        }
        let exit = match &cli.verb {
            Verb::Dev(args) => wait(dev::dev(self, args)),
            Verb::Run(args) => wait(run::run(self, args)),
            Verb::Serve(args) => wait(serve::serve(self, args)),
            Verb::Query(args) => wait(query::query(self, args)),
            Verb::Table(TableArgs { verb: TableVerb::Ensure(args) }) => wait(table::run(self, args)),
            Verb::Partition(args) => wait(partition::run(self, &args.verb)),
            Verb::Schema(args) => schema::schema(self, args),
            Verb::Check(args) => check::check(self, args),
            Verb::Generate(args) => generator::generate(self, args),
        };
        logs::finish();
        exit
    }

    /// The pipeline of this name.
    fn entry(&self, name: &str) -> Result<&Entry> {
        self.entries.iter().find(|entry| entry.spec.name == name).ok_or_else(|| {
            let names: Vec<_> = self.entries.iter().map(|entry| entry.spec.name).collect();
            let context = format!("there is no pipeline `{name}`; there are: {}", names.join(", "));
            Error::new(ErrorKind::InvalidArgument, context)
        })
    }

    /// The pipelines that were asked for; all of them when none was.
    fn select(&self, args: &PipelineArgs) -> Result<Vec<Entry>> {
        if args.names.is_empty() {
            return Ok(self.entries.clone());
        }
        args.names.iter().map(|name| self.entry(name).copied()).collect()
    }
}

/// How long what a verb has left behind that failed, such as the look-up of a name, may hold up the end of the process.
const LEFT: Duration = Duration::from_secs(1);

/// Run a verb to its end. Workers have threads of their own. What it has begun beside it and does not wait for, such as
/// rolling, has let go of the store when this returns, unless it failed.
fn wait(verb: impl Future<Output = Result<Exit>>) -> Result<Exit> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let exit = runtime.block_on(verb);
    if exit.is_err() {
        runtime.shutdown_timeout(LEFT);
    }
    exit
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{Confluent, Decoder};
    use crate::grpc::tests::{Nothing, Stock};

    enum Never {}

    impl Format<Nothing> for Never {
        fn decoder() -> Result<Decoder<Nothing>> {
            Ok(Box::new(|_| Err("nothing is read".into())))
        }
    }

    enum Broken {}

    impl Format<Nothing> for Broken {
        fn decoder() -> Result<Decoder<Nothing>> {
            Err(Error::new(ErrorKind::Configuration, "it describes nothing"))
        }
    }

    #[test]
    fn formats_that_cannot_be_are_problems_before_anything_is_read() {
        let app = |entries| App { entries, ..App::new("shop", crate::app::Contracts::default()) };
        let query = ["query", "stock", "1", "--store", "nowhere"];
        let broken = app(vec![Entry::of::<Stock, Broken>()]);
        assert_eq!(check::formats(&broken.entries).collect::<Vec<_>>(), ["`stock`: it describes nothing"]);
        assert_eq!((broken.run_with(["check"]), broken.run_with(query)), (ExitCode::from(3), ExitCode::from(2)));

        let two = app(vec![Entry::of::<Stock, Never>(), Entry::of::<Stock, Confluent<Never>>()]);
        let problems: Vec<_> = check::formats(&two.entries).collect();
        let want = "`stock` and `stock` read `Nothing` from payloads of two formats; one worker reads both, so name one format";
        assert_eq!(problems, [want]);
        assert_eq!(two.run_with(["check"]), ExitCode::from(3));
    }

    /// The same pipeline by two paths, which no macro can tell.
    #[test]
    fn a_pipeline_that_is_there_twice_is_refused_before_anything_is_made() {
        let folder = tempfile::tempdir().unwrap();
        let store = folder.path().join("state").display().to_string();
        let entry = Entry::of::<Stock, Never>;
        let mut app = App::new("shop", crate::app::Contracts::default());
        app.entries = vec![entry(), entry()];
        for verb in [vec!["run", "--source", "-"], vec!["serve"], vec!["dev"], vec!["query", "stock", "1"]] {
            let arguments = [verb.as_slice(), &["--store", &store]].concat();
            assert_eq!(app.run_with(arguments), ExitCode::from(2), "{verb:?}");
        }
        assert!(!folder.path().join("state").exists());
        assert_eq!(app.run_with(["check"]), ExitCode::from(3));
    }
}
