//! What Cargo makes of a project. All of them share one target folder, so that the runtime is compiled once.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

use crate::project::{Ran, checkout, edit, edit_file, murmur, named_project, new_project};

/// Cargo in a project, without network and with the versions of the workspace.
fn cargo(project: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> Ran {
    let lock = project.join("Cargo.lock");
    if !lock.exists() {
        fs::copy(checkout().join("Cargo.lock"), lock).unwrap();
    }
    let mut command = Command::new(env!("CARGO"));
    command.args(arguments).args(["--offline", "--color=never"]).current_dir(project);
    // What the surrounding Cargo set is about this package and not about the project.
    for (name, _) in std::env::vars() {
        if name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_") || name.starts_with("MURMUR_") {
            command.env_remove(name);
        }
    }
    command.env("CARGO_TARGET_DIR", checkout().join("target/fixtures")).env_remove("RUSTFLAGS");
    command.envs(environment.iter().copied());
    command.output().unwrap().into()
}

fn check(project: &Path) -> Ran {
    cargo(project, &["check", "--all-targets", "--verbose"], &[])
}

/// The warnings that Cargo printed. The commands that it prints as well may have the word among their flags.
fn warnings(ran: &Ran) -> Vec<&str> {
    ran.err.lines().filter(|line| line.starts_with("warning")).collect()
}

#[track_caller]
fn assert_well(ran: &Ran) {
    assert_eq!(ran.code, 0, "{}", ran.err);
}

#[track_caller]
fn assert_fresh(ran: &Ran, package: &str) {
    assert!(ran.err.contains(&format!("Fresh {package}")), "{}", ran.err);
}

#[track_caller]
fn assert_error(ran: &Ran, parts: &[&str]) {
    assert_ne!(ran.code, 0, "{}", ran.err);
    for part in parts {
        assert!(ran.err.contains(part), "`{part}` is not in\n{}", ran.err);
    }
}

/// All files of a project but Cargo's lock, with their bytes and times.
fn snapshot(folder: &Path) -> BTreeMap<PathBuf, (Vec<u8>, SystemTime)> {
    let mut files = BTreeMap::new();
    let mut open = vec![folder.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else if !path.ends_with("Cargo.lock") {
                let time = fs::metadata(&path).unwrap().modified().unwrap();
                files.insert(path.clone(), (fs::read(&path).unwrap(), time));
            }
        }
    }
    files
}

#[test]
fn a_new_project_compiles_is_fresh_afterwards_and_keeps_its_folder_clean() {
    let (_folder, project) = named_project("fresh");
    let before = snapshot(&project);
    let first = check(&project);
    assert_well(&first);
    assert_eq!(warnings(&first), Vec::<&str>::new(), "{}", first.err);
    assert_eq!(snapshot(&project), before, "a build writes nothing into the source");
    assert_fresh(&check(&project), "fresh");

    // Another number for the same field is another program.
    edit_file(&project.join("proto/murmur.lock"), "4 viewed_at", "9 viewed_at");
    let third = check(&project);
    assert_well(&third);
    assert!(third.err.contains("Dirty fresh"), "{}", third.err);
    assert_fresh(&check(&project), "fresh");
}

#[test]
fn contracts_ahead_of_the_lock_are_one_warning_or_an_error() {
    let (_folder, project) = named_project("ahead");
    edit(&project, "    /// When.\n", "    /// Where from.\n    pub country: Option<String>,\n    /// When.\n");
    let warned = check(&project);
    assert_well(&warned);
    let lines = warnings(&warned);
    assert_eq!(lines.len(), 1, "{}", warned.err);
    assert!(lines[0].contains("`PageView.country`: new, number 5"), "{}", lines[0]);
    assert!(lines[0].contains("cargo murmur sync"), "{}", lines[0]);
    let locked = cargo(&project, &["check"], &[("MURMUR_LOCKED", "1")]);
    assert_error(&locked, &["`PageView.country`: new, number 5", "cargo murmur sync"]);

    assert_eq!(murmur(&project, &["sync"]).code, 0);
    assert_well(&cargo(&project, &["check"], &[("MURMUR_LOCKED", "1")]));
}

#[test]
fn a_break_is_an_error_on_the_users_token() {
    let (_folder, project) = named_project("breaking");
    edit(&project, "pub user_id: String,", "pub user_id: u64,");
    edit(&project, "Distinct::of(&view.user_id)", "Distinct::of(&view.user_id.to_string())");
    let broken = check(&project);
    assert_error(
        &broken,
        &["M0610: `user_id` of `PageView` was `string`", "--> src/main.rs:12:18", "cargo murmur accept"],
    );
    assert_eq!(broken.err.matches("\nerror: M").count(), 1, "{}", broken.err);

    assert_eq!(murmur(&project, &["accept", "M0610", "PageView.user_id"]).code, 0);
    assert_well(&check(&project));
}

#[test]
fn a_project_without_its_build_step_says_so() {
    let (_folder, project) = named_project("stepless");
    fs::remove_file(project.join("build.rs")).unwrap();
    assert_error(&check(&project), &["M0901", "build.rs"]);
}

