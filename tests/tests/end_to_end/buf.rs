//! Contracts are what buf makes of them: the emitted `.proto` files pass its lint, and `cargo murmur check` finds a change to
//! break readers and callers where `buf breaking` does, but for a renamed field, whose name in JSON stays. What stored items are laid
//! out by it finds beside that.

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
    pub shop: u32,
    pub region: String,
}

#[murmur::aggregate]
pub struct Sales {
    pub orders: Count,
    pub units: Sum<u64>,
    pub largest: Max<u64>,
}

#[murmur::pipeline(key = id)]
pub fn orders(order: &Order) -> Count { Count::one() }

#[murmur::pipeline(key = (shop, region))]
pub fn totals(order: &Order) -> Sales { sales(order) }
";

/// A change as a person makes it in Rust, and as one who keeps all numbers makes it in the `.proto`.
struct Change {
    name: &'static str,
    rust: (&'static str, &'static str),
    proto: Edit,
    breaks: Breaks,
}

/// What is edited in the `.proto`.
enum Edit {
    /// One place.
    Text(&'static str, &'static str),
    /// Every place.
    Each(&'static str, &'static str),
    /// A service is taken out.
    Without(&'static str),
    /// Nothing.
    Same,
}
use Edit::{Each, Same, Text, Without};

impl Edit {
    fn of(&self, proto: &str) -> String {
        let from: &str = match self {
            Text(from, _) | Each(from, _) | Without(from) => from,
            Same => "",
        };
        assert!(proto.contains(from), "{from}:\n{proto}");
        match self {
            Text(from, to) => proto.replacen(from, to, 1),
            Each(from, to) => proto.replace(from, to),
            Without(head) => {
                let (before, rest) = proto.split_once(head).unwrap();
                let (_, after) = rest.split_once("\n}\n").unwrap();
                format!("{before}{after}")
            }
            Same => proto.to_owned(),
        }
    }
}

/// Whom a change breaks.
enum Breaks {
    Nobody,
    /// Who reads messages, or calls methods.
    Readers,
    /// Stored items alone, of which buf does not know.
    Stored,
    /// Who reads JSON by the names of fields in the `.proto`, as buf sees it: the one in JSON stays
    /// (`docs/decisions/accepted-changes-get-new-numbers.md`).
    Named,
}
use Breaks::{Named, Nobody, Readers, Stored};

#[rustfmt::skip] // One change a row.
const CHANGES: &[Change] = &[
    Change { name: "a comment", rust: ("    pub id: String", "    /// Its number.\n    pub id: String"), proto: Text("  string id = 1;", "  // Its number.\n  string id = 1;"), breaks: Nobody },
    Change { name: "a new field", rust: ("    pub note:", "    pub city: String,\n    pub note:"), proto: Text("  string id = 1;", "  string id = 1;\n  string city = 16;"), breaks: Nobody },
    Change { name: "a new optional message", rust: ("    pub note:", "    pub discount: Option<Money>,\n    pub note:"), proto: Text("  string id = 1;", "  string id = 1;\n  Money discount = 16;"), breaks: Nobody },
    Change { name: "a removed field", rust: ("    pub pieces: u32,\n", ""), proto: Text("  uint32 pieces = 3;", "  reserved 3;\n  reserved \"pieces\";"), breaks: Nobody },
    Change { name: "optional where it was always", rust: ("pub pieces: u32", "pub pieces: Option<u32>"), proto: Text("  uint32 pieces", "  optional uint32 pieces"), breaks: Nobody },
    Change { name: "always where it was optional", rust: ("pub note: Option<String>", "pub note: String"), proto: Text("  optional string note", "  string note"), breaks: Nobody },
    Change { name: "u32 to i32", rust: ("pub pieces: u32", "pub pieces: i32"), proto: Text("uint32 pieces", "int32 pieces"), breaks: Nobody },
    Change { name: "u32 to u16, which is as wide in protobuf", rust: ("pub pieces: u32", "pub pieces: u16"), proto: Same, breaks: Nobody },
    Change { name: "u64 to i64", rust: ("pub total: u64", "pub total: i64"), proto: Text("uint64 total", "int64 total"), breaks: Nobody },
    Change { name: "u32 to u64", rust: ("pub pieces: u32", "pub pieces: u64"), proto: Text("uint32 pieces", "uint64 pieces"), breaks: Readers },
    Change { name: "u64 to u32", rust: ("pub total: u64", "pub total: u32"), proto: Text("uint64 total", "uint32 total"), breaks: Readers },
    Change { name: "u64 to a text", rust: ("pub total: u64", "pub total: String"), proto: Text("uint64 total", "string total"), breaks: Readers },
    Change { name: "u64 to f64", rust: ("pub total: u64", "pub total: f64"), proto: Text("uint64 total", "double total"), breaks: Readers },
    Change { name: "f64 to f32", rust: ("pub weight: f64", "pub weight: f32"), proto: Text("double weight", "float weight"), breaks: Readers },
    Change { name: "u32 to bool", rust: ("pub pieces: u32", "pub pieces: bool"), proto: Text("uint32 pieces", "bool pieces"), breaks: Readers },
    Change { name: "bytes to a text", rust: ("pub data: Vec<u8>", "pub data: String"), proto: Text("bytes data", "string data"), breaks: Readers },
    Change { name: "a text to a uuid", rust: ("pub note: Option<String>", "pub note: Option<Uuid>"), proto: Same, breaks: Nobody },
    Change { name: "an enum to a number", rust: ("pub color: Color", "pub color: u32"), proto: Text("Color color", "uint32 color"), breaks: Readers },
    Change { name: "a message to another one", rust: ("pub price: Money", "pub price: Duration"), proto: Text("Money price", "google.protobuf.Duration price"), breaks: Readers },
    Change { name: "a time to a length of time", rust: ("pub sent: Timestamp", "pub sent: Duration"), proto: Text("google.protobuf.Timestamp sent", "google.protobuf.Duration sent"), breaks: Readers },
    Change { name: "one to many", rust: ("pub pieces: u32", "pub pieces: Vec<u32>"), proto: Text("uint32 pieces", "repeated uint32 pieces"), breaks: Readers },
    Change { name: "many to one", rust: ("pub tags: Vec<String>", "pub tags: String"), proto: Text("repeated string tags", "string tags"), breaks: Readers },
    Change { name: "another key of a map", rust: ("BTreeMap<u32, f64>", "BTreeMap<String, f64>"), proto: Text("map<uint32, double>", "map<string, double>"), breaks: Readers },
    Change { name: "another value of a map", rust: ("BTreeMap<u32, f64>", "BTreeMap<u32, String>"), proto: Text("map<uint32, double>", "map<uint32, string>"), breaks: Readers },
    Change { name: "a map to a list", rust: ("BTreeMap<u32, f64>", "Vec<f64>"), proto: Text("map<uint32, double>", "repeated double"), breaks: Readers },
    Change { name: "a new value of an enum", rust: ("Red, Green", "Red, Green, Blue"), proto: Text("  COLOR_GREEN = 2;", "  COLOR_GREEN = 2;\n  COLOR_BLUE = 3;"), breaks: Nobody },
    Change { name: "a removed value of an enum", rust: ("Red, Green", "Red"), proto: Text("  COLOR_GREEN = 2;", "  reserved 2;\n  reserved \"COLOR_GREEN\";"), breaks: Nobody },
    Change { name: "a renamed value of an enum", rust: ("Red, Green", "Red, #[murmur(was = \"Green\")] Lime"), proto: Text("COLOR_GREEN = 2", "COLOR_LIME = 2"), breaks: Readers },
    Change { name: "a new variant", rust: ("Cash(u64)", "Cash(u64), Check(String)"), proto: Text("    uint64 cash = 2;", "    uint64 cash = 2;\n    string check = 3;"), breaks: Nobody },
    Change { name: "another type in a variant", rust: ("Cash(u64)", "Cash(String)"), proto: Text("uint64 cash", "string cash"), breaks: Readers },
    Change { name: "a removed variant", rust: ("Card(String), Cash(u64)", "Card(String)"), proto: Text("    uint64 cash = 2;\n  }", "  }\n  reserved 2;\n  reserved \"cash\";"), breaks: Nobody },
    Change { name: "a field under another number", rust: ("pub pieces: u32", "#[murmur(number = 40)] pub pieces: u32"), proto: Text("uint32 pieces = 3", "uint32 pieces = 40"), breaks: Readers },
    Change { name: "values of an enum in another order", rust: ("Red, Green", "Green, Red"), proto: Same, breaks: Nobody },
    Change { name: "a value of an enum under another number", rust: ("Red, Green", "Red, #[murmur(number = 7)] Green"), proto: Text("COLOR_GREEN = 2", "COLOR_GREEN = 7"), breaks: Readers },
    Change { name: "another value of an enum for one that is removed", rust: ("Red, Green", "Red, Lime"), proto: Text("  COLOR_GREEN = 2;", "  reserved 2;\n  reserved \"COLOR_GREEN\";\n  COLOR_LIME = 3;"), breaks: Nobody },
    Change { name: "a new field of a reply", rust: ("pub orders: Count,", "pub orders: Count, pub smallest: Min<u64>,"), proto: Text("  uint64 orders = 1;", "  uint64 orders = 1;\n  optional uint64 smallest = 4;"), breaks: Nobody },
    Change { name: "a removed field of a reply", rust: ("    pub units: Sum<u64>,\n", ""), proto: Text("  uint64 units = 2;", "  reserved 2;\n  reserved \"units\";"), breaks: Nobody },
    Change { name: "a renamed field of a reply", rust: ("pub units: Sum<u64>", "#[murmur(was = \"units\")] pub pieces: Sum<u64>"), proto: Text("uint64 units = 2;", "uint64 pieces = 2 [json_name = \"units\"];"), breaks: Named },
    Change { name: "another type in a reply", rust: ("Sum<u64>", "Sum<f64>"), proto: Text("uint64 units", "double units"), breaks: Readers },
    Change { name: "an estimate for a number of a reply", rust: ("orders: Count", "orders: Distinct"), proto: Text("uint64 orders", "murmur.v1.Estimate orders"), breaks: Readers },
    Change { name: "a field of a reply under another number", rust: ("pub units: Sum<u64>", "#[murmur(number = 40)] pub units: Sum<u64>"), proto: Text("uint64 units = 2", "uint64 units = 40"), breaks: Readers },
    Change { name: "another aggregate whose reply looks the same", rust: ("Max<u64>", "Min<u64>"), proto: Same, breaks: Stored },
    Change { name: "answers of another type", rust: ("-> Sales { sales(order) }", "-> Count { Count::one() }"), proto: Each("Sales value", "uint64 value"), breaks: Readers },
    Change { name: "a new pipeline", rust: ("#[murmur::pipeline(key = id)]", "#[murmur::pipeline(key = region)]\npub fn regions(order: &Order) -> Count { Count::one() }\n\n#[murmur::pipeline(key = id)]"), proto: Text("service TotalsService {", "service RegionsService {\n}\n\nservice TotalsService {"), breaks: Nobody },
    Change { name: "a removed pipeline", rust: ("#[murmur::pipeline(key = (shop, region))]\npub fn totals(order: &Order) -> Sales { sales(order) }\n", ""), proto: Without("service TotalsService {"), breaks: Readers },
    Change { name: "a renamed pipeline", rust: ("pub fn totals(", "pub fn sums("), proto: Each("Totals", "Sums"), breaks: Readers },
    Change { name: "a renamed function of a pipeline that keeps its name", rust: ("(shop, region))]\npub fn totals(", "(shop, region), name = \"totals\")]\npub fn sums("), proto: Same, breaks: Nobody },
    Change { name: "another type of a key", rust: ("pub shop: u32", "pub shop: String"), proto: Each("uint32 shop", "string shop"), breaks: Readers },
    Change { name: "a key that is signed", rust: ("pub shop: u32", "pub shop: i32"), proto: Each("uint32 shop", "int32 shop"), breaks: Stored },
    Change { name: "a new field of a key", rust: ("(shop, region)", "(shop, region, id)"), proto: Text("  string region = 2;", "  string region = 2;\n  string id = 3;"), breaks: Stored },
    Change { name: "a removed field of a key", rust: ("(shop, region)", "shop"), proto: Text("  string region = 2;", "  reserved 2;\n  reserved \"region\";"), breaks: Stored },
    Change { name: "fields of a key in another order", rust: ("(shop, region)", "(region, shop)"), proto: Same, breaks: Stored },
    Change { name: "a window where there was none", rust: ("key = (shop, region)", "key = (shop, region), window = tumbling(\"1h\", keep = \"30d\")"), proto: Same, breaks: Stored },
];

/// What buf is to find: what readers would misread, and what callers would miss.
const BREAKING: &str = r#"{"version": "v2", "breaking": {"use": ["WIRE_JSON", "SERVICE_NO_DELETE", "RPC_NO_DELETE"]}}"#;

/// A package in a folder of its own; only its sources are read.
fn project(folder: &Path, source: &str) {
    std::fs::create_dir_all(folder.join("src")).unwrap();
    let manifest = "[package]\nname = \"shop\"\nversion = \"1.0.0\"\nedition = \"2024\"\n\n\
                    [dependencies]\nmurmur = { package = \"murmur-stream\", version = \"0.1\" }\n";
    std::fs::write(folder.join("Cargo.toml"), manifest).unwrap();
    std::fs::write(folder.join("src/lib.rs"), source).unwrap();
}

#[test]
fn check_and_buf_find_the_same_changes_to_break_readers_and_callers() {
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
    for Change { name, rust, proto: edit, breaks } in CHANGES {
        assert!(SOURCE.contains(rust.0), "{name}");
        project(&project_folder, &SOURCE.replacen(rust.0, rust.1, 1));
        let check = process::output(cargo_murmur(), &[&["murmur", "check"][..], &manifest].concat());
        let said = String::from_utf8_lossy(&check.stdout).into_owned();
        // 0: all is well; 2: only out of date.
        let ours = check.status.code() == Some(1) && said.contains("error[M06");
        assert!(ours || matches!(check.status.code(), Some(0 | 2)), "{name}: {said}");

        std::fs::write(after.join(&path), edit.of(&proto)).unwrap();
        let against = ["--against", before.to_str().unwrap()];
        let configured = ["--config", BREAKING, "--against-config", BREAKING];
        let buf = process::output(
            tools::buf(),
            &[&["breaking", after.to_str().unwrap()][..], &against, &configured].concat(),
        );
        // 100: buf has found something; anything else is no verdict.
        let theirs = buf.status.code() == Some(100);
        let buf_said = String::from_utf8_lossy(&[buf.stdout, buf.stderr].concat()).into_owned();
        assert!(theirs || buf.status.success(), "{name}: {buf_said}");
        let expected = match breaks {
            Nobody => (false, false),
            Readers => (true, true),
            Stored => (true, false),
            Named => (false, true),
        };
        if (ours, theirs) != expected {
            wrong.push(format!("{name}: check {ours}, buf {theirs}\n{said}{buf_said}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
