use std::sync::Arc;
use std::sync::mpsc::Receiver;

use redb::{ReadableTable, WriteTransaction};
use tokio::sync::oneshot;

use super::failure::Failure;
use super::folder::Folder;
use super::format::{self, Names, PartitionNames, ShelfName};
use super::rows::Rows;
use crate::source::{RecordOutcome, Shelf, Version};
use crate::store::condition::apply;
use crate::store::{Item, Outcome, Table, Write, Writes};
use crate::time::Timestamp;
use crate::{Error, ErrorKind, Result};

/// What the writer can be asked for.
pub(super) enum Job {
    Tiles(Request<TileWrites, Vec<Result<Outcome>>>),
    Record(Request<RecordWrite, RecordOutcome>),
    Expire(Request<Expiry, usize>),
}

/// Conditional writes of tiles, and the row of each.
pub(super) struct TileWrites {
    pub(super) table: Table,
    pub(super) rows: Rows,
    pub(super) writes: Writes,
}

/// A conditional write of a record.
pub(super) struct RecordWrite {
    pub(super) shelf: Shelf,
    pub(super) name: String,
    pub(super) bytes: Vec<u8>,
    pub(super) expected: Option<Version>,
}

/// The removal of what has expired.
pub(super) struct Expiry {
    pub(super) table: Table,
    pub(super) now: Timestamp,
    pub(super) limit: usize,
}

/// A request, what came of it inside the transaction, and who is to be told once that is on disk.
pub(super) struct Request<A, B> {
    ask: A,
    outcome: Option<B>,
    reply: oneshot::Sender<Result<B>>,
}

impl<A, B> Request<A, B> {
    pub(super) fn new(ask: A) -> (Self, oneshot::Receiver<Result<B>>) {
        let (reply, receiver) = oneshot::channel();
        (Self { ask, outcome: None, reply }, receiver)
    }

    fn tell(self, committed: &Result<()>) {
        let answer = match (committed, self.outcome) {
            (Ok(()), Some(outcome)) => Ok(outcome),
            (Ok(()), None) => Err(Error::new(ErrorKind::Internal, "the store passed over a request")),
            (Err(error), _) => Err(error.again()),
        };
        // Whoever has stopped waiting has lost interest in the answer only: the write has happened all the same.
        drop(self.reply.send(answer));
    }
}

/// The one thread that writes.
///
/// A commit takes one `fsync`, whatever it holds, and blocks for milliseconds. So writes do not happen where they are
/// asked for, in the middle of some runtime, but here; and whatever is asked for while one commit is under way goes
/// into the next one together. Reads do happen where they are asked for: nearly all of them are answered from memory.
pub(super) struct Writer {
    folder: Arc<Folder>,
    names: PartitionNames,
    /// The encoded item, kept for its memory.
    buffer: Vec<u8>,
    /// What stood in its row before, kept for its memory.
    stood: Vec<u8>,
    /// Whether nothing stood in the row that was written last.
    is_new: bool,
}

/// Enough requests for one transaction: more would only make the first of them wait.
const ENOUGH: usize = 64;

impl Writer {
    pub(super) fn new(folder: Arc<Folder>) -> Self {
        Self { folder, names: PartitionNames::default(), buffer: Vec::new(), stood: Vec::new(), is_new: true }
    }

    /// Work until every handle of the store is gone.
    pub(super) fn run(mut self, jobs: Receiver<Job>) {
        while let Ok(first) = jobs.recv() {
            let mut batch = vec![first];
            batch.extend(jobs.try_iter().take(ENOUGH - 1));
            let committed = self.transact(&mut batch).map_err(|failure| failure.of(&self.folder.path));
            for job in batch {
                match job {
                    Job::Tiles(request) => request.tell(&committed),
                    Job::Record(request) => request.tell(&committed),
                    Job::Expire(request) => request.tell(&committed),
                }
            }
        }
    }

    /// Carry out a batch in one transaction. When this is `Ok` all of it is on disk; otherwise nothing is, unless it
    /// was the disk that failed, in the very act of committing.
    fn transact(&mut self, batch: &mut [Job]) -> Result<(), Failure> {
        let folder = self.folder.clone();
        let transaction = folder.database.begin_write()?;
        let mut changed = false;
        for job in batch {
            changed |= match job {
                Job::Tiles(request) => {
                    let outcomes = self.write_tiles(&transaction, &request.ask)?;
                    request.outcome.insert(outcomes).iter().any(|outcome| matches!(outcome, Ok(Outcome::Applied)))
                }
                Job::Record(request) => {
                    let outcome = write_record(&transaction, &request.ask)?;
                    matches!(request.outcome.insert(outcome), RecordOutcome::Written(_))
                }
                Job::Expire(request) => *request.outcome.insert(expire(&transaction, &request.ask)?) > 0,
            };
        }
        // What is refused is refused because of something on disk already, or in this very commit.
        if changed {
            transaction.commit()?
        } else {
            transaction.abort()?
        }
        Ok(())
    }

