use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::head::Head;
use super::listing::{Found, Identity, Place, unreadable};
use super::moved::{Likeness, Moved, Stray};
use super::packing::Packing;
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
    /// Where it is now: a file that was moved is followed.
    pub(super) path: String,
    pub(super) head: Head,
    /// How much of it was dealt: everything before this byte.
    pub(super) size: u64,
    /// How it ends there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tail: Option<Head>,
    segment: u32,
    /// Of a file that was compressed when it was dealt: how its content begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) content: Option<Head>,
    /// Of a file that was compressed after it was dealt: that form. Pieces stay bytes of the content.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    packed: Option<Packed>,
    /// Another one has taken its place, and it was not seen elsewhere.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) gone: bool,
}

/// The compressed form of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Packed {
    pub(super) size: u64,
    pub(super) head: Head,
}

impl Dealt {
    /// Whether it was compressed when it was dealt: then it is one piece, and sizes are those on disk.
    pub(super) fn was_packed(&self) -> bool {
        self.packed.is_none() && Packing::of(&self.path) != Packing::Plain
    }

    /// How what was dealt of it ends; `None` when an earlier version did not note it.
    pub(super) fn ending(&self) -> Option<Head> {
        // Then its beginning is all of it.
        self.tail.or_else(|| (self.size == self.head.length as u64).then_some(self.head))
    }

    fn on_disk(&self) -> u64 {
        self.packed.map_or(self.size, |packed| packed.size)
    }
}

/// Bytes of one file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Piece {
    /// Place in `files`, from 0.
    pub(super) file: usize,
    /// First byte; 0 for a file that was compressed when it was dealt.
    pub(super) from: u64,
    /// First byte after it; for a file that was compressed when it was dealt, as it stands on disk.
    pub(super) to: u64,
    /// Whether nothing will be added to it.
    pub(super) sealed: bool,
}

