use std::path::{Path, PathBuf};

use murmur_build::{Finding, Project, Report};
use murmur_spec::emit::Json;

use crate::cli::{CheckArgs, Output, ReadArgs};
use crate::{Exit, Failure, print, sizes};

/// The package that the arguments mean, read. What makes reading impossible is a finding too.
pub(crate) fn read(args: &ReadArgs) -> Result<Result<Report, Box<Finding>>, Failure> {
    let dir = package(args)?;
    let project = Project::open(&dir)?;
    if project.roots.is_empty() {
        return Err(format!("{} has neither src/lib.rs nor src/main.rs", dir.display()));
    }
    Ok(Report::of(project).map_err(|unreadable| unreadable.0))
}

/// The folder of the package.
fn package(args: &ReadArgs) -> Result<PathBuf, Failure> {
    match &args.manifest_path {
        Some(path) => Ok(folder(path)),
        None => around_here(),
    }
}

fn folder(manifest: &Path) -> PathBuf {
    match manifest.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}

fn around_here() -> Result<PathBuf, Failure> {
    let here = std::env::current_dir().map_err(|error| format!("the current folder is not there: {error}"))?;
    let found = here.ancestors().find(|folder| folder.join("Cargo.toml").is_file());
    found
        .map(Path::to_owned)
        .ok_or_else(|| format!("no Cargo.toml in {} or above; say which with `--manifest-path`", here.display()))
}

/// `check`
pub(crate) fn check(CheckArgs { read: args, sizes, program }: &CheckArgs) -> Result<Exit, Failure> {
    let report = match read(args)? {
        Ok(report) => report,
        Err(finding) => return Ok(broken(args, &[&finding])),
    };
    let findings = report.findings();
    if !findings.is_empty() {
        return Ok(broken(args, &findings));
    }
    if !report.whole {
        return Ok(unparsed(args, &report));
    }
    let behind = report.behind().map_err(|error| format!("cannot read the committed files: {error}"))?;
    let exit = if behind.is_empty() { Exit::Well } else { Exit::Behind };
    // Last, since it takes a build: what is wrong was said by then.
    let sizes = if *sizes { Some(sizes::of(&package(args)?, program)?) } else { None };
    if args.output == Output::Json {
        let sizes = sizes.map(|sizes| sizes::json(&sizes));
        print::data(format_args!("{}", summary(exit, Vec::new(), print::behind_json(&behind), sizes)));
        return Ok(exit);
    }
    for file in &behind {
        print::data(format_args!("{:<10} {}", print::how(file.how), file.path));
    }
    if let Some(sizes) = sizes {
        print::data(format_args!("{}", sizes::table(&sizes)));
    }
    let (schema, name) = (&report.review.schema, &report.project.name);
    if behind.is_empty() {
        print::note(format_args!(
            "{name}: {} of {} and its contracts agree",
            count(schema.services.len(), "pipeline"),
            schema.package
        ));
    } else {
        print::note(format_args!("{name}: run `cargo murmur sync` and commit `proto/` and `schema/`"));
    }
    Ok(exit)
}

pub(crate) fn count(number: usize, what: &str) -> String {
    if number == 1 { format!("1 {what}") } else { format!("{number} {what}s") }
}

/// Print findings.
pub(crate) fn broken(args: &ReadArgs, findings: &[&Finding]) -> Exit {
    if args.output == Output::Json {
        let findings = findings.iter().map(|finding| print::finding_json(finding)).collect();
        print::data(format_args!("{}", summary(Exit::Broken, findings, Json::List(Vec::new()), None)));
    } else {
        for finding in findings {
            print::data(format_args!("{}", print::finding(finding)));
        }
        print::note(format_args!("{}", count(findings.len(), "finding")));
    }
    Exit::Broken
}

/// Print which source files cannot be read or parsed.
pub(crate) fn unparsed(args: &ReadArgs, report: &Report) -> Exit {
    if args.output == Output::Json {
        let findings = report.unparsed.iter().map(print::unparsed_json).collect();
        print::data(format_args!("{}", summary(Exit::Broken, findings, Json::List(Vec::new()), None)));
        return Exit::Broken;
    }
    for file in &report.unparsed {
        print::note(format_args!("error: {file}"));
    }
    print::note(format_args!(
        "{} cannot be read; `cargo check` says more",
        count(report.unparsed.len(), "source file")
    ));
    Exit::Broken
}

fn summary(exit: Exit, findings: Vec<Json>, behind: Json, pipelines: Option<Json>) -> Json {
    let status = match exit {
        Exit::Well => "ok",
        Exit::Broken => "broken",
        Exit::Behind => "out of date",
    };
    let said = [("status", Json::from(status)), ("findings", Json::List(findings)), ("behind", behind)];
    Json::object(said.into_iter().chain(pipelines.map(|pipelines| ("pipelines", pipelines))))
}
