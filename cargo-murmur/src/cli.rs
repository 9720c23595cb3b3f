use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// The examples of a command and the exit codes of all.
macro_rules! examples {
    ($($line:literal),* $(,)?) => {
        concat!(
            "Examples:\n", $("  ", $line, "\n",)*
            "\nExit codes:\n",
            "  0  all is well\n",
            "  1  broken: something is wrong with the source or the command, or clients would break\n",
            "  2  out of date: `cargo murmur sync` would change committed files"
        )
    };
}

/// Make a project of pipelines, keep its contracts committed and compatible
#[derive(Debug, Parser)]
#[command(
    name = "cargo murmur",
    bin_name = "cargo murmur",
    version,
    after_help = examples!["cargo murmur new page-traffic", "cargo murmur check", "cargo murmur sync"]
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Make a project that builds and runs
    #[command(after_help = examples![
        "cargo murmur new page-traffic",
        "cargo murmur new page-traffic --path ../murmur-rs    # with a checkout of Murmur",
    ])]
    New(NewArgs),
    /// Say what is wrong, what would break clients, and which committed files are out of date
    #[command(after_help = examples![
        "cargo murmur check",
        "cargo murmur check -o json                           # for a CI job that annotates",
        "cargo murmur check --manifest-path shop/Cargo.toml",
        "cargo murmur check --sizes                           # builds the program and asks it",
    ])]
    Check(CheckArgs),
    /// Write `proto/` and `schema/`, and make new field numbers permanent
    #[command(after_help = examples!["cargo murmur sync && git add proto schema"])]
    Sync(ReadArgs),
    /// Record in `proto/murmur.lock` that a change which breaks clients or stored data is meant
    #[command(after_help = examples![
        "cargo murmur accept M0610 PageView.user_id && cargo murmur sync",
        "cargo murmur accept M0620 PageTrafficService",
    ])]
    Accept(AcceptArgs),
    /// Show how the contracts would change
    #[command(after_help = examples!["cargo murmur diff", "cargo murmur diff -o json"])]
    Diff(ReadArgs),
}

#[derive(Debug, Args)]
pub(crate) struct NewArgs {
    /// The name of the package, and of its folder
    pub(crate) name: String,
    /// Use the checkout of Murmur in this folder instead of the published release
    #[arg(long, env = "MURMUR_PATH", value_name = "DIR")]
    pub(crate) path: Option<PathBuf>,
    /// How to print
    #[arg(short, long, value_enum, default_value_t = Output::Table)]
    pub(crate) output: Output,
}

#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    #[command(flatten)]
    pub(crate) read: ReadArgs,
    /// Build the program, and list the most bytes of an item and the most write units of a write of each pipeline
    #[arg(long)]
    pub(crate) sizes: bool,
    #[command(flatten)]
    pub(crate) program: ProgramArgs,
}

/// Which program is built.
#[derive(Debug, Args)]
#[group(multiple = false)]
pub(crate) struct ProgramArgs {
    /// The program is this one of several
    #[arg(long, value_name = "NAME", requires = "sizes")]
    pub(crate) bin: Option<String>,
    /// The program is this example
    #[arg(long, value_name = "NAME", requires = "sizes")]
    pub(crate) example: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct ReadArgs {
    /// The package to read; by default the one around the current folder
    #[arg(long, value_name = "PATH")]
    pub(crate) manifest_path: Option<PathBuf>,
    /// How to print
    #[arg(short, long, value_enum, default_value_t = Output::Table)]
    pub(crate) output: Output,
}

#[derive(Debug, Args)]
pub(crate) struct AcceptArgs {
    /// The code of the finding, for example M0610
    pub(crate) code: String,
    /// What it is about, for example PageView.user_id
    pub(crate) subject: String,
    #[command(flatten)]
    pub(crate) read: ReadArgs,
}

/// How to print.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// For people
    Table,
    /// One JSON object
    Json,
}