    fn write_tiles(
        &mut self,
        transaction: &WriteTransaction,
        ask: &TileWrites,
    ) -> Result<Vec<Result<Outcome>>, Failure> {
        let names = Names::of(&ask.table);
        let mut tiles = transaction.open_table(names.tiles())?;
        let mut expiry = transaction.open_table(names.expiry())?;
        let mut outcomes: Vec<_> = ask.writes.iter().map(|_| None).collect();
        for at in ask.rows.order() {
            outcomes[at] = Some(self.write_tile(&mut tiles, &mut expiry, ask.rows.get(at), &ask.writes[at])?);
        }
        Ok(outcomes.into_iter().flatten().collect())
    }

    fn write_tile(
        &mut self,
        tiles: &mut redb::Table<'_, &'static [u8], &'static [u8]>,
        expiry: &mut redb::Table<'_, &'static [u8], ()>,
        row: &[u8],
        write: &Write,
    ) -> Result<Result<Outcome>, Failure> {
        // Where the row before was a new one, this one is taken for new as well: those that are written often are few, and
        // lie apart. To put a row there costs as much as to look for it, and says what stood there; the transaction hides
        // the wrong guess.
        let mut new = Item::default();
        let is_put = self.is_new && matches!(apply(write, &mut new), Ok(Outcome::Applied));
        let has_stood = {
            let stood = if is_put {
                format::encode_item(&new, &mut self.buffer);
                tiles.insert(row, self.buffer.as_slice())?
            } else {
                tiles.get(row)?
            };
            self.stood.clear();
            stood.inspect(|bytes| self.stood.extend_from_slice(bytes.value())).is_some()
        };
        self.is_new = !has_stood;
        if is_put && self.is_new {
            move_expiry(expiry, row, None, new.expires)?;
            return Ok(Ok(Outcome::Applied));
        }
        let standing = match has_stood {
            true => format::decode_item(write.id(), &self.stood, &mut self.names),
            false => Ok(Item::default()),
        };
        let written = standing.and_then(|mut item| {
            let expired = item.expires;
            let outcome = apply(write, &mut item)?;
            Ok((outcome, item, expired))
        });
        match written {
            Ok((Outcome::Applied, item, expired)) => {
                format::encode_item(&item, &mut self.buffer);
                tiles.insert(row, self.buffer.as_slice())?;
                move_expiry(expiry, row, expired, item.expires)?;
                Ok(Ok(Outcome::Applied))
            }
            unwritten => {
                if is_put {
                    tiles.insert(row, self.stood.as_slice())?;
                }
                Ok(unwritten.map(|(outcome, ..)| outcome))
            }
        }
    }
}

/// Keep the index of what expires, after a row's instant of expiry has changed.
fn move_expiry(
    expiry: &mut redb::Table<'_, &'static [u8], ()>,
    row: &[u8],
    from: Option<Timestamp>,
    to: Option<Timestamp>,
) -> Result<(), Failure> {
    if from == to {
        return Ok(());
    }
    if let Some(at) = from {
        expiry.remove(format::encode_expiry(at, row).as_slice())?;
    }
    if let Some(at) = to {
        expiry.insert(format::encode_expiry(at, row).as_slice(), ())?;
    }
    Ok(())
}

fn write_record(transaction: &WriteTransaction, ask: &RecordWrite) -> Result<RecordOutcome, Failure> {
    let shelf = ShelfName::of(&ask.shelf);
    let mut records = transaction.open_table(shelf.records())?;
    let name = ask.name.as_str();
    let stands = records.get(name)?.map(|bytes| format::decode_record(name, bytes.value())).transpose()?;
    if stands.as_ref().map(|record| record.version) != ask.expected {
        return Ok(RecordOutcome::Refused(stands));
    }
    let version = Version(ask.expected.map_or(0, |version| version.0) + 1);
    records.insert(name, format::encode_record(&ask.bytes, version).as_slice())?;
    Ok(RecordOutcome::Written(version))
}

fn expire(transaction: &WriteTransaction, ask: &Expiry) -> Result<usize, Failure> {
    let names = Names::of(&ask.table);
    let mut tiles = transaction.open_table(names.tiles())?;
    let mut expiry = transaction.open_table(names.expiry())?;
    let mut gone = Vec::new();
    for entry in expiry.range::<&[u8]>(..format::expiry_bound(ask.now).as_slice())?.take(ask.limit) {
        gone.push(entry?.0.value().to_vec());
    }
    for entry in &gone {
        expiry.remove(entry.as_slice())?;
        tiles.remove(format::row_of_expiry(entry))?;
    }
    Ok(gone.len())
}
