//! Without a verb: read a history, count it, show who did what, and serve the answers.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;
use murmur::app::App;

use crate::{history, report};

/// Who changed what, where and when: the history of a git repository as a stream.
///
/// Other verbs (`run`, `serve`, `query`, `schema`, `check`) work as in every program made with Murmur; see `help`.
#[derive(Debug, Parser)]
#[command(name = "git-activity")]
struct Args {
    /// The repository
    #[arg(long, default_value = ".", value_name = "FOLDER")]
    repo: PathBuf,
    /// Where the history and the counts are kept; what an earlier call left there is replaced
    #[arg(long, default_value = ".murmur/git-activity", value_name = "FOLDER")]
    data: PathBuf,
    /// Address to answer questions at
    #[arg(long, default_value = "127.0.0.1:50051", value_name = "ADDRESS")]
    listen: SocketAddr,
    /// End after the table instead of serving
    #[arg(long)]
    once: bool,
}

/// What `murmur::main!` calls.
pub fn start(app: &App, arguments: &[OsString]) -> ExitCode {
    let name = OsString::from("git-activity");
    let args = match Args::try_parse_from(std::iter::once(&name).chain(arguments)) {
        Ok(args) => args,
        Err(error) => {
            // Nothing is to be done when even the usage cannot be shown.
            let _ = error.print();
            return ExitCode::from(error.exit_code() as u8);
        }
    };
    match run(app, &args) {
        Ok(code) => code,
        Err(error) => {
            let _ = writeln!(io::stderr(), "error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(app: &App, args: &Args) -> io::Result<ExitCode> {
    let project = project(&args.repo);
    let (history, state) = (args.data.join("history"), args.data.join("state"));
    replace(&history, &["changes.jsonl"])?;
    replace(&state, &["tiles.redb", "tiles.new", "lock", "dead-letters"])?;
    fs::create_dir_all(&history).map_err(|error| about(&history, "cannot be made", &error))?;
    let file = history.join("changes.jsonl");
    writeln!(io::stderr(), "reading the history of {project} with `git log`")?;
    let mut out = BufWriter::new(File::create(&file)?);
    let converted = history::convert(&args.repo, &project, &mut out)?;
    out.into_inner()?.sync_all()?;
    writeln!(
        io::stderr(),
        "{project}: {} commits, {} changes of files -> {}",
        converted.commits,
        converted.events,
        file.display()
    )?;

    let store = format!("embedded://{}", state.display());
    let source = file.display().to_string();
    let code = app.run_with(["run", "--until-end", "--source", &source, "--store", &store]);
    if code != ExitCode::SUCCESS {
        return Ok(code);
    }
    report::print(app, &state, &store, &project)?;
    if args.once {
        return Ok(ExitCode::SUCCESS);
    }
    writeln!(io::stdout(), "{}", report::what_next(&args.listen.to_string(), &project))?;
    Ok(app.run_with(["serve", "--store", &store, "--listen", &args.listen.to_string()]))
}

/// Remove a folder of an earlier call, which holds nothing but `ours`. Anything else in it is someone's.
fn replace(folder: &Path, ours: &[&str]) -> io::Result<()> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(about(folder, "cannot be read", &error)),
    };
    for entry in entries {
        let name = entry?.file_name();
        if !ours.iter().any(|own| name == *own) {
            let context = format!(
                "`{}` is not of an earlier call and would be removed; choose another folder with `--data`",
                folder.join(name).display()
            );
            return Err(io::Error::other(context));
        }
    }
    fs::remove_dir_all(folder).map_err(|error| about(folder, "cannot be removed", &error))
}

fn about(folder: &Path, what: &str, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("`{}` {what}: {error}", folder.display()))
}

/// The name of a repository: that of its folder.
fn project(repo: &Path) -> String {
    let whole = fs::canonicalize(repo).unwrap_or_else(|_| repo.to_owned());
    let name = whole.file_name().map(|name| name.to_string_lossy().into_owned());
    name.filter(|name| !name.is_empty()).unwrap_or_else(|| "repository".to_owned())
}
