//! The first example stays small.

use std::fs;

use murmur_tests::workspace;

#[test]
fn the_page_traffic_pipeline_is_at_most_forty_lines_of_code() {
    let folder = workspace().join("examples/page-traffic");
    let lines: usize = ["src/main.rs", "build.rs"]
        .iter()
        .map(|file| fs::read_to_string(folder.join(file)).unwrap())
        .map(|text| text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("//")).count())
        .sum();
    assert!((20..=40).contains(&lines), "{lines} lines");
}
