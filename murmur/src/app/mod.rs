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
//! | exit code | means |
//! |---|---|
//! | 0 | done |
//! | 1 | failed |
//! | 2 | the command line is wrong |
//! | 4 | something that is needed cannot be reached |

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches};
use serde::de::DeserializeOwned;

use crate::pipeline::Pipeline;

mod cli;
mod contracts;
mod entry;
mod exit;
mod generator;
mod print;
mod schema;

pub use contracts::Contracts;
pub use generator::{Generate, Line};

use cli::{Cli, Verb};
use entry::Entry;
use exit::Exit;

/// A binary made of pipelines.
#[derive(Debug)]
pub struct App {
    name: &'static str,
    contracts: Contracts,
    entries: Vec<Entry>,
    generator: Option<Line>,
}

impl App {
    /// A binary of this name, without pipelines yet.
    pub fn new(name: &'static str, contracts: impl Into<Contracts>) -> Self {
        Self { name, contracts: contracts.into(), entries: Vec::new(), generator: None }
    }

    /// With this pipeline.
    #[must_use]
    pub fn pipeline<P: Pipeline<Event: DeserializeOwned>>(mut self) -> Self {
        self.entries.push(Entry::of::<P>());
        self
    }

    /// With a generator of events, for `dev` and `generate`.
    #[must_use]
    pub fn generator(mut self, line: Line) -> Self {
        self.generator = Some(line);
        self
    }

    /// Do what the process's command line says.
    pub fn run(self) -> ExitCode {
        self.run_with(std::env::args_os().skip(1))
    }

    /// Do what these arguments say, as the command line would without the name of the binary in front.
    pub fn run_with(&self, arguments: impl IntoIterator<Item = impl Into<OsString>>) -> ExitCode {
        let arguments = std::iter::once(self.name.into()).chain(arguments.into_iter().map(Into::into));
        let command = Cli::command().name(self.name);
        let cli = command.try_get_matches_from(arguments).and_then(|matches| Cli::from_arg_matches(&matches));
        let exit = match cli {
            Ok(cli) => self.carry_out(cli),
            Err(error) => {
                // Help and version are asked for, and go to standard output; clap knows.
                let _ = error.print();
                if error.use_stderr() { Exit::Usage } else { Exit::Done }
            }
        };
        exit.into()
    }

    fn carry_out(&self, cli: Cli) -> Exit {
        let done = match cli.verb {
            Verb::Schema(args) => schema::schema(self, &args),
            Verb::Generate(args) => generator::generate(self, &args),
        };
        exit::report(done)
    }
}
