use murmur_spec::emit::Json;

use crate::check::{broken, read};
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
        return Ok(broken(args, &findings));
    }
    let (changes, findings) = (&report.review.changes, report.findings());
    let exit = match (findings.is_empty(), changes.is_empty()) {
        (false, _) => Exit::Broken,
        (true, false) => Exit::Behind,
        (true, true) => Exit::Well,
    };
    if args.output == Output::Json {
        let findings = findings.iter().map(|finding| print::finding_json(finding)).collect();
        let json = Json::object([("changes", print::changes_json(changes)), ("breaks", Json::List(findings))]);
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
    if changes.is_empty() && findings.is_empty() {
        print::note(format_args!("{}: no changes", report.project.name));
    }
    Ok(exit)
}
