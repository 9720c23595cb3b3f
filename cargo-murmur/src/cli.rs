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
    /// Make a package for each language that asks the pipelines: typed, with retries, deadlines and a token
    #[command(after_help = examples![
        "cargo murmur clients --lang rust,python,typescript,java --out clients",
        "cargo murmur clients --lang go --out clients --go-module example.com/shop/page-traffic-client",
    ])]
    Clients(ClientsArgs),
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
pub(crate) struct ClientsArgs {
    /// Which languages, with commas between them
    #[arg(long, value_enum, value_delimiter = ',', required = true, value_name = "LANGUAGE")]
    pub(crate) lang: Vec<Language>,
    /// The path of the module for Go; the name of the package with `-client` without it
    #[arg(long, value_name = "PATH", value_parser = go_module)]
    pub(crate) go_module: Option<String>,
    /// The group of the artifact for Maven; the protobuf package without it
    #[arg(long, value_name = "GROUP", value_parser = java_group)]
    pub(crate) java_group: Option<String>,
    /// The folder that gets a folder for each of them
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    #[command(flatten)]
    pub(crate) read: ReadArgs,
}

/// A language that clients are made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Language {
    /// A distribution for pip
    Python,
    /// A module with its protobuf code; takes Go
    Go,
    /// An artifact for Maven
    Java,
    /// A crate
    Rust,
    /// A package for npm
    Typescript,
}

impl Language {
    /// The folder of its package.
    pub(crate) fn folder(self) -> &'static str {
        match self {
            Self::Python => "python",
            Self::Go => "go",
            Self::Java => "java",
            Self::Rust => "rust",
            Self::Typescript => "typescript",
        }
    }
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

/// What Go takes for the path of a module.
fn go_module(path: &str) -> Result<String, String> {
    let is_part =
        |part: &str| !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || "-._~".contains(c));
    let is_path = path.split('/').all(is_part);
    is_path
        .then(|| path.to_owned())
        .ok_or_else(|| "write parts of letters, digits and -._~, as `example.com/shop/client`".into())
}

/// What Maven takes for a group.
fn java_group(group: &str) -> Result<String, String> {
    let is_part = |part: &str| !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c));
    let is_group = group.split('.').all(is_part);
    is_group.then(|| group.to_owned()).ok_or_else(|| "write names with dots between them, as `com.example.shop`".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_other_tools_would_not_take_are_refused() {
        for good in ["example.com/shop/page-traffic-client", "client", "a.b/c~d_e"] {
            assert_eq!(go_module(good).as_deref(), Ok(good));
        }
        for bad in ["", "bad module!", "/a", "a/", "a//b", "a\"b"] {
            assert!(go_module(bad).is_err(), "{bad}");
        }
        for good in ["com.example", "page_traffic.v1", "io-x.y2"] {
            assert_eq!(java_group(good).as_deref(), Ok(good));
        }
        for bad in ["", "1bad.<x>", "a..b", ".a", "a b"] {
            assert!(java_group(bad).is_err(), "{bad}");
        }
    }
}
