use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use futures_util::future::join_all;

use super::{one, open, table, tile};
use crate::aggregate::Number;
use crate::source::{Offset, PartitionId, RecordOutcome, Records};
use crate::store::{Consistency, Outcome, Store};

const FOLDER: &str = "MURMUR_TEST_KILLED_STORE";
const PARTITIONS: [&str; 2] = ["p", "q"];
const KEYS: usize = 40;

fn key(n: usize) -> String {
    format!("key {n}")
}

/// How far a partition is, as the state itself says.
async fn applied(store: &impl Store, key: &str, partition: &str) -> (u64, i128) {
    let item = store.get(&table(), &[tile(key)], Consistency::Strong).await.unwrap().remove(0).unwrap_or_default();
    let offset = item.offset(&PartitionId::new(partition)).unwrap_or(Offset::ZERO);
    let total = item.numbers.first().map_or(0, |(_, number)| match number {
        Number::Int(n) => *n,
        Number::Float { .. } => panic!("only whole numbers were written"),
    });
    (offset.words()[3], total)
}

/// The process that gets killed: two partitions add one to each of forty tiles, round after round, and say so when a
/// round is acknowledged.
#[tokio::test]
#[ignore = "run as a child by `acknowledged_writes_survive_kills`"]
async fn killed_writer() {
    let store = open(Path::new(&std::env::var(FOLDER).unwrap())).unwrap();
    let partition = async |name: &str| {
        let mut round = applied(&store, &key(0), name).await.0;
        loop {
            round += 1;
            let writes: Vec<_> = (0..KEYS).map(|n| one(&key(n), name, round)).collect();
            let outcomes = store.write(&table(), writes.into()).await;
            assert!(outcomes.iter().all(|outcome| matches!(outcome, Ok(Outcome::Applied))), "{outcomes:?}");
            let stands = store.record(&table().shelf(), name).await.unwrap().map(|record| record.version);
            let put = store.put_record(&table().shelf(), name, round.to_string().into_bytes(), stands).await.unwrap();
            assert!(matches!(put, RecordOutcome::Written(_)));
            // In one piece, and on a line of its own after what the test harness prints.
            std::io::stdout().write_all(format!("\nacknowledged {name} {round}\n").as_bytes()).unwrap();
            std::io::stdout().flush().unwrap();
        }
    };
    join_all(PARTITIONS.map(partition)).await;
}

fn writer(folder: &Path) -> Child {
    let name = format!("{}::killed_writer", module_path!().split_once("::").unwrap().1);
    Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", &name, "--nocapture", "--test-threads=1"])
        .env(FOLDER, folder)
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap()
}

#[tokio::test]
async fn acknowledged_writes_survive_kills() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("store");
    let mut acknowledged: HashMap<String, u64> = HashMap::new();
    let mut heard = 0;
    // The first ones die while they make or open the store, the others in the middle of their writes.
    for acknowledgements in [0, 0, 0, 1, 2, 3, 5, 8, 13, 21, 34, 55, 7, 1] {
        let mut child = writer(&folder);
        let lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
        let mut lines = lines.filter(|line| line.starts_with("acknowledged "));
        let mut hear = |lines: &mut dyn Iterator<Item = String>| {
            for line in lines {
                let words: Vec<&str> = line.split(' ').collect();
                acknowledged.insert(words[1].to_owned(), words[2].parse().unwrap());
                heard += 1;
            }
        };
        hear(&mut lines.by_ref().take(acknowledgements));
        child.kill().unwrap();
        // What it said before it died counts too.
        hear(&mut lines);
        child.wait().unwrap();

        let store = open(&folder).unwrap();
        let mut totals = HashMap::<String, i128>::new();
        for partition in PARTITIONS {
            let said = acknowledged.get(partition).copied().unwrap_or(0);
            let (stands, _) = applied(&store, &key(0), partition).await;
            assert!(stands >= said, "{partition}: round {said} was acknowledged, {stands} is there");
            for n in 0..KEYS {
                assert_eq!(applied(&store, &key(n), partition).await.0, stands, "a write call is there as a whole");
                *totals.entry(key(n)).or_default() += i128::from(stands);
            }
            let record = store.record(&table().shelf(), partition).await.unwrap();
            let recorded: u64 = record.map_or(0, |r| String::from_utf8(r.bytes).unwrap().parse().unwrap());
            assert!((said..=stands).contains(&recorded), "{partition}: {said} <= {recorded} <= {stands}");
        }
        for (key, total) in totals {
            assert_eq!(applied(&store, &key, "p").await.1, total, "value and offsets are of one moment");
        }
    }
    assert!(heard >= 100, "the writers were killed in the middle of work");
}
