//! Which packages are made for other languages, and when. What they do is tested against a server, in `murmur-tests`.

use std::fs;
use std::path::Path;

use crate::project::{edit, edit_file, murmur, new_project};

/// Every language whose package is only written; that for Go is compiled by Go's tools.
const LANGUAGES: &str = "java,python,rust,typescript";

fn files(folder: &Path) -> Vec<(String, String)> {
    let mut out = Vec::new();
    let mut open = vec![folder.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else {
                out.push((path.display().to_string(), fs::read_to_string(&path).unwrap()));
            }
        }
    }
    out
}

#[test]
fn packages_are_named_after_the_contract_and_every_blank_is_filled() {
    let (_folder, project) = new_project();
    edit_file(&project.join("Cargo.toml"), "version = \"0.1.0\"", "version = \"3.2.1\"");
    let made = murmur(&project, &["clients", "--lang", LANGUAGES, "--out", "clients"]);
    assert_eq!(made.code, 0, "{}", made.err);
    assert_eq!(made.out.lines().count(), 4, "{}", made.out);
    let lock = fs::read_to_string(project.join("proto/murmur.lock")).unwrap();
    let fingerprint = lock.lines().find_map(|line| line.strip_prefix("serves ")).unwrap();
    for (language, manifest, client) in [
        ("java", "pom.xml", "src/main/java/page_traffic/v1/PageTrafficClient.java"),
        ("python", "pyproject.toml", "src/page_traffic/v1/client.py"),
        ("rust", "Cargo.toml", "src/lib.rs"),
        ("typescript", "package.json", "src/client.ts"),
    ] {
        let folder = project.join("clients").join(language);
        let read = |file: &str| fs::read_to_string(folder.join(file)).unwrap();
        let manifest = read(manifest);
        assert!(manifest.contains("page-traffic-client") && manifest.contains("3.2.1"), "{manifest}");
        // What nobody has said is left out, and not said to be nothing.
        assert!(!manifest.contains("\"\""), "{manifest}");
        assert!(read(client).contains(&format!("-{fingerprint}")), "{language}");
        assert!(read(client).contains("Traffic per page"), "{language}: the comment of the pipeline");
        assert!(read("README.md").contains("http://127.0.0.1:50051"), "{language}");
        for (path, text) in files(&folder) {
            assert!(!text.contains("{{"), "{path}");
            assert!(!text.contains("murmur.v1"), "{path}: names that another client has too");
            assert!(!text.lines().any(|line| line.ends_with(' ')), "{path}");
        }
    }

    let json = murmur(&project, &["clients", "--lang", "python", "--out", "clients", "-o", "json"]);
    let json: serde_json::Value = serde_json::from_str(&json.out).unwrap();
    assert_eq!(json[0]["language"], "python");
}

