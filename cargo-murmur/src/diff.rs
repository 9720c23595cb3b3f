use murmur_spec::emit::Json;

use crate::check::{broken, read, unparsed};
use crate::cli::{Output, ReadArgs};
use crate::{Exit, Failure, print};

/// `diff`
pub(crate) fn diff(args: &ReadArgs) -> Result<Exit, Failure> {
    let report = match read(args)? {
        Ok(report) => report,
        Err(finding) => return Ok(broken(args, &[&finding])),
    };
    if !report.whole {
        let findings = report.findings();
        print::note(format_args!("the source is not in order, so the changes cannot be told"));
        return Ok(if findings.is_empty() { unparsed(args, &report) } else { broken(args, &findings) });
    }
    let (changes, findings) = (&report.review.changes, report.findings());
    // Without a change of the contract the committed files can still be others, such as one with other comments.
    let behind = match findings.is_empty() {
        true => report.behind().map_err(|error| format!("cannot read the committed files: {error}"))?,
        false => Vec::new(),
    };
    let exit = match (findings.is_empty(), changes.is_empty() && behind.is_empty()) {
        (false, _) => Exit::Broken,
        (true, false) => Exit::Behind,
        (true, true) => Exit::Well,
    };
    if args.output == Output::Json {
        let findings = findings.iter().map(|finding| print::finding_json(finding)).collect();
        let json = Json::object([
            ("changes", print::changes_json(changes)),
            ("breaks", Json::List(findings)),
            ("behind", print::behind_json(&behind)),
        ]);
        print::data(format_args!("{json}"));
        return Ok(exit);
    }
    let width = changes.iter().map(|change| change.subject.chars().count()).max().unwrap_or(0);
    for change in changes {
        print::data(format_args!("{:<width$}  {}", change.subject, change.what));
    }
    for finding in &findings {
        print::data(format_args!("\n{}", print::finding(finding)));
    }
    if changes.is_empty() {
        for file in &behind {
            print::data(format_args!("{:<10} {}", print::how(file.how), file.path));
        }
    }
    if changes.is_empty() && !behind.is_empty() {
        print::note(format_args!(
            "{}: no change of names, numbers or types; `cargo murmur sync` writes the files anew",
            report.project.name
        ));
    } else if changes.is_empty() && findings.is_empty() {
        print::note(format_args!("{}: no changes", report.project.name));
    }
    Ok(exit)
}
