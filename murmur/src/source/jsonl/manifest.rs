use std::collections::HashMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::head::Head;
use super::listing::{Found, Packing, Place, unreadable};
use crate::source::{RecordOutcome, Records, Shelf, Version};
use crate::{Error, ErrorKind, Result};

/// Which bytes are at which position, for ever: what was dealt out of the files, in order.
///
/// As JSON in the record `manifest/<id>`. It only grows: pieces are appended, and the last piece of a segment may get
/// longer as long as it is not sealed. Sources read only what it names, so that two of them that overlap, one of
/// which knows less than the other, never give one position two meanings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Manifest {
    format: u32,
    /// Path of the input when the manifest was made.
    root: String,
    pub(super) segments: u32,
    pub(super) files: Vec<Dealt>,
    /// A piece's number is its place in here, from 1.
    pieces: Vec<Piece>,
}

/// A file of which something was dealt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Dealt {
    pub(super) path: String,
    head: Head,
    /// How much of it was dealt: everything before this byte.
    pub(super) size: u64,
    segment: u32,
}

/// Bytes of one file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Piece {
    /// Place in `files`, from 0.
    pub(super) file: usize,
    /// First byte; 0 for a compressed file.
    pub(super) from: u64,
    /// First byte after it; for a compressed file as it stands on disk.
    pub(super) to: u64,
    /// Whether nothing will be added to it.
    pub(super) sealed: bool,
}

const FORMAT: u32 = 1;

impl Manifest {
    fn new(root: &str, segments: u32) -> Self {
        Self { format: FORMAT, root: root.to_owned(), segments, files: Vec::new(), pieces: Vec::new() }
    }

    /// A piece by its number.
    pub(super) fn piece(&self, number: u64) -> Option<&Piece> {
        self.pieces.get(usize::try_from(number).ok()?.checked_sub(1)?)
    }

    /// The file that a piece is of.
    pub(super) fn file(&self, piece: &Piece) -> &Dealt {
        &self.files[piece.file]
    }

    /// Pieces of a segment with their numbers, in order, beginning with the first of `number` or above.
    pub(super) fn pieces_of(&self, segment: u32, number: u64) -> impl Iterator<Item = (u64, &Piece)> {
        let first = number.max(1);
        let skipped = usize::try_from(first - 1).unwrap_or(usize::MAX).min(self.pieces.len());
        (first..).zip(&self.pieces[skipped..]).filter(move |(_, piece)| self.file(piece).segment == segment)
    }

    fn last_of(&mut self, segment: u32) -> Option<&mut Piece> {
        let files = &self.files;
        self.pieces.iter_mut().rev().find(|piece| files[piece.file].segment == segment)
    }

    /// Take in what is there now. Following, only whole lines are dealt, and the last pieces stay open.
    /// `all` looks into files too whose size is the one we know.
    fn update(&mut self, place: &Place, found: &[Found], follow: bool, all: bool) -> Result<()> {
        let mut there: HashMap<&str, &Found> = found.iter().map(|found| (found.path.as_str(), found)).collect();
        for file in 0..self.files.len() {
            match there.remove(self.files[file].path.as_str()) {
                Some(found) if found.size == self.files[file].size && !all => {}
                Some(found) => self.grow(place, file, found, follow)?,
                None => self.seal(file),
            }
        }
        // What is left is new. `found` has it in order.
        for found in found.iter().filter(|found| there.contains_key(found.path.as_str())) {
            self.deal(place, found, follow)?;
        }
        if !follow {
            self.pieces.iter_mut().for_each(|piece| piece.sealed = true);
        }
        Ok(())
    }