#[test]
fn the_first_call_of_a_readme_names_fields_as_its_language_does() {
    let (_folder, project) = new_project();
    edit(&project, "pub page_id: String", "pub class: String,\n    /// What it is.\n    pub r#type: u64");
    edit(&project, "key = page_id", "key = (class, r#type)");
    // Another key is another contract.
    fs::remove_file(project.join("proto/murmur.lock")).unwrap();
    let synced = murmur(&project, &["sync"]);
    assert_eq!(synced.code, 0, "{}{}", synced.out, synced.err);
    let made = murmur(&project, &["clients", "--lang", LANGUAGES, "--out", "clients"]);
    assert_eq!(made.code, 0, "{}{}", made.out, made.err);
    for (language, key) in [
        ("java", r#".setClass_("...").setType(7L)"#),
        ("python", r#"PageTrafficKey(**{"class": "..."}, type=7)"#),
        ("rust", r##"{ class: "...".into(), r#type: 7 }"##),
        ("typescript", r#"{ class: "...", type: 7n }"#),
    ] {
        let readme = fs::read_to_string(project.join("clients").join(language).join("README.md")).unwrap();
        assert!(readme.contains(key), "{readme}");
    }
}

#[test]
fn a_client_is_made_of_a_contract_that_is_in_force() {
    let (_folder, project) = new_project();
    let python = ["clients", "--lang", "python", "--out", "clients"];
    edit(&project, "    /// When.\n", "    /// Where from.\n    pub country: Option<String>,\n    /// When.\n");
    let behind = murmur(&project, &python);
    assert_eq!(behind.code, 2, "{}", behind.err);
    assert!(behind.err.contains("run `cargo murmur sync` first"), "{}", behind.err);
    assert!(!project.join("clients").exists());
    assert_eq!(murmur(&project, &["sync"]).code, 0);
    assert_eq!(murmur(&project, &python).code, 0);

    edit(&project, "pub user_id: String,", "pub user_id: u64,");
    let broken = murmur(&project, &python);
    assert!(broken.code == 1 && broken.out.contains("error[M0610]"), "{}{}", broken.out, broken.err);
}

#[test]
fn what_a_later_client_does_not_have_is_taken_away() {
    let (_folder, project) = new_project();
    let java = ["clients", "--lang", "java", "--out", "clients"];
    assert_eq!(murmur(&project, &java).code, 0);
    let sources = project.join("clients/java/src/main/java/page_traffic/v1");
    fs::write(sources.join("Own.java"), "of somebody else").unwrap();
    edit(&project, "pub fn page_traffic(", "pub fn page_visits(");
    assert_eq!(murmur(&project, &["accept", "M0620", "PageTrafficService"]).code, 0);
    assert_eq!(murmur(&project, &["sync"]).code, 0);
    assert_eq!(murmur(&project, &java).code, 0);
    assert!(!sources.join("PageTrafficClient.java").exists() && sources.join("PageVisitsClient.java").exists());
    assert!(sources.join("Own.java").exists());
}

#[test]
fn what_somebody_else_has_made_is_not_written_over_and_then_nothing_is_written_at_all() {
    let (_folder, project) = new_project();
    let readme = project.join("clients/python/README.md");
    fs::create_dir_all(readme.parent().unwrap()).unwrap();
    fs::write(&readme, "mine").unwrap();
    let refused = murmur(&project, &["clients", "--lang", LANGUAGES, "--out", "clients"]);
    assert_eq!(refused.code, 1, "{}{}", refused.out, refused.err);
    let says = "clients/python/README.md would be written over, and `cargo murmur clients` has not made it; nothing was written";
    assert!(refused.err.contains(says) && refused.err.contains("`--out`"), "{}", refused.err);
    assert_eq!(files(&project.join("clients")), [(readme.display().to_string(), "mine".to_owned())]);

    fs::remove_file(&readme).unwrap();
    assert_eq!(murmur(&project, &["clients", "--lang", "python", "--out", "clients"]).code, 0);
    // One that it has made is made anew.
    fs::write(&readme, "changed").unwrap();
    assert_eq!(murmur(&project, &["clients", "--lang", "python", "--out", "clients"]).code, 0);
    assert_ne!(fs::read_to_string(&readme).unwrap(), "changed");
}

#[test]
fn a_package_without_pipelines_has_no_clients() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("src")).unwrap();
    fs::write(folder.path().join("Cargo.toml"), "[package]\nname = \"none\"\nversion = \"0.1.0\"\n").unwrap();
    fs::write(folder.path().join("src/lib.rs"), "").unwrap();
    assert_eq!(murmur(folder.path(), &["sync"]).code, 0);
    let made = murmur(folder.path(), &["clients", "--lang", "python", "--out", "clients"]);
    assert!(made.code == 1 && made.err.contains("has no pipeline"), "{}", made.err);
    let unknown = murmur(folder.path(), &["clients", "--lang", "cobol", "--out", "clients"]);
    assert!(unknown.code == 1 && unknown.err.contains("possible values"), "{}", unknown.err);
}
