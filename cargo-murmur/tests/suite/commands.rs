//! The commands, run as a person runs them.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::project::{Ran, checkout, edit, murmur, new_project};

fn json(ran: &Ran) -> Value {
    serde_json::from_str(&ran.out).unwrap_or_else(|error| panic!("{error}: {}", ran.out))
}

#[test]
fn a_new_project_is_synced() {
    let (_folder, project) = new_project();
    let check = murmur(&project, &["check"]);
    assert_eq!((check.code, check.out.as_str()), (0, ""), "{}", check.err);
    for file in [
        "proto/murmur.lock",
        "proto/page_traffic/v1/page_traffic.proto",
        "proto/murmur/v1/types.proto",
        "schema/dynamodb/page_traffic_v1.json",
        "schema/dynamodb/page_traffic_v1.ttl.json",
        "schema/terraform/page_traffic_v1.tf.json",
        "schema/cloudformation.json",
        "schema/openapi.json",
    ] {
        assert!(project.join(file).is_file(), "{file}");
    }
    assert_eq!(murmur(&project.join("src"), &["check"]).code, 0, "a folder below finds its package");
    assert_eq!(
        murmur(Path::new("/"), &["check", "--manifest-path", project.join("Cargo.toml").to_str().unwrap()]).code,
        0
    );
}