    /// What was appended to a file that is known.
    fn grow(&mut self, place: &Place, file: usize, found: &Found, follow: bool) -> Result<()> {
        let dealt = &self.files[file];
        let path = place.path(&dealt.path);
        if found.size < dealt.size {
            return Err(replaced(&path, &format!("it has {} bytes now and had {}", found.size, dealt.size)));
        }
        let mut input = File::open(&path).map_err(|error| unreadable(&path, error))?;
        let head = Head::read(&input).map_err(|error| unreadable(&path, error))?;
        if !dealt.head.fits(&head) {
            return Err(replaced(&path, "it begins with other bytes than before"));
        }
        if Packing::of(&dealt.path) != Packing::Plain || found.size == dealt.size {
            return Ok(());
        }
        let (from, segment) = (dealt.size, dealt.segment);
        let to = dealt_end(&mut input, from, found.size, follow).map_err(|error| unreadable(&path, error))?;
        if to == from {
            return Ok(());
        }
        // A line that was taken for complete, and has become longer, must not change: the rest is a line of its own.
        let whole = ends_line(&mut input, from).map_err(|error| unreadable(&path, error))?;
        let dealt = &mut self.files[file];
        dealt.size = to;
        dealt.head = Head::of(&head);
        match self.last_of(segment) {
            Some(last) if last.file == file && !last.sealed && whole => last.to = to,
            _ => self.push(file, from, to),
        }
        Ok(())
    }

    fn deal(&mut self, place: &Place, found: &Found, follow: bool) -> Result<()> {
        let path = place.path(&found.path);
        let failed = |error| unreadable(&path, error);
        let mut input = File::open(&path).map_err(failed)?;
        let head = Head::read(&input).map_err(failed)?;
        let to = match Packing::of(&found.path) {
            Packing::Plain => dealt_end(&mut input, 0, found.size, follow).map_err(failed)?,
            Packing::Gzip | Packing::Zstd => found.size,
        };
        // An empty file is one that has not begun yet.
        if to > 0 {
            let segment = (self.files.len() % self.segments as usize) as u32;
            self.files.push(Dealt { path: found.path.clone(), head: Head::of(&head), size: to, segment });
            self.push(self.files.len() - 1, 0, to);
        }
        Ok(())
    }

    fn push(&mut self, file: usize, from: u64, to: u64) {
        let Dealt { segment, path, .. } = &self.files[file];
        let (segment, packed) = (*segment, Packing::of(path) != Packing::Plain);
        if let Some(before) = self.last_of(segment) {
            before.sealed = true;
        }
        self.pieces.push(Piece { file, from, to, sealed: packed });
    }

    /// A file that is gone will not grow.
    fn seal(&mut self, file: usize) {
        self.pieces.iter_mut().filter(|piece| piece.file == file).for_each(|piece| piece.sealed = true);
    }

    /// A compressed file is read as it stands now: an intact copy may have taken the place of a broken one.
    fn resize(&mut self, number: u64, size: u64) {
        let at = (number as usize).wrapping_sub(1);
        if let Some(piece) = self.pieces.get_mut(at) {
            piece.to = size;
            self.files[piece.file].size = size;
        }
    }
}

/// Up to where the bytes `from..size` of a file are dealt.
fn dealt_end(input: &mut File, from: u64, size: u64, follow: bool) -> std::io::Result<u64> {
    const CHUNK: u64 = 64 << 10;
    if !follow {
        return Ok(size);
    }
    // Just after the last newline, looked for from the end.
    let mut end = size;
    let mut chunk = Vec::new();
    while end > from {
        let start = end.saturating_sub(CHUNK).max(from);
        input.seek(SeekFrom::Start(start))?;
        chunk.clear();
        input.take(end - start).read_to_end(&mut chunk)?;
        if let Some(at) = memchr::memrchr(b'\n', &chunk) {
            return Ok(start + at as u64 + 1);
        }
        end = start;
    }
    Ok(from)
}

/// Whether a line ends just before this byte.
fn ends_line(input: &mut File, at: u64) -> std::io::Result<bool> {
    let Some(before) = at.checked_sub(1) else { return Ok(true) };
    input.seek(SeekFrom::Start(before))?;
    let mut byte = [0];
    input.read_exact(&mut byte)?;
    Ok(byte == [b'\n'])
}

fn replaced(path: &Path, what: &str) -> Error {
    let context = format!(
        "`{}` is not the file that was read before: {what}; put the old one back, or give the input another name \
         with the option `id` to read it from its beginning",
        path.display()
    );
    Error::new(ErrorKind::OutOfRange, context)
}

/// The manifest with its record.
#[derive(Debug)]
pub(super) struct Ledger {
    name: String,
    version: Option<Version>,
    pub(super) manifest: Manifest,
}

/// What decides how a manifest is made and updated.
#[derive(Debug, Clone)]
pub(super) struct Rules {
    pub(super) follow: bool,
    /// As the user wants it.
    pub(super) segments: Option<u32>,
    /// Whether the user gave the input its name; otherwise it stands for the path.
    pub(super) named: bool,
}

