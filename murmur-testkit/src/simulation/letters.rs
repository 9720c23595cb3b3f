//! Where dead letters lie. The folder of several workers is a model of `FileDeadLetters`: what a schedule finds is an error of how
//! workers use such a folder, and not of the files themselves, which have tests of their own.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use futures_util::future::BoxFuture;
use murmur::Result;
use murmur::source::{Commits, DeadLetters, Letter, Offset, PartitionId};

use super::defect::Defect;
use super::log::{Broker, Shared, lock};

/// Between taking letters and having them durable.
const SYNC: Duration = Duration::from_millis(5);
/// The same where workers share a disk, at most; in milliseconds.
const LONGEST_SYNC: u64 = 500;

/// The places of dead letters, which outlive all workers.
#[derive(Debug, Default)]
pub(super) struct Letters {
    /// Coordinates of all letters and their pipelines, with the folder of one worker that they lie in.
    dead: BTreeSet<(usize, PartitionId, Offset, &'static str)>,
    /// Which of these folders have an owner.
    folders: BTreeSet<usize>,
    /// The folder of all workers, where they are those of one process.
    sheets: Sheets,
}

impl Letters {
    /// How often this one is there, in the folder that all workers share, or in any of their own.
    pub(super) fn count(&self, partition: &PartitionId, offset: Offset, pipeline: &str) -> usize {
        let own = self.dead.iter().any(|(_, of, at, name)| of == partition && *at == offset && *name == pipeline);
        let is_it = |line: &&Line| line.partition == *partition && line.offset == offset && line.pipeline == pipeline;
        usize::from(own) + self.sheets.lines.iter().filter(is_it).count()
    }

    /// How often a worker had a letter that another one had put.
    pub(super) fn met(&self) -> u64 {
        self.sheets.met
    }

    /// The process of all workers is killed: what was not durable may be there or not.
    pub(super) fn crash(&mut self, rng: &mut fastrand::Rng) {
        self.sheets.lines.retain(|line| line.durable || rng.bool());
        self.sheets.known.clear();
    }
}

/// A folder of dead letters. One owner has it at a time; the next one finds what the one before put there.
pub(super) struct Folder {
    broker: Shared<Broker>,
    number: usize,
    /// Whether it forgets when told to, as a folder does; a topic cannot.
    forgets: bool,
    unsynced: Vec<Letter>,
}

impl Folder {
    /// The first one that nobody has.
    pub(super) fn open(broker: &Shared<Broker>, forgets: bool) -> Self {
        let mut inner = lock(broker);
        let folders = &mut inner.letters.folders;
        let number = (0..).find(|number| !folders.contains(number)).unwrap_or_default();
        folders.insert(number);
        drop(inner);
        Self { broker: broker.clone(), number, forgets, unsynced: Vec::new() }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        lock(&self.broker).letters.folders.remove(&self.number);
    }
}

impl DeadLetters for Folder {
    fn rewind<'a>(&'a mut self, partition: &'a PartitionId, commits: Commits<'a>) -> BoxFuture<'a, Result<()>> {
        self.unsynced.clear();
        if self.forgets {
            lock(&self.broker).letters.dead.retain(|(number, of, offset, pipeline)| {
                *number != self.number || of != partition || !is_beyond(commits, pipeline, *offset)
            });
        }
        Box::pin(async { Ok(()) })
    }

    fn passed<'a>(&'a mut self, _: &'a PartitionId, _: Commits<'a>) -> BoxFuture<'a, ()> {
        Box::pin(async {})
    }

    fn put(&mut self, letters: Vec<Letter>) -> BoxFuture<'_, Result<()>> {
        self.unsynced.extend(letters);
        Box::pin(async { Ok(()) })
    }

    fn sync(&mut self) -> BoxFuture<'_, Result<()>> {
        Box::pin(async {
            tokio::time::sleep(SYNC).await;
            let number = self.number;
            let mut broker = lock(&self.broker);
            for Letter { partition, offset, pipelines, .. } in self.unsynced.drain(..) {
                let dead = pipelines.into_iter().map(|name| (number, partition.clone(), offset, name));
                broker.letters.dead.extend(dead);
            }
            Ok(())
        })
    }
}

/// Whether an offset is beyond the commit of a pipeline; not of one that is not named.
fn is_beyond(commits: Commits<'_>, pipeline: &str, offset: Offset) -> bool {
    let commit = commits.iter().find(|(name, _)| *name == pipeline);
    commit.is_some_and(|(_, commit)| Some(offset) > *commit)
}

