//! git-activity counts what git says.

use std::fs;
use std::path::Path;

use murmur_tests::process::{self, Server, command, example, success};
use serde_json::Value;
use tempfile::TempDir;

/// Commit everything in `repo` as `author`, `day` days after the beginning of 2020.
fn commit(repo: &Path, author: &str, day: i64, message: &str) {
    let at = jiff::Timestamp::from_second(1_577_880_000 + day * 86_400).unwrap().to_string();
    let git = |arguments: &[&str]| {
        let output = command("git", &["-C", repo.to_str().unwrap()])
            .args(["-c", "commit.gpgsign=false", "-c", "user.email=a@example.com"])
            .args(["-c", &format!("user.name={author}")])
            .args(arguments)
            .env("GIT_AUTHOR_DATE", &at)
            .env("GIT_COMMITTER_DATE", &at)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    git(&["add", "--all"]);
    git(&["commit", "--quiet", "--allow-empty", "--message", message]);
}

fn write(repo: &Path, file: &str, text: &str) {
    let path = repo.join(file);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

/// Two people, four folders, a binary file, an odd name, a rename, a commit without files.
fn repository(repo: &Path) {
    success("git", &["init", "--quiet", repo.to_str().unwrap()]);
    write(repo, "readme", "1\n2\n3\n");
    write(repo, "src/a/deep/x.rs", "x\n");
    commit(repo, "Ada", 0, "begin");
    write(repo, "src/a/deep/x.rs", "y\nz\n");
    write(repo, "ta\tb \"ü\"", "odd\n");
    fs::write(repo.join("binary"), [0, 1, 2, 0]).unwrap();
    commit(repo, "Bo", 40, "more");
    fs::rename(repo.join("readme"), repo.join("README")).unwrap();
    commit(repo, "Ada", 400, "rename");
    commit(repo, "Ada", 800, "nothing");
}

fn query(store: &str, arguments: &[&str]) -> Value {
    let arguments = [&["query"], arguments, &["--store", store, "-o", "json"]].concat();
    process::json(example("git-activity"), &arguments)
}

fn number(row: &Value, field: &str) -> u64 {
    row["value"][field].as_str().unwrap_or_else(|| panic!("no number `{field}` in {row}")).parse().unwrap()
}

/// Count a repository in a folder; what is printed of it.
fn count(folder: &Path) -> String {
    let repo = folder.join("project");
    repository(&repo);
    let data = folder.join("data");
    let arguments = ["--once", "--repo", repo.to_str().unwrap(), "--data", data.to_str().unwrap()];
    success(example("git-activity"), &arguments)
}

/// A folder, and the store in it in which a repository is counted.
pub(crate) fn counted() -> (TempDir, String) {
    let folder = TempDir::new().unwrap();
    count(folder.path());
    let store = store_in(folder.path());
    (folder, store)
}

fn store_in(folder: &Path) -> String {
    process::store(&folder.join("data/state"))
}

#[test]
fn it_answers_what_git_says() {
    let folder = TempDir::new().unwrap();
    let table = count(folder.path());
    for seen in ["Ada", "Bo", "src/a", "2020", "2021", "2022"] {
        assert!(table.contains(seen), "`{seen}` is not in\n{table}");
    }

    let store = store_in(folder.path());
    let ada = query(&store, &["by_author", "Ada"]);
    assert_eq!(["commits", "lines_added", "lines_removed"].map(|field| number(&ada, field)), [3, 4, 0]);
    assert_eq!(ada["value"]["files"]["value"].as_f64().unwrap().round(), 3.0);
    assert_eq!(ada["value"]["first"]["value"], "begin");
    assert_eq!(ada["value"]["last"]["value"], "nothing");

    let bo = query(&store, &["by_author", "Bo"]);
    assert_eq!(["commits", "lines_added", "lines_removed"].map(|field| number(&bo, field)), [1, 3, 1]);
    assert_eq!(bo["value"]["files"]["value"].as_f64().unwrap().round(), 3.0);

    let deep = query(&store, &["by_folder", "src/a"]);
    assert_eq!(["commits", "lines_added", "lines_removed"].map(|field| number(&deep, field)), [2, 3, 1]);

    let first_year = ["by_project", "project", "--from", "2020-01-01", "--to", "2021-01-01"];
    assert_eq!(number(&query(&store, &first_year), "commits"), 2);
    let whole = query(&store, &["by_project", "project"]);
    assert_eq!(number(&whole, "commits"), 4);

    let top = query(&store, &["by_author", "--top", "1", "--by", "commits"]);
    assert_eq!(top[0]["key"]["author"], "Ada");
}

#[test]
fn files_of_several_people_and_times_are_compared() {
    let (_folder, store) = counted();
    let year = r#"{"key": {"author": "Ada"}, "start": "2021-01-01T00:00:00Z", "end": "2022-01-01T00:00:00Z"}"#;
    for (arguments, files) in [
        // `src/a/deep/x.rs`.
        (["by_author", "Ada", "--intersect", "Bo"], 1.0),
        (["by_author", "Ada", "--unite", "Bo"], 5.0),
        // `readme` and `README`; then what he alone has touched.
        (["by_author", "Ada", "--except", "Bo"], 2.0),
        (["by_author", "Bo", "--except", "Ada"], 2.0),
        // What she touched in the year of the rename, and what not.
        (["by_author", "Ada", "--intersect", year], 1.0),
        (["by_author", "Ada", "--except", year], 2.0),
        (["by_folder", "src/a", "--intersect", "."], 0.0),
    ] {
        let years = ["--from", "2020-01-01", "--to", "2023-01-01"];
        let estimate = query(&store, &[&arguments[..], &years].concat())["estimate"].clone();
        assert_eq!(estimate["value"], files, "{arguments:?}: {estimate}");
        assert_eq!((&estimate["lower"], &estimate["upper"]), (&estimate["value"], &estimate["value"]));
    }
}

#[test]
fn it_serves_what_it_counted() {
    let folder = TempDir::new().unwrap();
    let repo = folder.path().join("project");
    repository(&repo);
    let data = folder.path().join("data");
    let arguments = ["--repo", repo.to_str().unwrap(), "--data", data.to_str().unwrap()];
    let server = Server::start(example("git-activity"), &arguments);
    let url = format!("{}/git_activity.v1.ByProjectService/Get", server.url());
    let body = r#"{"key": {"project": "project"}}"#;
    let reply = process::json("curl", &["-sS", "-H", "content-type: application/json", "-d", body, &url]);
    assert_eq!(reply["value"]["commits"], "4", "{reply}");
    assert!(server.stop().success());
}

#[test]
fn a_folder_that_is_no_repository_is_an_error() {
    let folder = TempDir::new().unwrap();
    let data = folder.path().join("data");
    let arguments = ["--once", "--repo", folder.path().to_str().unwrap(), "--data", data.to_str().unwrap()];
    let output = process::output(example("git-activity"), &arguments);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("git log"));
}

#[test]
fn a_folder_with_other_things_is_left_as_it_is() {
    let folder = TempDir::new().unwrap();
    repository(&folder.path().join("repo"));
    let (repo, data) = (folder.path().join("repo"), folder.path().join("data"));
    write(&data, "history/thesis.txt", "years of work");
    let arguments = ["--repo", repo.to_str().unwrap(), "--data", data.to_str().unwrap(), "--once"];
    let refused = process::output(example("git-activity"), &arguments);
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("thesis.txt"));
    assert_eq!(fs::read_to_string(data.join("history/thesis.txt")).unwrap(), "years of work");

    fs::remove_dir_all(&data).unwrap();
    success(example("git-activity"), &arguments);
    // What an earlier call left is replaced.
    success(example("git-activity"), &arguments);
}