/// Format 1 had no files that were moved.
const FORMAT: u32 = 2;

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
    /// Only files are looked into that are not as they were `seen`.
    fn update(&mut self, place: &Place, found: &[Found], follow: bool, seen: &Seen) -> Result<()> {
        let at: HashMap<&str, &Found> = found.iter().map(|found| (found.path.as_str(), found)).collect();
        // A path that one of ours is at, in the sense of what we know; what stands at all others is astray.
        let (mut home, mut unseen, mut away) = (Vec::new(), Vec::new(), Vec::new());
        let mut strays = Vec::new();
        let known: HashSet<&str> = self.present().map(|file| self.files[file].path.as_str()).collect();
        for found in found.iter().filter(|found| !known.contains(found.path.as_str())) {
            self.stray(place, found, &at, &mut strays)?;
        }
        for file in self.present() {
            match at.get(self.files[file].path.as_str()) {
                Some(found)
                    if found.size == self.files[file].on_disk() && seen.get(&found.path) == Some(&found.identity) =>
                {
                    unseen.push((file, *found));
                }
                Some(found) => home.push((file, *found)),
                None => away.push((file, None)),
            }
        }
        let mut checked = Vec::new();
        // Of those whose size has not changed, look at the ones that something astray begins as.
        loop {
            for (file, found) in std::mem::take(&mut home) {
                match self.open(place, file)? {
                    Ok(_) => checked.push(file),
                    Err(why) => {
                        self.stray(place, found, &at, &mut strays)?;
                        away.push((file, Some((found, why))));
                    }
                }
            }
            let is_suspect =
                |(file, _): &(usize, &Found)| strays.iter().any(|s: &Stray| s.begins_as(&self.files[*file]));
            (home, unseen) = unseen.into_iter().partition(is_suspect);
            if home.is_empty() {
                break;
            }
        }
        let doubts = self.follow(place, &mut away, &mut strays, &mut checked)?;
        for (file, why) in away {
            match why {
                Some((found, why)) if strays.iter().any(|stray| stray.found.path == found.path) => return Err(why),
                // What is at its place now is another one of ours.
                Some(_) => self.files[file].gone = true,
                None => {}
            }
            self.seal(file);
        }
        if let Some(doubt) = doubts.into_iter().find(|(path, _)| strays.iter().any(|stray| stray.found.path == *path)) {
            return Err(doubt.1);
        }
        checked.sort_unstable();
        for file in checked {
            self.grow(place, file, follow)?;
        }
        // What is left is new.
        strays.sort_by(|a, b| a.found.path.cmp(&b.found.path));
        for stray in &strays {
            self.deal(place, stray, follow)?;
        }
        if !follow {
            self.pieces.iter_mut().for_each(|piece| piece.sealed = true);
        }
        Ok(())
    }

    fn present(&self) -> impl Iterator<Item = usize> {
        (0..self.files.len()).filter(|file| !self.files[*file].gone)
    }

    /// Add a file to the strays, unless it is only the compressed form of the plain one beside it: while that is there,
    /// it has the lines.
    fn stray<'a>(
        &self,
        place: &Place,
        found: &'a Found,
        at: &HashMap<&str, &Found>,
        strays: &mut Vec<Stray<'a>>,
    ) -> Result<()> {
        let failed = |error| unreadable(&place.path(&found.path), error);
        let Some(stray) = Stray::look(place, found).map_err(failed)? else { return Ok(()) };
        let beside = Packing::unpacked(&found.path).filter(|plain| at.contains_key(plain));
        if let Some(plain) = beside.filter(|_| found.size > 0)
            && stray.is_form_of(place, plain).map_err(failed)?
        {
            tracing::debug!(path = found.path, plain, "passed over, as its plain form is there");
            return Ok(());
        }
        strays.push(stray);
        Ok(())
    }

    /// Find files that are not at their paths among the strays. Those that are found leave both lists. What could not be
    /// told for certain comes back, with its path.
    fn follow(
        &mut self,
        place: &Place,
        away: &mut Vec<(usize, Option<(&Found, Error)>)>,
        strays: &mut Vec<Stray<'_>>,
        checked: &mut Vec<usize>,
    ) -> Result<Vec<(String, Error)>> {
        // A short one may be the beginning of a long one.
        away.sort_by_key(|(file, _)| std::cmp::Reverse(self.files[*file].size));
        strays.sort_by(|a, b| a.found.path.cmp(&b.found.path));
        let (mut left, mut doubts) = (Vec::new(), Vec::new());
        for (file, why) in std::mem::take(away) {
            let (mut same, mut may_be) = (None, Vec::new());
            for (nth, stray) in strays.iter().enumerate().filter(|(_, stray)| stray.begins_as(&self.files[file])) {
                let path = place.path(&stray.found.path);
                match stray.compare(place, &self.files[file]).map_err(|error| unreadable(&path, error))? {
                    Likeness::Other => {}
                    Likeness::Doubtful(what) => {
                        may_be.push((stray.found.path.clone(), doubtful(&path, &self.files[file].path, what)));
                    }
                    Likeness::Same(moved) => {
                        same = Some((nth, moved));
                        break;
                    }
                }
            }
            match same {
                Some((nth, moved)) => {
                    let stray = strays.remove(nth);
                    tracing::info!(from = self.files[file].path, to = stray.found.path, "a file was moved");
                    self.rename(file, stray.found, moved);
                    checked.push(file);
                }
                None => {
                    doubts.append(&mut may_be);
                    left.push((file, why));
                }
            }
        }
        *away = left;
        Ok(doubts)
    }

    fn rename(&mut self, file: usize, found: &Found, Moved { packed, whole }: Moved) {
        let dealt = &mut self.files[file];
        dealt.path = found.path.clone();
        dealt.packed = packed;
        let size = dealt.size;
        if let Some((length, tail)) = whole {
            (dealt.size, dealt.tail) = (length, Some(tail));
            self.seal(file);
            if length > size {
                self.push(file, size, length);
            }
        }
    }

    /// A file that was dealt, if it is at its path; an error that says what is there otherwise.
    pub(super) fn open(&self, place: &Place, file: usize) -> Result<Result<File>> {
        let dealt = &self.files[file];
        let path = place.path(&dealt.path);
        if dealt.gone {
            let context = format!("`{}` is gone: another file has taken its place", path.display());
            return Ok(Err(Error::new(ErrorKind::NotFound, context)));
        }
        let failed = |error| unreadable(&path, error);
        let mut input = match File::open(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Err(failed(error))),
            opened => opened.map_err(failed)?,
        };
        let size = input.metadata().map_err(failed)?.len();
        let (known, head) = dealt.packed.map_or((dealt.size, dealt.head), |packed| (packed.size, packed.head));
        if size < known || dealt.packed.is_some() && size > known {
            return Ok(Err(replaced(&path, &format!("it has {size} bytes now and had {known}"))));
        }
        if !head.fits(&Head::read(&input).map_err(failed)?) {
            return Ok(Err(replaced(&path, "it begins with other bytes than before")));
        }
        input.rewind().map_err(failed)?;
        Ok(Ok(input))
    }

    /// What was appended to a file that is at its path.
    fn grow(&mut self, place: &Place, file: usize, follow: bool) -> Result<()> {
        // It may have been moved since; the next look finds it.
        let Ok(mut input) = self.open(place, file)? else { return Ok(()) };
        let dealt = &self.files[file];
        let path = place.path(&dealt.path);
        let failed = |error| unreadable(&path, error);
        let size = input.metadata().map_err(failed)?.len();
        if Packing::of(&dealt.path) != Packing::Plain || size == dealt.size {
            return Ok(());
        }
        let (from, segment) = (dealt.size, dealt.segment);
        let to = dealt_end(&mut input, from, size, follow).map_err(failed)?;
        if to == from {
            return Ok(());
        }
        // A line that was taken for complete, and has become longer, must not change: the rest is a line of its own.
        let whole = ends_line(&mut input, from).map_err(failed)?;
        let tail = Head::ending(&mut input, to).map_err(failed)?;
        input.rewind().map_err(failed)?;
        let head = Head::read(&input).map_err(failed)?;
        let dealt = &mut self.files[file];
        (dealt.size, dealt.head, dealt.tail) = (to, Head::of(&head), Some(tail));
        match self.last_of(segment) {
            Some(last) if last.file == file && !last.sealed && whole => last.to = to,
            _ => self.push(file, from, to),
        }
        Ok(())
    }

    fn deal(&mut self, place: &Place, stray: &Stray<'_>, follow: bool) -> Result<()> {
        let found = stray.found;
        let path = place.path(&found.path);
        let failed = |error| unreadable(&path, error);
        let mut input = match File::open(&path) {
            // Gone since it was listed.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            opened => opened.map_err(failed)?,
        };
        let to = match Packing::of(&found.path) {
            Packing::Plain => dealt_end(&mut input, 0, found.size, follow).map_err(failed)?,
            Packing::Gzip | Packing::Zstd => found.size,
        };
        // An empty file is one that has not begun yet.
        if to > 0 {
            let tail = Some(Head::ending(&mut input, to).map_err(failed)?);
            let segment = (self.files.len() % self.segments as usize) as u32;
            let (head, content) = (Head::of(&stray.raw), stray.unpacked());
            let (path, packed, gone) = (found.path.clone(), None, false);
            self.files.push(Dealt { path, head, size: to, tail, segment, content, packed, gone });
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
    fn resize(&mut self, place: &Place, number: u64, size: u64) {
        let at = (number as usize).wrapping_sub(1);
        if let Some(piece) = self.pieces.get_mut(at) {
            piece.to = size;
            let dealt = &mut self.files[piece.file];
            dealt.size = size;
            // Without it the file is not followed when it is moved, and nothing else.
            let file = File::open(place.path(&dealt.path));
            dealt.tail = file.and_then(|mut file| Head::ending(&mut file, size)).ok();
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

fn doubtful(path: &Path, was: &str, what: &str) -> Error {
    let context = format!(
        "`{}` begins as `{was}` did, which was read and is gone, and may be that file under another name: {what}. Nothing \
         was counted twice; give it its old name again, or remove it. If it is another one, let it begin with an empty \
         line",
        path.display()
    );
    Error::new(ErrorKind::OutOfRange, context)
}

/// How often files are looked at that change meanwhile.
const LOOKS: u32 = 3;

/// The manifest with its record.
#[derive(Debug)]
pub(super) struct Ledger {
    name: String,
    version: Option<Version>,
    pub(super) manifest: Manifest,
    seen: Seen,
}

/// Which file was at a path when files were last looked for.
type Seen = HashMap<String, Identity>;

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
        let mut ledger =
            Self { name: record_name(id), version: None, manifest: Manifest::new(&place.root, 0), seen: Seen::new() };
        ledger.load(records, place, rules).await?;
        ledger.bring_up(records, place, rules, true).await?;
        Ok(ledger)
    }

    /// Take in what is there now, durably. Nothing of it may be read before.
    pub(super) async fn refresh(&mut self, records: &dyn Records, place: &Place, rules: &Rules) -> Result<()> {
        self.bring_up(records, place, rules, false).await
    }

    async fn bring_up(&mut self, records: &dyn Records, place: &Place, rules: &Rules, all: bool) -> Result<()> {
        let (mut tries, none) = (0, Seen::new());
        loop {
            let found = place.list()?;
            let mut next = self.manifest.clone();
            if next.segments == 0 {
                next.segments = rules.segments.unwrap_or_else(|| {
                    let cores = std::thread::available_parallelism().map_or(1, usize::from);
                    cores.min(found.len()).clamp(1, 1024) as u32
                });
            }
            if let Err(error) = next.update(place, &found, rules.follow, if all { &none } else { &self.seen }) {
                tries += 1;
                // Files may have been moved about while they were looked at.
                if tries == LOOKS || place.list()? == found {
                    return Err(error);
                }
                continue;
            }
            if self.store(records, next).await? {
                self.seen = found.into_iter().map(|found| (found.path, found.identity)).collect();
                return Ok(());
            }
            self.load(records, place, rules).await?;
        }
    }

    /// A file that was dealt, to be read; where it is not at its path, files are looked for again first.
    pub(super) async fn file(
        &mut self,
        records: &dyn Records,
        place: &Place,
        rules: &Rules,
        file: usize,
    ) -> Result<File> {
        if let Ok(input) = self.manifest.open(place, file)? {
            return Ok(input);
        }
        self.bring_up(records, place, rules, true).await?;
        self.manifest.open(place, file)?
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
            next.resize(place, number, size);
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
        let mut manifest: Manifest = serde_json::from_slice(&record.bytes)
            .ok()
            .filter(|manifest: &Manifest| (1..=FORMAT).contains(&manifest.format) && manifest.is_sound())
            .ok_or_else(|| {
                let context = format!("record `{name}` is not a manifest of format {FORMAT}; it was left as it is");
                Error::new(ErrorKind::Corrupt, context)
            })?;
        manifest.format = FORMAT;
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