impl Ledger {
    /// The manifest of this input, brought up to what is there now.
    pub(super) async fn open(records: &dyn Records, id: &str, place: &Place, rules: &Rules) -> Result<Self> {
        let mut ledger = Self { name: record_name(id), version: None, manifest: Manifest::new(&place.root, 0) };
        ledger.load(records, place, rules).await?;
        ledger.bring_up(records, place, rules, true).await?;
        Ok(ledger)
    }

    /// Take in what is there now, durably. Nothing of it may be read before.
    pub(super) async fn refresh(&mut self, records: &dyn Records, place: &Place, rules: &Rules) -> Result<()> {
        self.bring_up(records, place, rules, false).await
    }

    async fn bring_up(&mut self, records: &dyn Records, place: &Place, rules: &Rules, all: bool) -> Result<()> {
        loop {
            let found = place.list()?;
            let mut next = self.manifest.clone();
            if next.segments == 0 {
                next.segments = rules.segments.unwrap_or_else(|| {
                    let cores = std::thread::available_parallelism().map_or(1, usize::from);
                    cores.min(found.len()).clamp(1, 1024) as u32
                });
            }
            next.update(place, &found, rules.follow, all)?;
            if self.store(records, next).await? {
                return Ok(());
            }
            self.load(records, place, rules).await?;
        }
    }

    /// Note that a compressed file is read with this size.
    pub(super) async fn resize(
        &mut self,
        records: &dyn Records,
        place: &Place,
        rules: &Rules,
        number: u64,
        size: u64,
    ) -> Result<()> {
        loop {
            let mut next = self.manifest.clone();
            next.resize(number, size);
            if self.store(records, next).await? {
                return Ok(());
            }
            self.load(records, place, rules).await?;
        }
    }

    /// `false` when someone else has changed it meanwhile.
    async fn store(&mut self, records: &dyn Records, next: Manifest) -> Result<bool> {
        if next == self.manifest {
            return Ok(true);
        }
        let bytes = serde_json::to_vec(&next)
            .map_err(|error| Error::new(ErrorKind::Internal, "cannot write the manifest").with_source(error))?;
        match records.put_record(&Shelf::Sources, &self.name, bytes, self.version).await? {
            RecordOutcome::Written(version) => {
                self.version = Some(version);
                self.manifest = next;
                Ok(true)
            }
            RecordOutcome::Refused(_) => Ok(false),
        }
    }

    async fn load(&mut self, records: &dyn Records, place: &Place, rules: &Rules) -> Result<()> {
        let Some(record) = records.record(&Shelf::Sources, &self.name).await? else { return Ok(()) };
        let name = &self.name;
        let manifest: Manifest = serde_json::from_slice(&record.bytes)
            .ok()
            .filter(|manifest: &Manifest| manifest.format == FORMAT && manifest.is_sound())
            .ok_or_else(|| {
                let context = format!("record `{name}` is not a manifest of format {FORMAT}; it was left as it is");
                Error::new(ErrorKind::Corrupt, context)
            })?;
        if !rules.named && manifest.root != place.root {
            let context = format!(
                "`{}` has the same name in the store as `{}`; give it another one with the option `id`",
                place.root, manifest.root
            );
            return Err(Error::new(ErrorKind::Conflict, context));
        }
        if let Some(wanted) = rules.segments.filter(|wanted| *wanted != manifest.segments) {
            let context = format!(
                "`{}` was dealt into {} segments and cannot be dealt again into {wanted}; leave the option `segments` \
                 out, or give the input another name with `id` to read it from its beginning",
                place.root, manifest.segments
            );
            return Err(Error::new(ErrorKind::Configuration, context));
        }
        self.version = Some(record.version);
        self.manifest = manifest;
        Ok(())
    }
}

impl Manifest {
    fn is_sound(&self) -> bool {
        self.segments > 0
            && self.pieces.iter().all(|piece| piece.file < self.files.len() && piece.from <= piece.to)
            && self.files.iter().all(|file| file.segment < self.segments)
    }
}

/// Where an input keeps what must survive.
pub(super) fn record_name(id: &str) -> String {
    format!("manifest/{id}")
}
