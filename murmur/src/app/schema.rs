use std::io::{self, Write};

use super::cli::{SchemaArgs, SchemaKind};
use super::exit::Exit;
use super::{App, print};
use crate::{Error, ErrorKind, Result};

/// `schema`: a contract to standard output, as the build step made it.
pub(super) fn schema(app: &App, args: &SchemaArgs) -> Result<Exit> {
    let end = match args.kind {
        SchemaKind::Descriptor => {
            io::stdout().lock().write_all(app.contracts.descriptor)?;
            return Ok(Exit::Done);
        }
        SchemaKind::Proto => ".proto".to_owned(),
        SchemaKind::Dynamodb => file_end(args, "dynamodb.json"),
        SchemaKind::Cloudformation => file_end(args, "cloudformation.json"),
        SchemaKind::Terraform => file_end(args, "tf.json"),
    };
    let mut found = 0;
    for (path, text) in app.contracts.ending(&end) {
        print::note(format_args!("{path}"));
        print::data(text)?;
        found += 1;
    }
    if found == 0 {
        let context = match &args.pipeline {
            Some(name) => {
                let names: Vec<_> = app.entries.iter().map(|entry| entry.spec.name).collect();
                format!("there is no pipeline `{name}`; there are: {}", names.join(", "))
            }
            None => "this binary carries no such schema".to_owned(),
        };
        return Err(Error::new(ErrorKind::NotFound, context));
    }
    Ok(Exit::Done)
}

fn file_end(args: &SchemaArgs, kind: &str) -> String {
    match &args.pipeline {
        Some(name) => format!("/{name}.{kind}"),
        None => format!(".{kind}"),
    }
}
