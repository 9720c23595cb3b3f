use std::fs::File;
use std::io::{self, BufReader, Read};

/// Buffer in front of a decompressor.
const PACKED: usize = 128 << 10;

/// How a file's bytes are packed, by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Packing {
    Plain,
    Gzip,
    Zstd,
}

impl Packing {
    pub(super) fn of(name: &str) -> Self {
        match name.rsplit_once('.') {
            Some((_, "gz")) => Self::Gzip,
            Some((_, "zst")) => Self::Zstd,
            _ => Self::Plain,
        }
    }

    /// The name without the ending that says how the file is packed; `None` of a plain one.
    pub(super) fn unpacked(name: &str) -> Option<&str> {
        name.strip_suffix(".gz").or_else(|| name.strip_suffix(".zst"))
    }

    /// The content of a file.
    pub(super) fn content(self, file: File) -> io::Result<Box<dyn Read + Send>> {
        Ok(match self {
            Self::Plain => Box::new(file),
            Self::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(BufReader::with_capacity(PACKED, file))),
            // Windows are bounded to 128 MiB by the library.
            Self::Zstd => Box::new(zstd::Decoder::with_buffer(BufReader::with_capacity(PACKED, file))?),
        })
    }
}
