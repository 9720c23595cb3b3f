use murmur_build::Refused;
use murmur_spec::emit::{Json, LOCK};

use crate::check::{broken, read, unparsed};
use crate::cli::{AcceptArgs, Output};
use crate::{Exit, Failure, print};

/// `accept`
pub(crate) fn accept(args: &AcceptArgs) -> Result<Exit, Failure> {
    let report = match read(&args.read)? {
        Ok(report) => report,
        Err(finding) => return Ok(broken(&args.read, &[&finding])),
    };
    if !report.whole {
        let findings = report.findings();
        print::note(format_args!("nothing can be accepted before the source is in order"));
        return Ok(if findings.is_empty() { unparsed(&args.read, &report) } else { broken(&args.read, &findings) });
    }
    let decisions = report.accept(&args.code, &args.subject).map_err(|refused| match refused {
        Refused::Io(error) => format!("cannot write {LOCK}: {error}"),
        Refused::Unknown(known) if known.is_empty() => "no change breaks anything; there is nothing to accept".into(),
        Refused::Unknown(known) => {
            format!("there is no finding `{} {}`; there are: {}", args.code, args.subject, known.join(", "))
        }
    })?;
    for decision in &decisions {
        if args.read.output == Output::Json {
            let json = Json::object([
                ("code", Json::from(&*decision.code)),
                ("subject", (&*decision.subject).into()),
                ("change", (&*decision.change).into()),
            ]);
            print::data(format_args!("{json}"));
        } else {
            print::data(format_args!("accepted   {} {}: {}", decision.code, decision.subject, decision.change));
        }
    }
    print::note(format_args!("recorded in {LOCK}; run `cargo murmur sync` to put it in force"));
    Ok(Exit::Well)
}