/// What a program with `murmur::main!` says is tested with the programs; here stands one that says the like of it.
#[test]
fn sizes_are_those_that_the_built_program_says() {
    let folder = tempfile::tempdir().unwrap();
    let project = folder.path();
    fs::create_dir_all(project.join("src/bin")).unwrap();
    fs::create_dir_all(project.join("examples")).unwrap();
    fs::write(project.join("Cargo.toml"), "[package]\nname = \"sized\"\nversion = \"0.1.0\"\nedition = \"2024\"\n")
        .unwrap();
    let program = |row: &str| {
        format!(
            r##"fn main() {{
    let said: Vec<String> = std::env::args().skip(1).collect();
    assert_eq!(said, ["check", "--output", "json"]);
    println!("{{}}", r#"[{row}]"#);
}}"##
        )
    };
    let row = |name: &str, item: &str, units: &str| {
        format!(r#"{{"pipeline": "{name}", "slot": "1h", "largest_item": {item}, "write_units": {units}}}"#)
    };
    let both = [row("likes", "34567", "34"), row("own", r#""no bound""#, r#""no bound""#)].join(", ");
    fs::write(project.join("src/main.rs"), program(&both)).unwrap();
    fs::write(project.join("examples/other.rs"), program(&row("others", "12", "1"))).unwrap();
    fs::write(project.join("examples/broken.rs"), "fn main() { std::process::exit(3) }").unwrap();
    fs::write(project.join("examples/foreign.rs"), "fn main() { println!(\"hello\") }").unwrap();
    assert_eq!(murmur(project, &["sync"]).code, 0);

    let ran = murmur(project, &["check", "--sizes"]);
    let lines: Vec<Vec<&str>> = ran.out.lines().map(|line| line.splitn(3, "  ").map(str::trim).collect()).collect();
    assert_eq!((ran.code, lines.len()), (0, 3), "{}{}", ran.out, ran.err);
    assert!(lines[1][0] == "likes" && lines[1].concat().ends_with("34567           34"), "{}", ran.out);
    assert!(lines[2].concat().ends_with("no bound     no bound"), "{}", ran.out);
    let other = json(&murmur(project, &["check", "--sizes", "--example", "other", "-o", "json"]));
    assert_eq!(other["pipelines"], serde_json::json!([{ "pipeline": "others", "largest_item": 12, "write_units": 1 }]));
    assert_eq!(json(&murmur(project, &["check", "-o", "json"])).get("pipelines"), None, "nothing was built for it");

    for (example, said) in
        [("broken", "`--bin` or `--example`"), ("foreign", "does not say its sizes"), ("none", "none")]
    {
        let ran = murmur(project, &["check", "--sizes", "--example", example]);
        assert!(ran.code == 1 && ran.err.contains(said), "{}", ran.err);
    }
    assert_eq!(murmur(project, &["check", "--example", "other"]).code, 1, "a program is for sizes");
}

#[test]
fn programs_read_where_a_project_was_made() {
    let folder = tempfile::tempdir().unwrap();
    let made = murmur(folder.path(), &["new", "shop", "-o", "json", "--path", checkout().to_str().unwrap()]);
    assert_eq!(made.code, 0, "{}", made.err);
    assert_eq!(json(&made), serde_json::json!({ "status": "ok", "made": "shop" }));
    assert!(folder.path().join("shop/proto/murmur.lock").is_file());
}

#[test]
fn a_name_that_is_taken_or_impossible_is_refused() {
    let (folder, _project) = new_project();
    for (arguments, said) in [
        (vec!["new", "page-traffic"], "is there already"),
        (vec!["new", "Page"], "write for example `page-traffic`"),
        (vec!["new", "9lives"], "write for example"),
        (vec!["new", "fine", "--path", "."], "is not a checkout of Murmur"),
    ] {
        let ran = murmur(folder.path(), &arguments);
        assert_eq!(ran.code, 1);
        assert!(ran.err.contains(said), "{}", ran.err);
    }
    assert!(!folder.path().join("fine").exists());
    let root = checkout().to_str().unwrap();
    for name in
        "self fn union test build std core alloc tokio serde google murmur murmur-stream murmur-build".split(' ')
    {
        let ran = murmur(folder.path(), &["new", name, "--path", root]);
        assert!(ran.code == 1 && ran.err.contains(&format!("`{name}` cannot name a package: ")), "{}", ran.err);
        assert!(!folder.path().join(name).exists(), "{name}");
    }
}

#[test]
fn a_new_field_is_out_of_date_until_synced() {
    let (_folder, project) = new_project();
    edit(&project, "    /// When.\n", "    /// Where from.\n    pub country: Option<String>,\n    /// When.\n");
    let check = murmur(&project, &["check"]);
    assert_eq!(check.code, 2);
    assert!(check.out.contains("different  proto/murmur.lock"), "{}", check.out);
    assert_eq!(json(&murmur(&project, &["check", "-o", "json"]))["status"], "out of date");

    let diff = murmur(&project, &["diff"]);
    assert_eq!((diff.code, diff.out.as_str()), (2, "PageView.country  new, number 5\n"));
    let diff = json(&murmur(&project, &["diff", "-o", "json"]));
    assert_eq!(diff["changes"][0]["subject"], "PageView.country");

    let sync = murmur(&project, &["sync"]);
    assert_eq!(sync.code, 0, "{}", sync.err);
    assert!(sync.out.contains("written    proto/page_traffic/v1/page_traffic.proto"), "{}", sync.out);
    assert_eq!(murmur(&project, &["check"]).code, 0);
    assert_eq!(murmur(&project, &["diff"]).code, 0);
    let again = murmur(&project, &["sync"]);
    assert_eq!((again.code, again.out.as_str()), (0, ""));
}

/// Another comment is no change of the contract, and another file.
#[test]
fn diff_and_check_agree_whether_the_files_are_those_of_the_source() {
    let (_folder, project) = new_project();
    edit(&project, "    /// The mean stay.\n", "    /// How long they stay, on average.\n");
    let check = murmur(&project, &["check"]);
    let diff = murmur(&project, &["diff"]);
    assert_eq!((check.code, diff.code), (2, 2), "{}{}", check.out, diff.out);
    assert_eq!(diff.out, check.out);
    assert!(diff.out.contains("different  proto/page_traffic/v1/page_traffic.proto"), "{}", diff.out);
    assert!(diff.err.contains("no change of names, numbers or types"), "{}", diff.err);
    let diff = json(&murmur(&project, &["diff", "-o", "json"]));
    assert_eq!(diff["behind"], json(&murmur(&project, &["check", "-o", "json"]))["behind"]);
    assert_eq!(murmur(&project, &["sync"]).code, 0);
    let diff = murmur(&project, &["diff"]);
    assert_eq!((diff.code, diff.out.as_str()), (0, ""), "{}", diff.err);
}

#[test]
fn a_break_is_shown_at_its_token_and_passes_when_accepted() {
    let (_folder, project) = new_project();
    edit(&project, "pub user_id: String,", "pub user_id: u64,");
    for command in ["check", "sync", "diff"] {
        let ran = murmur(&project, &[command]);
        assert_eq!(ran.code, 1, "{command}");
        let shown = "\
error[M0610]: `user_id` of `PageView` was `string` in the lock and is `uint64` now
  --> src/main.rs:12:18
   |
12 |     pub user_id: u64,
   |                  ^^^
   = help: ";
        assert!(ran.out.contains(shown), "{command}: {}", ran.out);
        assert!(ran.out.contains("`cargo murmur accept M0610 PageView.user_id`"), "{command}: {}", ran.out);
    }
    let finding = &json(&murmur(&project, &["check", "-o", "json"]))["findings"][0];
    assert_eq!((&finding["code"], &finding["line"]), (&Value::from("M0610"), &Value::from(12)));

    let wrong = murmur(&project, &["accept", "M0610", "PageView.usr_id"]);
    assert_eq!(wrong.code, 1);
    assert!(wrong.err.contains("there are: M0610 PageView.user_id"), "{}", wrong.err);
    let accepted = murmur(&project, &["accept", "M0610", "PageView.user_id"]);
    assert_eq!(accepted.code, 0, "{}", accepted.err);
    assert_eq!(murmur(&project, &["check"]).code, 2);
    assert_eq!(murmur(&project, &["sync"]).code, 0);
    assert_eq!(murmur(&project, &["check"]).code, 0);
    let lock = fs::read_to_string(project.join("proto/murmur.lock")).unwrap();
    assert!(lock.contains("accepted M0610 PageView.user_id string -> uint64"), "{lock}");
    assert_eq!(murmur(&project, &["accept", "M0610", "PageView.user_id"]).code, 1, "once");
}

#[test]
fn files_of_a_pipeline_that_is_gone_are_removed() {
    let (_folder, project) = new_project();
    edit(&project, "pub fn page_traffic(", "pub fn page_visits(");
    assert_eq!(murmur(&project, &["accept", "M0620", "PageTrafficService"]).code, 0);
    let sync = murmur(&project, &["sync"]);
    assert!(sync.out.contains("removed    schema/dynamodb/page_traffic_v1.json"), "{}", sync.out);
    assert!(!project.join("schema/terraform/page_traffic_v1.tf.json").exists());
    assert!(project.join("schema/terraform/page_visits_v1.tf.json").exists());
    assert_eq!(murmur(&project, &["check"]).code, 0);
}

#[test]
fn what_cannot_be_read_is_said_with_its_place() {
    let (folder, project) = new_project();
    let lock = project.join("proto/murmur.lock");
    let text = fs::read_to_string(&lock).unwrap();
    fs::write(&lock, text.replace("4 viewed_at", "<<<<<<< ours\n4 viewed_at")).unwrap();
    let broken = murmur(&project, &["check"]);
    assert_eq!(broken.code, 1);
    assert!(broken.out.contains("error[M0601]") && broken.out.contains("^^^^^^^^^^^^"), "{}", broken.out);
    fs::write(&lock, text).unwrap();

    edit(&project, "pub struct Traffic {", "pub struct Traffic {{");
    let unparsable = murmur(&project, &["check"]);
    assert_eq!(unparsable.code, 1);
    assert!(unparsable.err.contains("error: src/main.rs:"), "{}", unparsable.err);
    assert!(unparsable.err.contains("`cargo check` says"), "{}", unparsable.err);
    for command in ["check", "sync", "diff"] {
        let unparsable = murmur(&project, &[command, "-o", "json"]);
        let said = json(&unparsable);
        assert_eq!((unparsable.code, &said["status"]), (1, &Value::from("broken")), "{command}");
        assert_eq!(said["findings"][0]["file"], "src/main.rs", "{command}");
        assert!(said["findings"][0]["line"].is_u64() && said["findings"][0]["message"].is_string(), "{said}");
    }

    fs::create_dir(folder.path().join("empty")).unwrap();
    let nowhere = murmur(&folder.path().join("empty"), &["check"]);
    assert_eq!(nowhere.code, 1);
    assert!(nowhere.err.contains("--manifest-path"), "{}", nowhere.err);
}

#[test]
fn every_command_helps_with_examples_and_exit_codes() {
    let here = checkout();
    for command in ["new", "check", "sync", "accept", "diff", "clients"] {
        let help = murmur(here, &[command, "--help"]);
        assert_eq!(help.code, 0);
        for part in ["Examples:", &format!("cargo murmur {command}"), "Exit codes:", "2  out of date"] {
            assert!(help.out.contains(part), "{command}: {part}\n{}", help.out);
        }
    }
    assert_eq!(murmur(here, &["chekc"]).code, 1);
    // As `cargo-murmur` itself, without Cargo in between.
    let direct = Command::new(env!("CARGO_BIN_EXE_cargo-murmur")).arg("--version").output().unwrap();
    assert!(direct.status.success());
}
