use std::path::PathBuf;
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::time::{Instant, sleep_until};

use super::config::JsonlConfig;
use super::listing::{Place, unreadable};
use super::manifest::{Dealt, Ledger, Piece, Rules};
use super::reader::{PieceReader, changed};
use crate::source::{Assignment, Batch, Offset, PartitionId, Poll, Records, Source, Start};
use crate::{Error, ErrorKind, Result};

/// Lines of a file or of the files in a folder. Makes all segments its reader's own.
pub(super) struct FileSource {
    path: PathBuf,
    config: JsonlConfig,
    records: Arc<dyn Records>,
    rules: Rules,
    /// `None` until the first poll.
    open: Option<Open>,
}

struct Open {
    id: String,
    place: Place,
    ledger: Ledger,
    segments: Vec<Segment>,
    /// Which segment is asked next, so that all of them move on together.
    turn: usize,
    /// When to look for new files and lines.
    due: Instant,
}

/// How far one partition is.
struct Segment {
    partition: PartitionId,
    /// Delivers nothing before the engine has said from where.
    sought: bool,
    /// The next piece to read has this number or a larger one.
    number: u64,
    /// Lines of exactly that piece that are not to be delivered.
    skip: u64,
    reader: Option<Reading>,
}

struct Reading {
    number: u64,
    /// Up to which byte of the file.
    to: u64,
    reader: PieceReader,
}

/// The position after all lines of a piece: it stays the end whatever number the last line has.
const END: u64 = u64::MAX;

impl FileSource {
    /// Read what is at `path`; `records` keeps the manifest.
    pub(super) fn new(path: PathBuf, config: JsonlConfig, records: Arc<dyn Records>) -> Self {
        let rules = Rules { follow: config.follow, segments: config.segments, named: config.id.is_some() };
        Self { path, config, records, rules, open: None }
    }

    async fn start(&mut self) -> Result<Poll> {
        let place = Place::resolve(&self.path)?;
        let id = self.config.id.clone().unwrap_or_else(|| format!("{:08x}", crc32fast::hash(place.root.as_bytes())));
        let ledger = Ledger::open(&*self.records, &id, &place, &self.rules).await?;
        let segment = |n: u32| Segment {
            partition: PartitionId::new(format!("f:{id}:{}", n + 1)),
            sought: false,
            number: 1,
            skip: 0,
            reader: None,
        };
        let segments: Vec<Segment> = (0..ledger.manifest.segments).map(segment).collect();
        let assigned = |segment: &Segment| Assignment {
            partition: segment.partition.clone(),
            start: Start::Beginning,
            among: None,
        };
        let assignments = segments.iter().map(assigned).collect();
        let due = Instant::now() + self.config.every.to_std();
        self.open = Some(Open { id, place, ledger, segments, turn: 0, due });
        Ok(Poll::Assigned(assignments))
    }

    async fn next(&mut self) -> Result<Poll> {
        let Some(open) = &mut self.open else { return self.start().await };
        if self.rules.follow && Instant::now() >= open.due {
            open.ledger.refresh(&*self.records, &open.place, &self.rules).await?;
            open.due = Instant::now() + self.config.every.to_std();
        }
        for _ in 0..open.segments.len() {
            let turn = open.turn;
            open.turn = (turn + 1) % open.segments.len();
            if let Some(batch) = open.read(turn, &self.config, &*self.records, &self.rules).await? {
                return Ok(Poll::Batch(batch));
            }
        }
        if !self.rules.follow && open.segments.iter().all(|segment| segment.sought) {
            return Ok(Poll::End);
        }
        sleep_until(open.due).await;
        Ok(Poll::Idle)
    }
}

impl Open {
    /// The next lines of a segment; `None` when it has none now.
    async fn read(
        &mut self,
        turn: usize,
        config: &JsonlConfig,
        records: &dyn Records,
        rules: &Rules,
    ) -> Result<Option<Batch>> {
        let segment = &mut self.segments[turn];
        let index = turn as u32;
        if !segment.sought {
            return Ok(None);
        }
        let Some((number, piece)) = self.ledger.manifest.pieces_of(index, segment.number).next() else {
            return Ok(None);
        };
        let (mut piece, mut fresh) = (piece.clone(), None);
        if segment.reader.as_ref().is_none_or(|reading| reading.number != number) {
            fresh = Some(self.ledger.file(records, &self.place, rules, piece.file).await?);
            // Files may have been looked for again.
            let size = packed_size(&self.place, self.ledger.manifest.file(&piece))?;
            if let Some(size) = size.filter(|size| *size != piece.to) {
                // A compressed file is read as it stands; what it had when it was read must stay so from then on.
                self.ledger.resize(records, &self.place, rules, number, size).await?;
            }
            piece = self.ledger.manifest.piece(number).cloned().unwrap_or(piece);
        }
        let is_last = self.ledger.manifest.pieces_of(index, number + 1).next().is_none();
        if segment.number != number {
            segment.number = number;
            segment.skip = 0;
        }
        let reading = match (&mut segment.reader, fresh) {
            (Some(reading), None) => reading,
            (reader, Some(file)) => {
                let dealt = self.ledger.manifest.file(&piece);
                let (path, whole) = (self.place.path(&dealt.path), dealt.was_packed());
                let open = PieceReader::open(file, path, number, &piece, whole, segment.skip, config)?;
                reader.insert(Reading { number, to: piece.to, reader: open })
            }
            (None, None) => return Ok(None),
        };
        reading.reader.extend(piece.to.saturating_sub(reading.to));
        reading.to = reading.to.max(piece.to);

        let mut batch = Batch { partition: Some(segment.partition.clone()), ..Batch::default() };
        match reading.reader.read(piece.sealed)? {
            Some(cut) => {
                // How many lines the rest has cannot be told before it is read.
                batch.lag = (is_last && reading.reader.is_done()).then_some(0);
                batch.buffer = cut.buffer;
                batch.payloads = cut.payloads;
                batch.reached = Some(reading.reader.position());
            }
            None if piece.sealed => {
                batch.lag = is_last.then_some(0);
                batch.reached = Some(Offset::from_pair(number, END));
                segment.number = number + 1;
                segment.skip = 0;
                segment.reader = None;
            }
            None => return Ok(None),
        }
        Ok(Some(batch))
    }

