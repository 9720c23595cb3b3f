use std::fs;
use std::path::{Path, PathBuf};

use murmur_build::{Project, Report};
use murmur_spec::emit::Json;

use crate::cli::{NewArgs, Output};
use crate::{Exit, Failure, print, sync};

/// The files of a new project. `NAME` in them is the package, `SNAKE` the crate.
const TEMPLATE: [(&str, &str); 6] = [
    ("Cargo.toml", include_str!("../template/Cargo.toml.in")),
    ("build.rs", include_str!("../template/build.rs.in")),
    ("README.md", include_str!("../template/README.md.in")),
    (".gitignore", include_str!("../template/gitignore.in")),
    ("src/main.rs", include_str!("../template/src/main.rs.in")),
    ("src/generator.rs", include_str!("../template/src/generator.rs.in")),
];

/// `new`
pub(crate) fn new(args: &NewArgs) -> Result<Exit, Failure> {
    let dir = PathBuf::from(&args.name);
    let name = dir.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    check_name(&name)?;
    if dir.exists() {
        return Err(format!("{} is there already; choose another name", dir.display()));
    }
    let (runtime, build) = sources(args.path.as_deref())?;
    for (path, text) in TEMPLATE {
        let text = text.replace("{{name}}", &name).replace("{{runtime}}", &runtime).replace("{{build}}", &build);
        let path = dir.join(path);
        let written = fs::create_dir_all(path.parent().unwrap_or(&dir)).and_then(|()| fs::write(&path, text));
        written.map_err(|error| format!("cannot write {}: {error}", path.display()))?;
    }
    let report = Report::of(Project::open(&dir)?).map_err(|unreadable| unreadable.0.to_string())?;
    sync::write(&report)?;
    if args.output == Output::Json {
        let made = dir.display().to_string();
        let json = Json::object([("status", Json::from("ok")), ("made", made.into())]);
        print::data(format_args!("{json}"));
        return Ok(Exit::Well);
    }
    print::note(format_args!("made {}; now:\n\n  cd {}\n  cargo run -- dev", dir.display(), dir.display()));
    Ok(Exit::Well)
}

fn check_name(name: &str) -> Result<(), Failure> {
    let word = |word: &str| !word.is_empty() && word.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
    let good = name.starts_with(|c: char| c.is_ascii_lowercase()) && name.split(['-', '_']).all(word);
    if !good {
        return Err(format!(
            "`{name}` cannot name the package and its protobuf package; write for example `page-traffic`"
        ));
    }
    match taken(&name.replace('-', "_")) {
        Some(why) => Err(format!("`{name}` cannot name a package: {why}; write for example `page-traffic`")),
        None => Ok(()),
    }
}

/// Why a crate of this name does not build, or is mistaken for another one.
fn taken(name: &str) -> Option<String> {
    const KEYWORDS: &str = "abstract as async await become box break const continue crate do dyn else enum extern false \
        final fn for gen if impl in let loop macro match mod move mut override priv pub ref return self static struct \
        super trait true try type typeof union unsafe unsized use virtual where while yield";
    // Cargo's own folders beside the binary, and its name for tests.
    const CARGOS: &str = "build deps examples incremental test";
    // Crates of the compiler and of the runtime, whose paths are in generated code and in prose.
    const CRATES: &str = "alloc core proc_macro std tokio prost tonic murmur_stream murmur_macros murmur_spec";
    // Packages of protobuf that every contract imports.
    const PROTOBUF: &str = "google murmur";
    let is_of = |words: &str| words.split(' ').any(|word| word == name);
    let mut lines = TEMPLATE[0].1.lines().filter_map(|line| line.split_once(" = "));
    let dependency = lines.any(|(key, value)| value.starts_with('{') && key.replace('-', "_") == name);
    Some(match () {
        () if is_of(KEYWORDS) => "it is a word of Rust's own".to_owned(),
        () if is_of(CARGOS) => "Cargo has a use of its own for it".to_owned(),
        () if is_of(PROTOBUF) => format!("the protobuf package `{name}` is there already"),
        () if dependency => "it would depend on a package of the same name".to_owned(),
        () if is_of(CRATES) => format!("the crate `{name}` is there already"),
        () => return None,
    })
}

/// How `Cargo.toml` names the runtime and the build step.
fn sources(checkout: Option<&Path>) -> Result<(String, String), Failure> {
    let Some(checkout) = checkout else {
        let version = env!("CARGO_PKG_VERSION_MAJOR").to_owned() + "." + env!("CARGO_PKG_VERSION_MINOR");
        return Ok((format!("version = \"{version}\""), format!("\"{version}\"")));
    };
    let checkout = checkout.canonicalize().map_err(|error| format!("cannot find {}: {error}", checkout.display()))?;
    let part = |name: &str| {
        let dir = checkout.join(name);
        if dir.join("Cargo.toml").is_file() {
            // A basic string of TOML, where a backslash begins an escape.
            Ok(dir.display().to_string().replace('\\', "/"))
        } else {
            Err(format!("{} is not a checkout of Murmur: it has no folder `{name}`", checkout.display()))
        }
    };
    Ok((format!("path = \"{}\"", part("murmur")?), format!("{{ path = \"{}\" }}", part("murmur-build")?)))
}
