//! The rows of the fault matrix in their short form, with real processes, a real broker and real tables, which `MURMUR_TEST_KAFKA` and
//! `MURMUR_TEST_DYNAMODB` name; and the table of them in the documentation.

#![cfg(feature = "faults")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]
#![allow(clippy::print_stdout, reason = "cargo shows it when a test fails")]

use std::path::{Path, PathBuf};
use std::sync::Mutex;

use murmur_testkit::faults::{Instead, Settings, elsewhere, rows, run};

/// Rows at the same time. They wait more than they work.
const AT_ONCE: usize = 3;

/// In all others workers keep one aggregate of each kind too. Where write units are limited its large values take as long
/// as the units do; the last two are about the harness.
const WITHOUT_KINDS: [&str; 3] = ["F13", "H01", "H02"];

/// Those that take the longest begin first, so that none of them is left alone at the end; from the longest.
const FIRST: [&str; 5] = ["F12", "F17", "F43", "F17b", "F16"];

/// The seed is in the output when a row fails; `MURMUR_SEED` gives it again.
fn seed() -> u64 {
    std::env::var("MURMUR_SEED").map_or_else(|_| fastrand::u64(..1_000_000), |seed| seed.parse().unwrap())
}

#[test]
fn no_fault_does_worse_than_its_row_allows() {
    let program = PathBuf::from(env!("CARGO_BIN_EXE_murmur-testkit"));
    let settings = Settings { program, seed: seed(), length: None, kinds: false };
    println!("seed {}", settings.seed);
    let mut rows: Vec<_> = rows().iter().collect();
    rows.sort_by_key(|row| FIRST.iter().position(|number| *number == row.number).unwrap_or(FIRST.len()));
    let waiting = Mutex::new(rows.into_iter());
    let bad = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                loop {
                    let Some(row) = waiting.lock().unwrap().next() else { break };
                    let settings = Settings { kinds: !WITHOUT_KINDS.contains(&row.number), ..settings.clone() };
                    let run = run(row, &settings).unwrap_or_else(|failure| panic!("{}: {failure}", row.number));
                    println!("{} {} ({:?}) {:?}", row.number, run.finding.verdict, run.took, run.finding.figures);
                    if !run.is_good() {
                        println!("{}", run.finding.log);
                        bad.lock().unwrap().push(format!("{}: {}", row.number, run.finding.verdict));
                    }
                }
            });
        }
    });
    let bad = bad.into_inner().unwrap();
    assert!(bad.is_empty(), "{bad:#?}");
}

#[test]
fn the_documentation_lists_every_fault_and_every_row_that_is_built() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/faults.md");
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let line = |number: &str| text.lines().find(|line| line.starts_with(&format!("| {number} |")));
    for number in 1..=43 {
        let number = format!("F{number:02}");
        let listed = line(&number).unwrap_or_else(|| panic!("{number} is not listed"));
        let is_built = rows().iter().any(|row| row.number == number);
        let without_row: Vec<_> = elsewhere().iter().filter(|fault| fault.number == number).collect();
        assert_eq!(usize::from(is_built) + without_row.len(), 1, "{number}: a row, or why there is none");
        let (is_missing, is_elsewhere) = (listed.contains("| not built yet |"), listed.contains("| another test |"));
        assert_eq!([is_built, is_missing, is_elsewhere].map(u8::from).iter().sum::<u8>(), 1, "{listed}");
        let Some(fault) = without_row.first() else { continue };
        let (is_as_said, why) = match fault.instead {
            Instead::NotBuilt(why) => (is_missing, why),
            Instead::Test(name) => {
                let runtime = Path::new(env!("CARGO_MANIFEST_DIR")).join("../murmur/src");
                assert!(is_written(&format!("async fn {name}()"), &runtime), "no test `{name}`: {listed}");
                (is_elsewhere, name)
            }
        };
        assert!(is_as_said && listed.contains(fault.about) && listed.contains(why), "{fault:?}: {listed}");
    }
    for row in rows() {
        let listed = line(row.number).unwrap_or_else(|| panic!("{} is not listed", row.number));
        assert!(listed.contains(row.about) && listed.contains(row.allows[0]), "{listed}");
    }
}

/// Whether a text stands in a file of this folder or of one in it.
fn is_written(text: &str, folder: &Path) -> bool {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    entries.map(|entry| entry.map_or_else(|error| panic!("{error}"), |entry| entry.path())).any(|path| {
        path.is_dir() && is_written(text, &path)
            || path.extension().is_some_and(|end| end == "rs")
                && std::fs::read_to_string(&path).is_ok_and(|source| source.contains(text))
    })
}
