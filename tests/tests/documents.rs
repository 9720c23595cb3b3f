//! Pages that name tests or files name those that there are.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use murmur_tests::workspace;

/// A row of a table, by its first column.
struct Row {
    name: String,
    shown_by: String,
}

/// The rows of `docs/predecessor.md`.
fn rows() -> Vec<Row> {
    let page = fs::read_to_string(workspace().join("docs/predecessor.md")).unwrap();
    let lines = page.lines().filter(|line| line.starts_with("| W-"));
    let row = |line: &str| {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [name, _, shown_by] = cells[..] else { panic!("{line} has not three columns") };
        Row { name: name.to_owned(), shown_by: shown_by.to_owned() }
    };
    lines.map(row).collect()
}

/// The tests that are named as ``[`name`](../path)``.
fn tests(text: &str) -> Vec<(&str, &str)> {
    let links = text.split("[`").skip(1).filter_map(|link| link.split_once("`](../"));
    links.filter_map(|(name, rest)| Some((name, rest.split_once(')')?.0))).collect()
}

#[test]
fn each_defect_of_the_predecessor_has_a_test_that_exists() {
    let studied = [("D", 18), ("F", 4), ("S", 10), ("Q", 9)];
    let expected = studied.iter().flat_map(|(part, count)| (1..=*count).map(move |n| format!("W-{part}{n}")));
    let rows = rows();
    let listed: BTreeSet<String> = rows.iter().map(|row| row.name.clone()).collect();
    assert_eq!((listed, rows.len()), (expected.collect(), studied.iter().map(|(_, count)| *count).sum()));
    for Row { name: row, shown_by } in rows {
        let tests = tests(&shown_by);
        assert!(tests.is_empty() == shown_by.starts_with("not here: "), "{row}: {shown_by}");
        for (test, path) in tests {
            let code =
                fs::read_to_string(workspace().join(path)).unwrap_or_else(|error| panic!("{row}: {path}: {error}"));
            assert!(code.contains(&format!("fn {test}(")), "{row}: there is no `{test}` in {path}");
        }
    }
}

#[test]
fn a_broker_in_a_container_has_the_settings_of_the_one_that_is_tested_with() {
    let read = |path: &str| fs::read_to_string(workspace().join(path)).unwrap();
    let (settings, compose) = (read("scripts/services/kafka/server.properties"), read("compose.yaml"));
    let in_container: BTreeSet<&str> = compose.lines().map(str::trim).collect();
    let mut compared = 0;
    // Where they listen, and where their data are, is another matter in a container.
    let elsewhere = ["listeners", "advertised.listeners", "controller.quorum.voters", "log.dirs"];
    for (name, value) in settings.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once('='))
    {
        if elsewhere.contains(&name) {
            continue;
        }
        let variable = format!("KAFKA_{}", name.to_uppercase().replace('.', "_"));
        let is_so = [format!("{variable}: {value}"), format!("{variable}: \"{value}\"")];
        assert!(is_so.iter().any(|line| in_container.contains(&**line)), "compose.yaml has no {}", is_so[0]);
        compared += 1;
    }
    assert!(compared > 15, "only {compared} settings were compared");
    for (service, pom) in [("apache/kafka:", "kafka"), ("amazon/dynamodb-local:", "dynamodb")] {
        let image = compose.lines().find_map(|line| line.trim().strip_prefix("image: ")?.strip_prefix(service));
        let pom = read(&format!("scripts/services/{pom}/pom.xml"));
        assert!(image.is_some_and(|version| pom.contains(&format!("version>{version}<"))), "{service}{image:?}");
    }
}

#[test]
fn the_pipelines_of_the_readme_are_a_program_that_is_built() {
    let page = fs::read_to_string(workspace().join("README.md")).unwrap();
    let program = fs::read_to_string(workspace().join("tests/examples/likes.rs")).unwrap();
    let (about_pipelines, _) = page.split_once("## What a field is read from").unwrap();
    let blocks = about_pipelines.split("```rust\n").skip(1).map(|block| block.split_once("```").unwrap().0);
    let items: Vec<&str> = blocks.flat_map(|block| block.split("\n\n")).map(str::trim).collect();
    assert!(items.len() > 5, "{items:?}");
    for item in items.iter().filter(|item| !item.starts_with("murmur::main!")) {
        assert!(program.contains(item), "tests/examples/likes.rs has no\n{item}");
    }
}

/// The pages of the project, without those that are part of the documentation of the code, which rustdoc looks at.
fn pages() -> Vec<PathBuf> {
    let mut pages = vec![workspace().join("README.md"), workspace().join("bench/README.md")];
    let mut folders = vec![workspace().join("docs")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "md") {
                pages.push(path);
            }
        }
    }
    pages
}

/// The lines of a page that are no code.
fn prose(page: &str) -> impl Iterator<Item = &str> {
    let mut code = false;
    page.lines().filter(move |line| {
        let fence = line.trim_start().starts_with("```");
        code ^= fence;
        !code && !fence
    })
}

/// What the links of a page lead to.
fn links(page: &str) -> impl Iterator<Item = &str> {
    prose(page).flat_map(|line| line.split("](").skip(1)).filter_map(|link| Some(link.split_once(')')?.0))
}

/// The heading that a link can name: as GitHub makes it.
fn anchor(heading: &str) -> String {
    let kept = heading.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
    kept.flat_map(char::to_lowercase).map(|c| if c == ' ' { '-' } else { c }).collect()
}

/// What is wrong with a link, if anything is.
fn broken(page: &Path, link: &str) -> Option<String> {
    let (path, heading) = link.split_once('#').unwrap_or((link, ""));
    let file = if path.is_empty() { page.to_path_buf() } else { page.parent()?.join(path) };
    if !file.exists() {
        return Some(format!("{}: there is no `{path}`", page.display()));
    }
    let headings =
        |text: &str| prose(text).any(|line| line.starts_with('#') && anchor(line.trim_matches(['#', ' '])) == heading);
    let found = heading.is_empty() || headings(&fs::read_to_string(file).unwrap());
    (!found).then(|| format!("{}: `{path}` has no heading `{heading}`", page.display()))
}

#[test]
fn links_lead_to_files_and_headings_that_exist() {
    let (mut checked, mut wrong) = (0, Vec::new());
    for page in pages() {
        let text = fs::read_to_string(&page).unwrap();
        for link in links(&text).filter(|link| !link.starts_with("http")) {
            checked += 1;
            wrong.extend(broken(&page, link));
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
    assert!(checked > 100, "only {checked} links were looked at");
    let readme = workspace().join("README.md");
    for link in ["docs/no-such.md", "docs/fuzzing.md#no-such-heading", "#no-such-heading"] {
        assert!(broken(&readme, link).is_some(), "{link}");
    }
}

#[test]
fn every_decision_is_in_the_list() {
    let list = fs::read_to_string(workspace().join("docs/decisions/README.md")).unwrap();
    for page in pages().into_iter().filter(|page| page.parent().is_some_and(|folder| folder.ends_with("decisions"))) {
        let name = page.file_stem().unwrap().to_str().unwrap().to_owned();
        let text = fs::read_to_string(&page).unwrap();
        let title = text.lines().next().unwrap();
        assert!(title.starts_with("# "), "`{name}` has no title");
        assert!(
            name == "README" || list.contains(&format!("\n| [{name}]({name}.md) | ")),
            "`{name}` is not in the list"
        );
    }
}
