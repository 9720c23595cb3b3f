use std::io::{self, Write};

use super::cli::{SchemaArgs, SchemaKind};
use super::exit::Exit;
use super::{App, print};
use crate::{Error, ErrorKind, Result};

/// `schema`: a contract to standard output, as the build step made it; the paths of its files to standard error.
pub(super) fn schema(app: &App, args: &SchemaArgs) -> Result<Exit> {
    let begins = match args.kind {
        SchemaKind::Descriptor => {
            io::stdout().lock().write_all(app.contracts.descriptor)?;
            return Ok(Exit::Done);
        }
        SchemaKind::Proto => "proto/",
        SchemaKind::Dynamodb => "schema/dynamodb",
        SchemaKind::Cloudformation => "schema/cloudformation",
        SchemaKind::Terraform => "schema/terraform",
        SchemaKind::Openapi => "schema/openapi",
    };
    // Where each pipeline has a file of its own, that file is named after the table.
    let table = args.pipeline.as_deref().map(|name| app.entry(name).map(|entry| format!("{}_v", entry.spec.name)));
    let table = table.transpose()?;
    let mut files: Vec<_> = app.contracts.files.iter().filter(|(path, _)| path.starts_with(begins)).collect();
    if args.kind == SchemaKind::Proto {
        // The lock, and the files of Murmur that every package imports, are not what was asked for.
        files.retain(|(path, _)| path.ends_with(".proto") && !path.starts_with("proto/murmur/"));
    }
    if let Some(table) = table {
        let of_table =
            |(path, _): &&&(&str, &str)| path.rsplit('/').next().is_some_and(|file| file.starts_with(&table));
        if files.iter().any(|file| of_table(&file)) {
            files.retain(|file| of_table(&file));
        }
    }
    if files.is_empty() {
        return Err(Error::new(ErrorKind::Internal, format!("the build step left no contract under `{begins}`")));
    }
    for (path, text) in files {
        print::note(format_args!("{path}"));
        print::data(text)?;
    }
    Ok(Exit::Done)
}
