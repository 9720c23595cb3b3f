//! How large the items of the pipelines can get, as the program itself says: sizes are computed by the compiler, from the
//! types that the sources only name.

use std::path::Path;
use std::process::{Command, Stdio};

use murmur_spec::emit::Json;
use serde::Deserialize;

use crate::Failure;
use crate::cli::ProgramArgs;

/// What `check -o json` of the program says of a pipeline, as far as it is about sizes.
#[derive(Debug, Deserialize)]
pub(crate) struct Size {
    pipeline: String,
    largest_item: Bound,
    write_units: Bound,
}

/// A number, or words for that there is none.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Bound {
    Number(u64),
    Words(String),
}

impl Bound {
    fn text(&self) -> String {
        match self {
            Self::Number(number) => number.to_string(),
            Self::Words(words) => words.clone(),
        }
    }

    fn json(&self) -> Json {
        match self {
            Self::Number(number) => Json::Number(*number),
            Self::Words(words) => words.clone().into(),
        }
    }
}

/// Build and run the program of the package in this folder. What Cargo and the program have to say goes to standard error.
pub(crate) fn of(folder: &Path, program: &ProgramArgs) -> Result<Vec<Size>, Failure> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["run", "--quiet", "--manifest-path"]).arg(folder.join("Cargo.toml"));
    for (kind, name) in [("--bin", &program.bin), ("--example", &program.example)] {
        command.args(name.iter().flat_map(|name| [kind, name]));
    }
    // What a variable could set otherwise is said.
    command.args(["--", "check", "--output", "json"]).stderr(Stdio::inherit());
    let ran = command.output().map_err(|error| format!("cannot run cargo: {error}"))?;
    if !ran.status.success() {
        return Err(format!(
            "`cargo run -- check` in {} ended with {}; sizes are told by the built program, one with `murmur::main!`: \
             choose it with `--bin` or `--example`",
            folder.display(),
            ran.status
        ));
    }
    serde_json::from_slice(&ran.stdout).map_err(|error| {
        format!("the program of {} does not say its sizes as one of Murmur does: {error}", folder.display())
    })
}

/// A table with a line for each pipeline.
pub(crate) fn table(sizes: &[Size]) -> String {
    let head = ["pipeline", "largest_item", "write_units"].map(str::to_owned);
    let row = |size: &Size| [size.pipeline.clone(), size.largest_item.text(), size.write_units.text()];
    let rows: Vec<[String; 3]> = std::iter::once(head).chain(sizes.iter().map(row)).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let (name, item, units) = (width(0), width(1), width(2));
    let lines = rows.iter().map(|[first, second, third]| format!("{first:<name$}  {second:>item$}  {third:>units$}"));
    lines.collect::<Vec<_>>().join("\n")
}

/// The same for programs.
pub(crate) fn json(sizes: &[Size]) -> Json {
    let row = |size: &Size| {
        Json::object([
            ("pipeline", Json::from(&*size.pipeline)),
            ("largest_item", size.largest_item.json()),
            ("write_units", size.write_units.json()),
        ])
    };
    Json::List(sizes.iter().map(row).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_no_bound_stands_in_words_among_the_numbers() {
        let said = r#"[{"pipeline": "likes", "event": "Like", "largest_item": 34567, "write_units": 34},
            {"pipeline": "own", "event": "Like", "largest_item": "no bound", "write_units": "no bound"}]"#;
        let sizes: Vec<Size> = serde_json::from_str(said).unwrap();
        let shown = "pipeline  largest_item  write_units\nlikes            34567           34\nown           no bound     no bound";
        assert_eq!(table(&sizes), shown);
        let again: serde_json::Value = serde_json::from_str(&json(&sizes).to_string()).unwrap();
        assert_eq!(again[0], serde_json::json!({"pipeline": "likes", "largest_item": 34567, "write_units": 34}));
        assert_eq!(again[1]["write_units"], "no bound");
    }
}
