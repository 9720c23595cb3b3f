use murmur_build::{How, Report};
use murmur_spec::emit::Json;

use crate::check::{broken, count, read, unparsed};
use crate::cli::{Output, ReadArgs};
use crate::{Exit, Failure, print};

/// `sync`
pub(crate) fn sync(args: &ReadArgs) -> Result<Exit, Failure> {
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
    let written = write(&report)?;
    if args.output == Output::Json {
        let json = Json::object([("status", Json::from("ok")), ("written", print::behind_json(&written))]);
        print::data(format_args!("{json}"));
        return Ok(Exit::Well);
    }
    for file in &written {
        let done = if file.how == How::Stale { "removed" } else { "written" };
        print::data(format_args!("{done:<10} {}", file.path));
    }
    match written.len() {
        0 => print::note(format_args!("{}: nothing to do", report.project.name)),
        number => print::note(format_args!("{}: {}; commit them", report.project.name, count(number, "file"))),
    }
    Ok(Exit::Well)
}

/// Write the committed files of a package in which everything was read, and nothing found.
pub(crate) fn write(report: &Report) -> Result<Vec<murmur_build::Behind>, Failure> {
    report.sync().map_err(|error| format!("cannot write the committed files: {error}"))
}
