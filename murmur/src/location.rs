//! URLs of sources and stores: `scheme://path?option=value&...`, or a plain path.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use crate::{Error, ErrorKind, Result};

/// Where a source or store is, taken apart.
///
/// `kind://path?name=value`, `path?name=value`, or `-` for standard input and output. After a scheme, `%XX` stands for
/// a byte; so a path with a question mark is written `file:///odd%3Fname`. Whatever has no scheme is a path as the
/// shell knows it, up to its first `?`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Location {
    text: String,
    scheme: Option<String>,
    path: String,
    options: BTreeMap<String, String>,
}

impl Location {
    /// The scheme; `None` for a plain path.
    pub fn scheme(&self) -> Option<&str> {
        self.scheme.as_deref()
    }

    /// What stands between scheme and options.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The path of a backend that knows the scheme `own` (or none at all), and these options.
    ///
    /// Errors name a foreign scheme, a missing path, an unknown option.
    pub(crate) fn take(self, own: &str, options: &[&str]) -> Result<Options> {
        let bad = |what: String| Err(Error::new(ErrorKind::Configuration, format!("`{}`: {what}", self.text)));
        if self.scheme.as_deref().is_some_and(|scheme| scheme != own) {
            return bad(format!("this is not a `{own}://` URL"));
        }
        if self.path.is_empty() {
            return bad(format!("there is no path; write `{own}:///folder/name`"));
        }
        if let Some(unknown) = self.options.keys().find(|name| !options.contains(&name.as_str())) {
            return bad(format!("there is no option `{unknown}`; the options are `{}`", options.join("`, `")));
        }
        Ok(Options { text: self.text, path: self.path, options: self.options })
    }
}

impl FromStr for Location {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let bad = |what: &str| Error::new(ErrorKind::Configuration, format!("`{text}` is not a URL: {what}"));
        let (before, query) = text.split_once('?').unwrap_or((text, ""));
        let (scheme, path) = match before.split_once("://") {
            Some((scheme, path)) => {
                if scheme.is_empty() || !scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b)) {
                    return Err(bad("a scheme has letters, digits, `+`, `-` and `.`"));
                }
                let path = percent_decoded(path).ok_or_else(|| bad("`%` is followed by two hexadecimal digits"))?;
                (Some(scheme.to_ascii_lowercase()), path)
            }
            None => (None, before.to_owned()),
        };
        let mut options = BTreeMap::new();
        for option in query.split('&').filter(|option| !option.is_empty()) {
            let (name, value) = option.split_once('=').ok_or_else(|| bad("an option is written `name=value`"))?;
            let value = percent_decoded(value).ok_or_else(|| bad("`%` is followed by two hexadecimal digits"))?;
            if options.insert(name.to_owned(), value).is_some() {
                return Err(bad("an option stands twice"));
            }
        }
        Ok(Self { text: text.to_owned(), scheme, path, options })
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let digit = |byte: u8| char::from(byte).to_digit(16);
                (digit(rest.next()?)? * 16 + digit(rest.next()?)?) as u8
            }
            byte => byte,
        });
    }
    String::from_utf8(bytes).ok()
}

/// A path with options that are all known by name.
#[derive(Debug)]
pub(crate) struct Options {
    text: String,
    pub(crate) path: String,
    options: BTreeMap<String, String>,
}

impl Options {
    /// One option; `default` when it is not given.
    pub(crate) fn get<T: FromStr<Err: fmt::Display>>(&self, name: &str, default: T) -> Result<T> {
        Ok(self.get_option(name)?.unwrap_or(default))
    }

    /// One option; `None` when it is not given.
    pub(crate) fn get_option<T: FromStr<Err: fmt::Display>>(&self, name: &str) -> Result<Option<T>> {
        let Some(value) = self.options.get(name) else { return Ok(None) };
        value.parse().map(Some).map_err(|error| {
            Error::new(ErrorKind::Configuration, format!("`{}`: option `{name}` is `{value}`: {error}", self.text))
        })
    }
}

/// A number of bytes: `4096`, `64KiB`, `1MiB`, `2GiB`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ByteSize(pub usize);

impl FromStr for ByteSize {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let unit: usize = match text[digits..].trim() {
            "" | "B" => 1,
            "KiB" => 1 << 10,
            "MiB" => 1 << 20,
            "GiB" => 1 << 30,
            _ => 0,
        };
        let size = text[..digits].parse::<usize>().ok().and_then(|number| number.checked_mul(unit));
        size.filter(|_| unit > 0).map(Self).ok_or_else(|| "not a size; write `4096`, `64KiB`, `1MiB`".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn location(text: &str) -> Location {
        text.parse().unwrap()
    }

    #[test]
    fn urls_and_paths_come_apart() {
        for (text, scheme, path) in [
            ("-", None, "-"),
            ("data/views.jsonl", None, "data/views.jsonl"),
            ("/a b/100%.jsonl", None, "/a b/100%.jsonl"),
            ("file:///a/b.jsonl", Some("file"), "/a/b.jsonl"),
            ("FILE://a%20b%3F/c", Some("file"), "a b?/c"),
            ("embedded://./state", Some("embedded"), "./state"),
        ] {
            let location = location(text);
            assert_eq!((location.scheme(), location.path()), (scheme, path));
            assert_eq!(location.to_string(), text);
        }
    }

    #[test]
    fn options_are_known_or_refused() {
        let options = location("x?a=3&b=1MiB").take("file", &["a", "b", "c"]).unwrap();
        assert_eq!(options.get("a", 1u32).unwrap(), 3);
        assert_eq!(options.get("b", ByteSize(0)).unwrap(), ByteSize(1 << 20));
        assert_eq!(options.get("c", 7u32).unwrap(), 7);
        assert!(options.get("b", 1u32).unwrap_err().to_string().contains("option `b` is `1MiB`"));

        let refused = |text| location(text).take("file", &["a"]).unwrap_err().to_string();
        assert!(refused("x?b=1").contains("there is no option `b`; the options are `a`"));
        assert!(refused("s3://x").contains("not a `file://` URL"));
        assert!(refused("file://?a=1").contains("no path"));
    }

    #[test]
    fn nonsense_is_refused() {
        for text in ["://x", "a b://x", "x?a", "x?a=1&a=2", "file://%zz", "file://%ff", "x?a=%1"] {
            assert!(text.parse::<Location>().is_err(), "{text}");
        }
        for text in ["", "MiB", "1MB", "-1", "1.5MiB", "99999999999GiB"] {
            assert!(text.parse::<ByteSize>().is_err(), "{text}");
        }
    }
}
