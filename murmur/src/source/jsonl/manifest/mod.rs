//! What was dealt out of which files, what is dealt now, and the record of it.

mod dealing;
mod ledger;

use std::fs::File;
use std::io::Seek;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::head::Head;
use super::listing::{Place, unreadable};
use super::packing::Packing;
use crate::{Error, ErrorKind, Result};
pub(super) use ledger::{Ledger, Rules, record_name};

/// Which bytes are at which position, for ever: what was dealt out of the files, in order.
///
/// As JSON in the record `manifest/<id>`. It only grows: pieces are appended, and the last piece of a segment may get
/// longer as long as it is not sealed. Sources read only what it names, so that two of them that overlap, one of
/// which knows less than the other, never give one position two meanings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::source::jsonl) struct Manifest {
    format: u32,
    /// Path of the input when the manifest was made.
    root: String,
    pub(in crate::source::jsonl) segments: u32,
    pub(in crate::source::jsonl) files: Vec<Dealt>,
    /// A piece's number is its place in here, from 1.
    pieces: Vec<Piece>,
}

/// A file of which something was dealt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::source::jsonl) struct Dealt {
    /// Where it is now: a file that was moved is followed.
    pub(in crate::source::jsonl) path: String,
    pub(in crate::source::jsonl) head: Head,
    /// How much of it was dealt: everything before this byte.
    pub(in crate::source::jsonl) size: u64,
    /// How it ends there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tail: Option<Head>,
    segment: u32,
    /// Of a file that was compressed when it was dealt: how its content begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::source::jsonl) content: Option<Head>,
    /// Of a file that was compressed after it was dealt: that form. Pieces stay bytes of the content.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    packed: Option<Packed>,
    /// Another one has taken its place, and it was not seen elsewhere.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(in crate::source::jsonl) gone: bool,
}

/// The compressed form of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::source::jsonl) struct Packed {
    pub(in crate::source::jsonl) size: u64,
    pub(in crate::source::jsonl) head: Head,
}

impl Dealt {
    /// Whether it was compressed when it was dealt: then it is one piece, and sizes are those on disk.
    pub(in crate::source::jsonl) fn was_packed(&self) -> bool {
        self.packed.is_none() && Packing::of(&self.path) != Packing::Plain
    }

    /// How what was dealt of it ends; `None` when an earlier version did not note it.
    pub(in crate::source::jsonl) fn ending(&self) -> Option<Head> {
        // Then its beginning is all of it.
        self.tail.or_else(|| (self.size == self.head.length as u64).then_some(self.head))
    }

    fn on_disk(&self) -> u64 {
        self.packed.map_or(self.size, |packed| packed.size)
    }
}

/// Bytes of one file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::source::jsonl) struct Piece {
    /// Place in `files`, from 0.
    pub(in crate::source::jsonl) file: usize,
    /// First byte; 0 for a file that was compressed when it was dealt.
    pub(in crate::source::jsonl) from: u64,
    /// First byte after it; for a file that was compressed when it was dealt, as it stands on disk.
    pub(in crate::source::jsonl) to: u64,
    /// Whether nothing will be added to it.
    pub(in crate::source::jsonl) sealed: bool,
}

/// Format 1 had no files that were moved.
const FORMAT: u32 = 2;

impl Manifest {
    fn new(root: &str, segments: u32) -> Self {
        Self { format: FORMAT, root: root.to_owned(), segments, files: Vec::new(), pieces: Vec::new() }
    }

    /// The manifest of a record, of this format or an earlier one; `None` when it is none.
    pub(in crate::source::jsonl) fn read(bytes: &[u8]) -> Option<Self> {
        let manifest: Self = serde_json::from_slice(bytes).ok()?;
        ((1..=FORMAT).contains(&manifest.format) && manifest.is_sound()).then_some(manifest)
    }

    /// A piece by its number.
    pub(in crate::source::jsonl) fn piece(&self, number: u64) -> Option<&Piece> {
        self.pieces.get(usize::try_from(number).ok()?.checked_sub(1)?)
    }

    /// The file that a piece is of.
    pub(in crate::source::jsonl) fn file(&self, piece: &Piece) -> &Dealt {
        &self.files[piece.file]
    }

    /// Pieces of a segment with their numbers, in order, beginning with the first of `number` or above.
    pub(in crate::source::jsonl) fn pieces_of(&self, segment: u32, number: u64) -> impl Iterator<Item = (u64, &Piece)> {
        let first = number.max(1);
        let skipped = usize::try_from(first - 1).unwrap_or(usize::MAX).min(self.pieces.len());
        (first..).zip(&self.pieces[skipped..]).filter(move |(_, piece)| self.file(piece).segment == segment)
    }

    fn last_of(&mut self, segment: u32) -> Option<&mut Piece> {
        let files = &self.files;
        self.pieces.iter_mut().rev().find(|piece| files[piece.file].segment == segment)
    }

    /// A file that was dealt, if it is at its path; an error that says what is there otherwise.
    pub(in crate::source::jsonl) fn open(&self, place: &Place, file: usize) -> Result<Result<File>> {
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

    fn is_sound(&self) -> bool {
        self.segments > 0
            && self.pieces.iter().all(|piece| piece.file < self.files.len() && piece.from <= piece.to)
            && self.files.iter().all(|file| file.segment < self.segments)
    }
}

fn replaced(path: &Path, what: &str) -> Error {
    let context = format!(
        "`{}` is not the file that was read before: {what}; put the old one back, or give the input another name \
         with the option `id` to read it from its beginning",
        path.display()
    );
    Error::new(ErrorKind::OutOfRange, context)
}
