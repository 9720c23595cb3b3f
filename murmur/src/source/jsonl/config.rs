use std::path::PathBuf;
use std::str::FromStr;

use crate::Result;
use crate::location::{ByteSize, Location};
use crate::time::Span;

/// Where the lines are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// Standard input.
    Stdin,
    /// A file, or a folder with files.
    Path(PathBuf),
}

/// What to do at a compressed file that does not decompress to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Broken {
    /// Stop with an error that names the file.
    Stop,
    /// Say so in the dead letters, and go on with the next file.
    Skip,
}

impl FromStr for Broken {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "stop" => Ok(Self::Stop),
            "skip" => Ok(Self::Skip),
            _ => Err("write `stop` or `skip`".to_owned()),
        }
    }
}

/// Which lines to read, and how.
#[derive(Debug, Clone)]
pub struct JsonlConfig {
    /// Where they are.
    pub input: Input,
    /// Whether to wait for more at the end.
    pub follow: bool,
    /// How many partitions the files are dealt into; `None` for the number of cores, at most the number of files.
    /// Decided once: later it can only be what the manifest says.
    pub segments: Option<u32>,
    /// The longest line that is an event.
    pub max_line: ByteSize,
    /// What to do at a broken compressed file.
    pub broken: Broken,
    /// How often to look for new lines and files.
    pub every: Span,
    /// The input's name in the store; `None` for one made from the path.
    pub id: Option<String>,
}

impl JsonlConfig {
    /// Read this, with the defaults for all else.
    pub fn new(input: Input) -> Self {
        Self {
            input,
            follow: true,
            segments: None,
            max_line: ByteSize(1 << 20),
            broken: Broken::Stop,
            every: Span::from_millis(500),
            id: None,
        }
    }

    /// From `file://PATH?option=value`, a plain path, or `-`.
    pub fn parse(url: &str) -> Result<Self> {
        let location: Location = url.parse()?;
        let stdin = location.scheme().is_none() && location.path() == "-";
        let options = location.take("file", &["follow", "segments", "max_line", "broken", "every", "id"])?;
        let input = if stdin { Input::Stdin } else { Input::Path(PathBuf::from(&options.path)) };
        let config = Self::new(input);
        Ok(Self {
            follow: options.get("follow", config.follow)?,
            segments: options.get_option("segments")?.map(|Segments(n)| n),
            max_line: options.get("max_line", config.max_line)?,
            broken: options.get("broken", config.broken)?,
            every: options.get("every", config.every)?,
            id: options.get_option("id")?.map(|Id(id)| id),
            ..config
        })
    }
}

struct Segments(u32);

impl FromStr for Segments {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.parse() {
            Ok(n @ 1..=1024) => Ok(Self(n)),
            _ => Err("write a number from 1 to 1024"),
        }
    }
}

/// It stands in every tile, so it is short.
struct Id(String);

impl FromStr for Id {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
        if (1..=32).contains(&text.len()) && text.bytes().all(plain) {
            Ok(Self(text.to_owned()))
        } else {
            Err("write 1 to 32 letters, digits, `-`, `_` and `.`")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_name_input_and_options() {
        let config = JsonlConfig::parse(
            "file:///data/views?follow=false&segments=4&max_line=2KiB&broken=skip&every=2s&id=views",
        );
        let config = config.unwrap();
        assert_eq!(config.input, Input::Path("/data/views".into()));
        assert_eq!((config.follow, config.segments, config.max_line.0), (false, Some(4), 2048));
        assert_eq!((config.broken, config.every), (Broken::Skip, Span::from_seconds(2)));
        assert_eq!(config.id.as_deref(), Some("views"));

        assert_eq!(JsonlConfig::parse("-").unwrap().input, Input::Stdin);
        assert_eq!(JsonlConfig::parse("./-").unwrap().input, Input::Path("./-".into()));
        for refused in
            ["x?segments=0", "x?segments=many", "x?id=", "x?id=a:b", "x?follow=1", "x?broken=maybe", "s3://x"]
        {
            assert!(JsonlConfig::parse(refused).is_err(), "{refused}");
        }
    }
}