#[test]
fn an_item_that_no_source_shows_says_so() {
    let (_folder, project) = named_project("hidden");
    edit(
        &project,
        "/// Traffic per page",
        "macro_rules! hidden {\n    ($name:ident) => {\n        #[murmur::event]\n        pub struct $name {\n            \
         pub a: u64,\n        }\n    };\n}\nhidden!(Invisible);\n\n/// Traffic per page",
    );
    assert_error(&check(&project), &["M0902", "`Invisible`"]);
}

#[test]
fn the_runtime_may_have_another_name() {
    let (_folder, project) = named_project("renamed");
    edit_file(&project.join("Cargo.toml"), "murmur = { package", "streams = { package");
    edit(&project, "use murmur::prelude::*;", "use streams::prelude::*;");
    for (marker, arguments) in [("event", ""), ("aggregate", ""), ("pipeline", "key = page_id, ")] {
        let from = format!("#[murmur::{marker}");
        if arguments.is_empty() {
            edit(&project, &format!("{from}]"), &format!("#[streams::{marker}(crate = streams)]"));
        } else {
            edit(
                &project,
                &format!("{from}({arguments}"),
                &format!("#[streams::{marker}(crate = streams, {arguments}"),
            );
        }
    }
    edit(
        &project,
        "murmur::main!(page_traffic; generator = generator::line)",
        "streams::main!(page_traffic; generator = generator::line, crate = streams)",
    );
    edit_file(&project.join("src/generator.rs"), "use murmur::app", "use streams::app");
    assert_eq!(murmur(&project, &["check"]).code, 0);
    assert_well(&check(&project));
}

#[test]
fn main_says_how_payloads_are_written_and_mistakes_are_on_the_users_token() {
    let (_folder, project) = named_project("formats");
    let dependency = "[build-dependencies]\nmurmur-build = {";
    edit_file(&project.join("Cargo.toml"), dependency, &format!("{dependency} features = [\"descriptor\"],"));
    let proto = "syntax = \"proto3\";\npackage shop.v1;\nmessage PageView { string page_id = 1; }\n";
    fs::write(project.join("page_view.proto"), proto).unwrap();
    let step = "murmur_build::run()";
    let more = format!("{step};\n    murmur_build::descriptor(\"page_view.proto\").unwrap()");
    edit_file(&project.join("build.rs"), step, &more);
    edit(&project, "    pub user_id: String,", "    #[murmur(header = \"user\")]\n    pub user_id: String,");
    let bytes = "include_bytes!(concat!(env!(\"OUT_DIR\"), \"/page_view.bin\"))";
    let described = format!("page_traffic: confluent<descriptor({bytes}, \"shop.v1.PageView\")>;");
    edit(&project, "main!(page_traffic;", &format!("main!({described}"));
    assert_well(&check(&project));
    assert_fresh(&check(&project), "formats");

    edit(&project, &described, "page_traffic: protobuf<PageView>;");
    assert_error(&check(&project), &["is no format that `PageView` can be read from", "--> src/main.rs:45:29"]);
    edit(&project, "page_traffic: protobuf<PageView>;", "page_trafic: json;");
    let told = check(&project);
    assert_error(&told, &["no pipeline `page_trafic`; did you mean `page_traffic`?", "--> src/main.rs:45:15"]);
    assert_eq!(told.err.matches("\nerror: M").count(), 1, "{}", told.err);
    edit(&project, "page_trafic: json;", "page_traffic: jsn;");
    assert_error(&check(&project), &["no format `jsn`; did you mean `json`?", "--> src/main.rs:45:29"]);
}

#[test]
fn a_client_is_made_from_the_proto_alone() {
    let (folder, service) = new_project();
    let client = folder.path().join("client");
    fs::create_dir_all(client.join("src")).unwrap();
    Command::new("cp").arg("-r").arg(service.join("proto")).arg(&client).status().unwrap();
    let build = checkout().join("murmur-build");
    fs::write(
        client.join("Cargo.toml"),
        format!(
            r#"[package]
name = "client"
version = "0.1.0"
edition = "2024"

[dependencies]
prost = "0.14"
prost-types = "0.14"
tonic = "0.14"
tonic-prost = "0.14"

[build-dependencies]
murmur-build = {{ path = "{}", features = ["client"] }}
"#,
            build.display()
        ),
    )
    .unwrap();
    fs::write(
        client.join("build.rs"),
        r#"fn main() { murmur_build::client("proto/page_traffic/v1/page_traffic.proto").unwrap() }"#,
    )
    .unwrap();
    fs::write(
        client.join("src/lib.rs"),
        r#"
tonic::include_proto!("client");

use page_traffic::v1::page_traffic_service_client::PageTrafficServiceClient;
use page_traffic::v1::{PageTrafficKey, PageTrafficServiceGetWindowRequest};

pub async fn visitors(url: &'static str) -> Option<f64> {
    let mut client = PageTrafficServiceClient::connect(url).await.ok()?;
    let request = PageTrafficServiceGetWindowRequest {
        key: Some(PageTrafficKey { page_id: "/home".into() }),
        window: Some(prost_types::Duration { seconds: 3600, nanos: 0 }),
        options: Some(murmur::v1::ReadOptions { strong: true, ..Default::default() }),
        ..Default::default()
    };
    let reply = client.get_window(request).await.ok()?.into_inner();
    Some(reply.value?.visitors?.value)
}
"#,
    )
    .unwrap();
    assert_well(&check(&client));
    assert_fresh(&check(&client), "client");
}
