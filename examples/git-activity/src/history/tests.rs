use super::*;

/// What `git log` prints for: a first commit with a binary file and a name with a tab and a line end; a rename; a
/// merge; a commit that was written after it was committed.
const LOG: &str = concat!(
    "\x01aaaa\0Zoë \"Q\"\0100\0200\0first \"commit\"\0\n-\t-\tbin\x002\t0\tta\tb\nx.txt\0",
    "\x01bbbb\0Bo\0300\0300\0second\0\n1\t0\ta/b/c/é\x003\t1\t\0a/old\0a/b/new\0",
    "\x01cccc\0Bo\0300\0301\0Merge branch 'o'\0",
    "\x01dddd\0Bo\0900\0400\0last\0\n7\t8\tdocs/x\0",
);

fn events(log: &str) -> (Converted, Vec<Change>) {
    let mut out = Vec::new();
    let converted = read(log.as_bytes(), "p", &mut out).unwrap();
    let lines = String::from_utf8(out).unwrap();
    (converted, lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect())
}

#[test]
fn each_change_of_each_commit_is_an_event() {
    let (converted, events) = events(LOG);
    assert_eq!(converted, Converted { commits: 4, events: 6 });
    let seen: Vec<_> = events.iter().map(|e| (e.path.as_deref(), e.folder.as_str(), e.added, e.removed)).collect();
    assert_eq!(
        seen,
        [
            (Some("bin"), ".", 0, 0),
            (Some("ta\tb\nx.txt"), ".", 2, 0),
            (Some("a/b/c/é"), "a/b", 1, 0),
            (Some("a/b/new"), "a/b", 3, 1),
            (None, "", 0, 0),
            (Some("docs/x"), "docs", 7, 8),
        ]
    );
}

#[test]
fn a_commit_opens_once_and_so_does_each_folder_in_it() {
    let (_, events) = events(LOG);
    let opens: Vec<_> = events.iter().map(|e| (e.opens_commit, e.opens_folder)).collect();
    assert_eq!(opens, [(true, true), (false, false), (true, true), (false, false), (true, false), (true, true)]);
}

#[test]
fn nothing_is_written_after_it_is_committed() {
    let (_, events) = events(LOG);
    let seconds: Vec<_> = events.iter().map(|e| e.at.floor_seconds()).collect();
    assert_eq!(seconds, [100, 100, 300, 300, 300, 400]);
}

#[test]
fn an_empty_log_has_no_events() {
    assert_eq!(events("").0, Converted::default());
}