    fn segment(&self, partition: &PartitionId) -> Result<usize> {
        self.segments.iter().position(|segment| segment.partition == *partition).ok_or_else(|| {
            let context = format!("`{partition}` is not a partition of `{}`", self.place.root);
            Error::new(ErrorKind::InvalidArgument, context)
        })
    }

    fn seek(&mut self, partition: &PartitionId, after: Option<Offset>) -> Result<()> {
        let at = self.segment(partition)?;
        let manifest = &self.ledger.manifest;
        let (number, line) = match after.map(|offset| offset.words()) {
            None => (1, 0),
            Some([0, 0, number, line])
                if manifest.pieces_of(at as u32, number).next().is_some_and(|p| p.0 == number) =>
            {
                (number, line)
            }
            Some(_) => {
                let context = format!(
                    "position {} of `{partition}` is not in the manifest `{}`; was the record lost?",
                    after.unwrap_or(Offset::ZERO),
                    self.id
                );
                return Err(Error::new(ErrorKind::OutOfRange, context));
            }
        };
        let next = if line == END { number + 1 } else { number };
        for (_, piece) in manifest.pieces_of(at as u32, 1).take_while(|(number, _)| *number < next) {
            self.check_unchanged(piece)?;
        }
        let skip = if line == END { 0 } else { line };
        let segment = &mut self.segments[at];
        *segment = Segment { sought: true, number: next, skip, reader: None, partition: partition.clone() };
        Ok(())
    }

    /// Read also what stands before, from the first file on behind which none is gone: how many lines that is cannot be
    /// told before they are read.
    fn seek_before(&mut self, partition: &PartitionId, after: Option<Offset>) -> Result<()> {
        self.seek(partition, after)?;
        let at = self.segment(partition)?;
        let manifest = &self.ledger.manifest;
        let before = manifest.pieces_of(at as u32, 1).take_while(|(number, _)| *number < self.segments[at].number);
        let gone = before.filter(|(_, piece)| {
            let dealt = manifest.file(piece);
            dealt.gone || !self.place.path(&dealt.path).exists()
        });
        let (files, number) = gone.fold((0, 0), |(files, _), (number, _)| (files + 1, number));
        if files > 0 {
            tracing::warn!(%partition, files, "files are gone: what repeats one of their events counts as new");
        }
        self.segments[at].number = number + 1;
        self.segments[at].skip = 0;
        Ok(())
    }

    /// A compressed file that was read to its end has nothing more to say.
    fn check_unchanged(&self, piece: &Piece) -> Result<()> {
        let dealt = self.ledger.manifest.file(piece);
        match packed_size(&self.place, dealt) {
            Ok(Some(size)) if size != piece.to => {
                let path = self.place.path(&dealt.path);
                Err(changed(&path, &format!("it had {} bytes when it was read and has {size} now", piece.to)))
            }
            // It may be gone by now.
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}

fn not_assigned(partition: &PartitionId) -> Error {
    Error::new(ErrorKind::InvalidArgument, format!("`{partition}` was not assigned yet"))
}

/// The size of a file that was dealt as a compressed one; `None` of any other.
fn packed_size(place: &Place, dealt: &Dealt) -> Result<Option<u64>> {
    if !dealt.was_packed() || dealt.gone {
        return Ok(None);
    }
    let path = place.path(&dealt.path);
    std::fs::metadata(&path).map(|metadata| Some(metadata.len())).map_err(|error| unreadable(&path, error))
}

impl Source for FileSource {
    fn poll(&mut self) -> BoxFuture<'_, Result<Poll>> {
        self.next().boxed()
    }

    fn seek<'a>(&'a mut self, partition: &'a PartitionId, after: Option<Offset>) -> BoxFuture<'a, Result<()>> {
        async move {
            match &mut self.open {
                Some(open) => open.seek(partition, after),
                None => Err(not_assigned(partition)),
            }
        }
        .boxed()
    }

    fn seek_before<'a>(
        &'a mut self,
        partition: &'a PartitionId,
        after: Option<Offset>,
        _: u64,
    ) -> BoxFuture<'a, Result<()>> {
        async move {
            match &mut self.open {
                Some(open) => open.seek_before(partition, after),
                None => Err(not_assigned(partition)),
            }
        }
        .boxed()
    }

    /// Positions lie in the engine's own records.
    fn commit<'a>(&'a mut self, _: &'a [(PartitionId, Offset)]) -> BoxFuture<'a, Result<()>> {
        async { Ok(()) }.boxed()
    }

    fn place(&self, partition: &PartitionId, offset: Offset) -> Option<String> {
        let open = self.open.as_ref()?;
        open.segment(partition).ok()?;
        let [0, 0, number, line] = offset.words() else { return None };
        let piece = open.ledger.manifest.piece(number)?;
        let path = open.place.path(&open.ledger.manifest.file(piece).path);
        // Lines of a piece that begins inside a file are counted from there.
        let from = if piece.from > 0 { format!(" after byte {}", piece.from) } else { String::new() };
        Some(format!("{}:{line}{from}", path.display()))
    }
}
