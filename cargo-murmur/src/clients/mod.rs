//! `clients`: a package per language, from the contract.
//!
//! | part | what it does |
//! |---|---|
//! | [`model`] | what templates can say of a package and its pipelines |
//! | [`template`] | fills a template in |
//! | one module per language | which files there are, and how that language writes things |
//! | `cargo-murmur/clients/` | the templates |
//!
//! What speaks protobuf is made by the language's own generator: in the build of the package where its people expect
//! that, and here for Go, whose modules are used as they lie in a repository.

mod files;
mod go;
mod java;
mod model;
mod python;
mod rust;
mod template;
mod typescript;

use std::path::{Path, PathBuf};

use murmur_spec::emit::Json;

use crate::check::{broken, count, read, unparsed};
use crate::cli::{ClientsArgs, Language, Output};
use crate::{Exit, Failure, print};

use files::Made;
use model::Package;

/// `clients`
pub(crate) fn clients(args: &ClientsArgs) -> Result<Exit, Failure> {
    let report = match read(&args.read)? {
        Ok(report) => report,
        Err(finding) => return Ok(broken(&args.read, &[&finding])),
    };
    let findings = report.findings();
    if !findings.is_empty() {
        return Ok(broken(&args.read, &findings));
    }
    if !report.whole {
        return Ok(unparsed(&args.read, &report));
    }
    // Numbers are those that a server has for ever only when they are in the lock.
    let behind = report.behind().map_err(|error| format!("cannot read the committed files: {error}"))?;
    if !behind.is_empty() {
        print::note(format_args!(
            "{}: the contracts are out of date ({}); run `cargo murmur sync` first",
            report.project.name,
            count(behind.len(), "file")
        ));
        return Ok(Exit::Behind);
    }
    let package = Package::of(&report);
    if package.services.is_empty() {
        return Err(format!("{} has no pipeline, so there is nothing to ask", report.project.name));
    }
    let mut all = Vec::new();
    for language in &args.lang {
        let made: Vec<Made> = match language {
            Language::Go => go::files(&package, args.go_module.as_deref())?,
            Language::Java => java::files(&package, args.java_group.as_deref())?,
            Language::Python => python::files(&package)?,
            Language::Rust => rust::files(&package)?,
            Language::Typescript => typescript::files(&package)?,
        };
        all.push((language.folder(), args.out.join(language.folder()), made));
    }
    // Of none of them anything is written before it is clear that all of them can be.
    for (_, folder, made) in &all {
        check(folder, made)?;
    }
    for (_, folder, made) in &all {
        files::write(folder, made).map_err(|error| format!("cannot write {}: {error}", folder.display()))?;
    }
    if args.read.output == Output::Json {
        let one = |(language, folder, files): &(&str, PathBuf, Vec<Made>)| {
            Json::object([
                ("language", Json::from(*language)),
                ("folder", folder.display().to_string().into()),
                ("files", Json::Number(files.len() as u64)),
            ])
        };
        print::data(format_args!("{}", Json::List(all.iter().map(one).collect())));
        return Ok(Exit::Well);
    }
    for (language, folder, files) in &all {
        print::data(format_args!("{language:<10} {} ({})", folder.display(), count(files.len(), "file")));
    }
    print::note(format_args!("each has a README with its first call"));
    Ok(Exit::Well)
}

/// Refuse to write over what somebody else has made.
fn check(folder: &Path, made: &[Made]) -> Result<(), Failure> {
    let unreadable = |error| format!("cannot see what there is in {}: {error}", folder.display());
    let others = files::of_others(folder, made).map_err(unreadable)?;
    let Some(first) = others.first() else { return Ok(()) };
    let more = match others.len() - 1 {
        0 => String::new(),
        more => format!(", and {} more", count(more, "file")),
    };
    Err(format!(
        "{}{more} would be written over, and `cargo murmur clients` has not made it; nothing was written: give another folder \
         with `--out`, or move it away",
        first.display()
    ))
}
