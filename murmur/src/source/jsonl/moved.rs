//! Files that go on under another name, as when logs are rotated: renamed, compressed, or both.
//!
//! What is compared is content: how it begins, how what was dealt of it ends, and how long it is. Content that is short
//! may be there twice by chance; then nothing is guessed.

use std::fs::File;
use std::io::{self, Read};

use super::head::Head;
use super::listing::{Found, Place};
use super::manifest::{Dealt, Packed};
use super::packing::Packing;

/// Content of at least this many bytes does not come twice by chance.
const CERTAIN: u64 = 128;

/// A file that is there and that the manifest does not know under its name.
pub(super) struct Stray<'a> {
    pub(super) found: &'a Found,
    /// How it begins, as it stands on disk.
    pub(super) raw: Vec<u8>,
    /// How its content begins; the same of a plain file. Of a compressed one that is broken, or not complete yet, as much
    /// as there is.
    content: Vec<u8>,
}

/// Whether a stray is a file that was dealt.
#[derive(Debug)]
pub(super) enum Likeness {
    /// It is another one.
    Other,
    /// It is this one.
    Same(Moved),
    /// It may be, and this speaks against certainty.
    Doubtful(&'static str),
}

/// A file under its new name.
#[derive(Debug)]
pub(super) struct Moved {
    /// Its compressed form, when it was dealt as a plain one.
    pub(super) packed: Option<Packed>,
    /// How long that form's content is, and how it ends.
    pub(super) whole: Option<(u64, Head)>,
}

impl<'a> Stray<'a> {
    /// Look at a file; `None` when it is gone by now.
    pub(super) fn look(place: &Place, found: &'a Found) -> io::Result<Option<Self>> {
        let path = place.path(&found.path);
        let Some(file) = there(File::open(&path))? else { return Ok(None) };
        let raw = Head::read(&file)?;
        let content = match Packing::of(&found.path) {
            Packing::Plain => raw.clone(),
            packing => {
                let Some(file) = there(File::open(&path))? else { return Ok(None) };
                let mut content = Vec::new();
                // What is not complete gives an error after all that can be read of it.
                let _ = packing.content(file).and_then(|it| it.take(Head::MOST as u64).read_to_end(&mut content));
                content
            }
        };
        Ok(Some(Self { found, raw, content }))
    }

    /// How the content of a compressed file begins.
    pub(super) fn unpacked(&self) -> Option<Head> {
        let packed = Packing::of(&self.found.path) != Packing::Plain && !self.content.is_empty();
        packed.then(|| Head::of(&self.content))
    }

    /// Whether it is the compressed form of the plain file beside it: on its way to take its place, as `gzip` writes it.
    pub(super) fn is_form_of(&self, place: &Place, plain: &str) -> io::Result<bool> {
        let Some(file) = there(File::open(place.path(plain)))? else { return Ok(false) };
        Ok(Head::read(file)?.starts_with(&self.content))
    }

    /// Whether it begins as this file did.
    pub(super) fn begins_as(&self, dealt: &Dealt) -> bool {
        let content = if dealt.was_packed() { dealt.content } else { Some(dealt.head) };
        content.is_some_and(|head| head.fits(&self.content)) || dealt.was_packed() && dealt.head.fits(&self.raw)
    }

    /// Whether it is this file, which it begins as.
    pub(super) fn compare(&self, place: &Place, dealt: &Dealt) -> io::Result<Likeness> {
        let packing = Packing::of(&self.found.path);
        let Some(mut file) = there(File::open(place.path(&self.found.path)))? else { return Ok(Likeness::Other) };
        let size = self.found.size;
        let Some(tail) = dealt.ending() else { return Ok(Likeness::Doubtful("its end was not noted at the time")) };
        if dealt.was_packed() {
            // Of a compressed file nothing but its beginning is known when it is packed in another way.
            let same = size == dealt.size && dealt.head.fits(&self.raw) && Head::ending(&mut file, size)? == tail;
            return Ok(match same {
                false => Likeness::Doubtful("it is compressed in another way"),
                true if size < CERTAIN => Likeness::Doubtful("it is too short to tell"),
                true => Likeness::Same(Moved { packed: None, whole: None }),
            });
        }
        let mut moved = Moved { packed: None, whole: None };
        if packing == Packing::Plain {
            if size < dealt.size {
                return Ok(Likeness::Doubtful("it ends before what was read"));
            }
            if Head::ending(&mut file, dealt.size)? != tail {
                return Ok(Likeness::Other);
            }
        } else {
            moved.packed = Some(Packed { size, head: Head::of(&self.raw) });
            let Ok((ending, whole)) = endings(packing.content(file)?, dealt.size) else {
                return Ok(Likeness::Doubtful("it does not decompress to its end"));
            };
            match ending {
                None => return Ok(Likeness::Doubtful("it ends before what was read")),
                Some(ending) if ending != tail => return Ok(Likeness::Other),
                Some(_) => moved.whole = Some(whole),
            }
        }
        Ok(if dealt.size < CERTAIN { Likeness::Doubtful("it is too short to tell") } else { Likeness::Same(moved) })
    }
}

/// How content ends at byte `at`, unless it is shorter; and how long it is in all, and how it ends there.
fn endings(mut content: impl Read, at: u64) -> io::Result<(Option<Head>, (u64, Head))> {
    let (mut read, mut ending, mut last) = (0, None, Vec::new());
    loop {
        let most = 64 << 10;
        let room = if read < at { most.min(at - read) } else { most };
        let got = content.by_ref().take(room).read_to_end(&mut last)? as u64;
        read += got;
        last.drain(..last.len().saturating_sub(Head::MOST));
        if read == at {
            ending = Some(Head::of(&last));
        }
        if got < room {
            return Ok((ending, (read, Head::of(&last))));
        }
    }
}

/// `None` when it is gone.
fn there<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(it) => Ok(Some(it)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
