//! Contracts are what buf makes of them: the emitted `.proto` files pass its lint, and `cargo murmur check` finds a change of
//! a message to break its readers where `buf breaking` does.

use std::path::{Path, PathBuf};

use murmur_tests::process::{self, cargo_murmur, success, target};
use murmur_tests::{tools, workspace};

fn lint(protos: &Path) {
    let config = r#"{"version": "v2", "lint": {"use": ["STANDARD"]}}"#;
    let output = process::output(tools::buf(), &["lint", protos.to_str().unwrap(), "--config", config]);
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success(), "{}: {said}", protos.display());
}

#[test]
fn the_protos_of_the_examples_pass_lint() {
    for example in ["page-traffic", "git-activity", "service-health"] {
        lint(&workspace().join("examples").join(example).join("proto"));
    }
}

/// Every kind of field, value and aggregate, with fields that were renamed and removed, as the tests of `murmur-spec` keep it.
#[test]
fn a_proto_with_everything_in_it_passes_lint() {
    let kept = "murmur-spec/src/emit/snapshots/\
                murmur_spec__emit__tests__everything-proto-shop-murmur-google-v1-everything.proto.snap";
    let kept = std::fs::read_to_string(workspace().join(kept)).unwrap();
    let root = target().join("tmp/lint-everything");
    let put = |path: &str, text: &str| {
        let path = root.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    put("shop/murmur/google/v1/everything.proto", kept.splitn(3, "---\n").nth(2).unwrap());
    for file in ["murmur/v1/types.proto", "murmur/v1/query.proto"] {
        put(file, &std::fs::read_to_string(workspace().join("proto-templates").join(file)).unwrap());
    }
    lint(&root);
}

/// What is changed, with numbers that are in the lock.
const SOURCE: &str = "\
use std::collections::BTreeMap;
use murmur::prelude::*;

#[murmur::value]
pub enum Color { Red, Green }

#[murmur::value]
pub struct Money { pub units: i64, pub currency: String }

#[murmur::value]
pub enum Payment { Card(String), Cash(u64) }

#[murmur::event]
#[derive(serde::Deserialize)]
pub struct Order {
    pub id: String,
    pub note: Option<String>,
    pub pieces: u32,
    pub total: u64,
    pub weight: f64,
    pub data: Vec<u8>,
    pub color: Color,
    pub price: Money,
    pub tags: Vec<String>,
    pub rates: BTreeMap<u32, f64>,
    pub payment: Payment,
    pub sent: Timestamp,
    #[murmur(time)]
    pub at: Timestamp,
}

#[murmur::pipeline(key = id)]
pub fn orders(order: &Order) -> Count { Count::one() }
";

/// A change as a person makes it in Rust, and as one who keeps all numbers makes it in the `.proto`.
struct Change {
    name: &'static str,
    rust: (&'static str, &'static str),
    proto: (&'static str, &'static str),
    breaks: bool,
}

#[rustfmt::skip] // One change a row.
const CHANGES: &[Change] = &[
    Change { name: "a comment", rust: ("    pub id: String", "    /// Its number.\n    pub id: String"), proto: ("  string id = 1;", "  // Its number.\n  string id = 1;"), breaks: false },
    Change { name: "a new field", rust: ("    pub note:", "    pub city: String,\n    pub note:"), proto: ("  string id = 1;", "  string id = 1;\n  string city = 14;"), breaks: false },
    Change { name: "a new optional message", rust: ("    pub note:", "    pub discount: Option<Money>,\n    pub note:"), proto: ("  string id = 1;", "  string id = 1;\n  Money discount = 14;"), breaks: false },
    Change { name: "a removed field", rust: ("    pub pieces: u32,\n", ""), proto: ("  uint32 pieces = 3;", "  reserved 3;\n  reserved \"pieces\";"), breaks: false },
    Change { name: "optional where it was always", rust: ("pub pieces: u32", "pub pieces: Option<u32>"), proto: ("  uint32 pieces", "  optional uint32 pieces"), breaks: false },
    Change { name: "always where it was optional", rust: ("pub note: Option<String>", "pub note: String"), proto: ("  optional string note", "  string note"), breaks: false },
    Change { name: "u32 to i32", rust: ("pub pieces: u32", "pub pieces: i32"), proto: ("uint32 pieces", "int32 pieces"), breaks: false },
    Change { name: "u32 to u16, which is as wide in protobuf", rust: ("pub pieces: u32", "pub pieces: u16"), proto: ("  uint32 pieces", "  uint32 pieces"), breaks: false },
    Change { name: "u64 to i64", rust: ("pub total: u64", "pub total: i64"), proto: ("uint64 total", "int64 total"), breaks: false },
    Change { name: "u32 to u64", rust: ("pub pieces: u32", "pub pieces: u64"), proto: ("uint32 pieces", "uint64 pieces"), breaks: true },
    Change { name: "u64 to u32", rust: ("pub total: u64", "pub total: u32"), proto: ("uint64 total", "uint32 total"), breaks: true },
    Change { name: "u64 to a text", rust: ("pub total: u64", "pub total: String"), proto: ("uint64 total", "string total"), breaks: true },
    Change { name: "u64 to f64", rust: ("pub total: u64", "pub total: f64"), proto: ("uint64 total", "double total"), breaks: true },
    Change { name: "f64 to f32", rust: ("pub weight: f64", "pub weight: f32"), proto: ("double weight", "float weight"), breaks: true },
    Change { name: "u32 to bool", rust: ("pub pieces: u32", "pub pieces: bool"), proto: ("uint32 pieces", "bool pieces"), breaks: true },
    Change { name: "bytes to a text", rust: ("pub data: Vec<u8>", "pub data: String"), proto: ("bytes data", "string data"), breaks: true },
    Change { name: "a text to a uuid", rust: ("pub note: Option<String>", "pub note: Option<Uuid>"), proto: ("  optional string note", "  optional string note"), breaks: false },
    Change { name: "an enum to a number", rust: ("pub color: Color", "pub color: u32"), proto: ("Color color", "uint32 color"), breaks: true },
    Change { name: "a message to another one", rust: ("pub price: Money", "pub price: Duration"), proto: ("Money price", "google.protobuf.Duration price"), breaks: true },
    Change { name: "a time to a length of time", rust: ("pub sent: Timestamp", "pub sent: Duration"), proto: ("google.protobuf.Timestamp sent", "google.protobuf.Duration sent"), breaks: true },
    Change { name: "one to many", rust: ("pub pieces: u32", "pub pieces: Vec<u32>"), proto: ("uint32 pieces", "repeated uint32 pieces"), breaks: true },
    Change { name: "many to one", rust: ("pub tags: Vec<String>", "pub tags: String"), proto: ("repeated string tags", "string tags"), breaks: true },
    Change { name: "another key of a map", rust: ("BTreeMap<u32, f64>", "BTreeMap<String, f64>"), proto: ("map<uint32, double>", "map<string, double>"), breaks: true },
    Change { name: "another value of a map", rust: ("BTreeMap<u32, f64>", "BTreeMap<u32, String>"), proto: ("map<uint32, double>", "map<uint32, string>"), breaks: true },
    Change { name: "a map to a list", rust: ("BTreeMap<u32, f64>", "Vec<f64>"), proto: ("map<uint32, double>", "repeated double"), breaks: true },
    Change { name: "a new value of an enum", rust: ("Red, Green", "Red, Green, Blue"), proto: ("  COLOR_GREEN = 2;", "  COLOR_GREEN = 2;\n  COLOR_BLUE = 3;"), breaks: false },
    Change { name: "a removed value of an enum", rust: ("Red, Green", "Red"), proto: ("  COLOR_GREEN = 2;", "  reserved 2;\n  reserved \"COLOR_GREEN\";"), breaks: false },
    Change { name: "a renamed value of an enum", rust: ("Red, Green", "Red, #[murmur(was = \"Green\")] Lime"), proto: ("COLOR_GREEN = 2", "COLOR_LIME = 2"), breaks: true },
    Change { name: "a new variant", rust: ("Cash(u64)", "Cash(u64), Check(String)"), proto: ("    uint64 cash = 2;", "    uint64 cash = 2;\n    string check = 3;"), breaks: false },
    Change { name: "another type in a variant", rust: ("Cash(u64)", "Cash(String)"), proto: ("uint64 cash", "string cash"), breaks: true },
];

/// A package in a folder of its own; only its sources are read.
fn project(folder: &Path, source: &str) {
    std::fs::create_dir_all(folder.join("src")).unwrap();
    let manifest = "[package]\nname = \"shop\"\nversion = \"1.0.0\"\nedition = \"2024\"\n\n\
                    [dependencies]\nmurmur = { package = \"murmur-stream\", version = \"0.1\" }\n";
    std::fs::write(folder.join("Cargo.toml"), manifest).unwrap();
    std::fs::write(folder.join("src/lib.rs"), source).unwrap();
}

#[test]
fn check_and_buf_find_the_same_changes_to_break_readers() {
    let folder = tempfile::tempdir().unwrap();
    let (project_folder, after) = (folder.path().join("shop"), folder.path().join("after"));
    let manifest = project_folder.join("Cargo.toml");
    let manifest = ["--manifest-path", manifest.to_str().unwrap()];
    project(&project_folder, SOURCE);
    success(cargo_murmur(), &[&["murmur", "sync"][..], &manifest].concat());
    let before = project_folder.join("proto");
    let path = PathBuf::from("shop/v1/shop.proto");
    let proto = std::fs::read_to_string(before.join(&path)).unwrap();
    for file in ["murmur/v1/types.proto", "murmur/v1/query.proto"] {
        std::fs::create_dir_all(after.join("murmur/v1")).unwrap();
        std::fs::copy(before.join(file), after.join(file)).unwrap();
    }
    std::fs::create_dir_all(after.join("shop/v1")).unwrap();

    let mut wrong = Vec::new();
    for Change { name, rust, proto: (from, to), breaks } in CHANGES {
        assert!(SOURCE.contains(rust.0) && proto.contains(from), "{name}:\n{proto}");
        project(&project_folder, &SOURCE.replacen(rust.0, rust.1, 1));
        let check = process::output(cargo_murmur(), &[&["murmur", "check"][..], &manifest].concat());
        let said = String::from_utf8_lossy(&check.stdout).into_owned();
        // 0: all is well; 2: only out of date.
        let ours = check.status.code() == Some(1) && said.contains("error[M06");
        assert!(ours || matches!(check.status.code(), Some(0 | 2)), "{name}: {said}");

        let mut changed = proto.replacen(from, to, 1);
        if to.contains("google.protobuf.Duration") && !changed.contains("duration.proto") {
            changed = changed.replacen("import ", "import \"google/protobuf/duration.proto\";\nimport ", 1);
        }
        std::fs::write(after.join(&path), changed).unwrap();
        let against = ["--against", before.to_str().unwrap()];
        let config = r#"{"version": "v2", "breaking": {"use": ["WIRE_JSON"]}}"#;
        let configured = ["--config", config, "--against-config", config];
        let buf = process::output(
            tools::buf(),
            &[&["breaking", after.to_str().unwrap()][..], &against, &configured].concat(),
        );
        // 100: buf has found something; anything else is no verdict.
        let theirs = buf.status.code() == Some(100);
        let buf_said = String::from_utf8_lossy(&[buf.stdout, buf.stderr].concat()).into_owned();
        assert!(theirs || buf.status.success(), "{name}: {buf_said}");
        if (ours, theirs) != (*breaks, *breaks) {
            wrong.push(format!("{name}: check {ours}, buf {theirs}, expected {breaks}\n{said}{buf_said}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
