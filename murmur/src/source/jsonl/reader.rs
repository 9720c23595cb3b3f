use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use super::config::{Broken, JsonlConfig};
use super::lines::{Cut, Lines};
use super::listing::unreadable;
use super::manifest::Piece;
use super::packing::Packing;
use crate::source::Offset;
use crate::{Error, ErrorKind, Result};

/// How much to read at a time.
const CHUNK: usize = 512 << 10;

/// Reads one piece from a line on.
pub(super) struct PieceReader {
    path: PathBuf,
    input: Box<dyn Read + Send>,
    lines: Lines,
    /// Bytes that the input still owes; when it is `whole`, as many as there are.
    left: u64,
    packed: bool,
    whole: bool,
    broken: Option<io::Error>,
    on_broken: Broken,
}

impl PieceReader {
    /// Read a piece of `file`, which is at `path`, to deliver what follows line `skip`. `whole` says that it was dealt as a
    /// compressed file, of which nobody knew how much there is in it.
    pub(super) fn open(
        mut file: File,
        path: PathBuf,
        number: u64,
        piece: &Piece,
        whole: bool,
        skip: u64,
        config: &JsonlConfig,
    ) -> Result<Self> {
        let packing = Packing::of(path.to_str().unwrap_or_default());
        let failed = |error| unreadable(&path, error);
        let packed = packing != Packing::Plain;
        if !packed {
            file.seek(SeekFrom::Start(piece.from)).map_err(failed)?;
        }
        let mut input = packing.content(file).map_err(failed)?;
        if packed && !whole {
            io::copy(&mut input.by_ref().take(piece.from), &mut io::sink()).map_err(failed)?;
        }
        Ok(Self {
            path,
            input,
            lines: Lines::new(number, skip, config.max_line.0),
            left: if whole { u64::MAX } else { piece.to - piece.from },
            packed,
            whole,
            broken: None,
            on_broken: config.broken,
        })
    }

    /// The piece has become longer.
    pub(super) fn extend(&mut self, bytes: u64) {
        self.left = self.left.saturating_add(bytes);
    }

    /// Whether everything the piece has so far was read.
    pub(super) fn is_done(&self) -> bool {
        self.left == 0
    }

    /// The last line that is finished.
    pub(super) fn position(&self) -> Offset {
        self.lines.position()
    }

    /// The next lines, perhaps none of them to be delivered; `None` at the end of the piece. `sealed` says that the
    /// piece is complete, and with it its last line.
    pub(super) fn read(&mut self, sealed: bool) -> Result<Option<Cut>> {
        if self.is_done() {
            return Ok(None);
        }
        if self.broken.is_some() {
            return self.break_off().map(Some);
        }
        let room = self.lines.room(CHUNK).min(usize::try_from(self.left).unwrap_or(usize::MAX));
        let mut buffer = self.lines.begin(room);
        let before = buffer.len();
        let outcome = (&mut self.input).take(room as u64).read_to_end(&mut buffer);
        let got = buffer.len() - before;
        match outcome {
            Err(error) if self.packed => self.broken = Some(error),
            Err(error) => return Err(unreadable(&self.path, error)),
            Ok(_) if got == room => self.left -= got as u64,
            Ok(_) if self.whole => self.left = 0,
            Ok(_) => return Err(self.shrunk("it has become shorter")),
        }
        let cut = self.lines.cut(buffer, self.left == 0 && sealed);
        if self.left == 0 && self.lines.missing() > 0 {
            return Err(self.shrunk(&format!("{} lines are missing that were read before", self.lines.missing())));
        }
        Ok(Some(cut))
    }

    fn break_off(&mut self) -> Result<Cut> {
        let path = self.path.display();
        let why = self.broken.as_ref().map(ToString::to_string).unwrap_or_default();
        match self.on_broken {
            Broken::Stop => {
                let context = format!(
                    "`{path}` does not decompress beyond line {}: {why}; put an intact copy in its place, or give up \
                     the rest of it with the option `broken=skip`",
                    self.lines.line()
                );
                Err(Error::new(ErrorKind::Corrupt, context))
            }
            Broken::Skip => {
                self.left = 0;
                Ok(self.lines.break_off(format!("the rest of `{path}` does not decompress: {why}")))
            }
        }
    }

    fn shrunk(&self, what: &str) -> Error {
        changed(&self.path, what)
    }
}

pub(super) fn changed(path: &Path, what: &str) -> Error {
    let context = format!(
        "`{}` has changed while it was in use: {what}; put the old file back, or give the input another name with the \
         option `id` to read it from its beginning",
        path.display()
    );
    Error::new(ErrorKind::OutOfRange, context)
}