/// What the workers of a process have put into one folder; as [`FileDeadLetters`](murmur::source::FileDeadLetters)
/// keeps it.
#[derive(Debug, Default)]
struct Sheets {
    lines: Vec<Line>,
    /// Which letters need not be put any more; of a pipeline that has taken the partition in this process.
    known: HashMap<(PartitionId, &'static str), Known>,
    /// How many lines there ever were.
    written: u64,
    /// How often a letter was left out that another worker had put.
    met: u64,
}

#[derive(Debug)]
struct Line {
    partition: PartitionId,
    offset: Offset,
    pipeline: &'static str,
    /// Which line it was, of all that there ever were.
    number: u64,
    /// By which worker.
    by: u64,
    durable: bool,
}

#[derive(Debug, Default)]
struct Known {
    /// Whoever let the commit pass had those before it stored.
    passed: Option<Offset>,
    /// Put since then, and by whom.
    beyond: HashMap<Offset, u64>,
}

impl Known {
    fn pass(&mut self, commit: Option<Offset>) {
        self.passed = self.passed.max(commit);
        self.beyond.retain(|offset, _| Some(*offset) > commit);
    }
}

/// One worker's way to the folder that it shares with others.
pub(super) struct Desk {
    broker: Shared<Broker>,
    /// Which worker.
    worker: u64,
    defect: Option<Defect>,
    rng: Shared<fastrand::Rng>,
}

impl Desk {
    pub(super) fn at(
        broker: &Shared<Broker>,
        worker: u64,
        defect: Option<Defect>,
        rng: &Shared<fastrand::Rng>,
    ) -> Self {
        Self { broker: broker.clone(), worker, defect, rng: rng.clone() }
    }
}

impl DeadLetters for Desk {
    fn rewind<'a>(&'a mut self, partition: &'a PartitionId, commits: Commits<'a>) -> BoxFuture<'a, Result<()>> {
        let mut broker = lock(&self.broker);
        let Sheets { lines, known, .. } = &mut broker.letters.sheets;
        for (name, commit) in commits {
            let key = (partition.clone(), *name);
            // What was put by this process stays: one that has lost the partition may still raise the commit over it.
            if !known.contains_key(&key) || self.defect == Some(Defect::LettersCutAgain) {
                lines.retain(|line| {
                    line.partition != *partition || line.pipeline != *name || Some(line.offset) <= *commit
                });
                known.remove(&key);
            }
            known.entry(key).or_default().pass(*commit);
        }
        Box::pin(async { Ok(()) })
    }

    fn passed<'a>(&'a mut self, partition: &'a PartitionId, commits: Commits<'a>) -> BoxFuture<'a, ()> {
        let mut broker = lock(&self.broker);
        for (name, commit) in commits {
            broker.letters.sheets.known.entry((partition.clone(), *name)).or_default().pass(*commit);
        }
        Box::pin(async {})
    }

    fn put(&mut self, letters: Vec<Letter>) -> BoxFuture<'_, Result<()>> {
        let mut broker = lock(&self.broker);
        let Sheets { lines, known, written, met } = &mut broker.letters.sheets;
        for Letter { partition, offset, pipelines, .. } in letters {
            for pipeline in pipelines {
                let known = known.entry((partition.clone(), pipeline)).or_default();
                let by = known.beyond.get(&offset).copied();
                let is_known = match self.defect {
                    Some(Defect::LettersOfOneWorker) => by == Some(self.worker),
                    _ => by.is_some() || Some(offset) <= known.passed,
                };
                *met += u64::from(by.is_some_and(|by| by != self.worker));
                if is_known {
                    continue;
                }
                known.beyond.insert(offset, self.worker);
                *written += 1;
                let (number, by, partition) = (*written, self.worker, partition.clone());
                lines.push(Line { partition, offset, pipeline, number, by, durable: false });
            }
        }
        Box::pin(async { Ok(()) })
    }

    fn sync(&mut self) -> BoxFuture<'_, Result<()>> {
        let until = lock(&self.broker).letters.sheets.written;
        let takes = Duration::from_millis(lock(&self.rng).u64(1..LONGEST_SYNC));
        Box::pin(async move {
            tokio::time::sleep(takes).await;
            let own_only = self.defect == Some(Defect::LettersSyncedByOne);
            for line in &mut lock(&self.broker).letters.sheets.lines {
                // Those of others too: what they have put was left out here.
                line.durable |= line.number <= until && (!own_only || line.by == self.worker);
            }
            Ok(())
        })
    }
}
