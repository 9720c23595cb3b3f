//! Taking in what is there now: files that have grown, that were moved, and that are new.

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use super::ledger::Seen;
use super::{Dealt, Manifest, Piece};
use crate::source::jsonl::head::Head;
use crate::source::jsonl::listing::{Found, Place, unreadable};
use crate::source::jsonl::moved::{Likeness, Moved, Stray};
use crate::source::jsonl::packing::Packing;
use crate::{Error, ErrorKind, Result};

impl Manifest {
    /// Take in what is there now. Following, only whole lines are dealt, and the last pieces stay open.
    /// Only files are looked into that are not as they were `seen`.
    pub(super) fn update(&mut self, place: &Place, found: &[Found], follow: bool, seen: &Seen) -> Result<()> {
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
        away.sort_by_key(|(file, _)| Reverse(self.files[*file].size));
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
    pub(super) fn resize(&mut self, place: &Place, number: u64, size: u64) {
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

fn doubtful(path: &Path, was: &str, what: &str) -> Error {
    let context = format!(
        "`{}` begins as `{was}` did, which was read and is gone, and may be that file under another name: {what}. Nothing \
         was counted twice; give it its old name again, or remove it. If it is another one, let it begin with an empty \
         line",
        path.display()
    );
    Error::new(ErrorKind::OutOfRange, context)
}
