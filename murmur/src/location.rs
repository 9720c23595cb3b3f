//! URLs of sources and stores: `scheme://path?option=value&...`, or a plain path.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use crate::{Error, ErrorKind, Result};

/// Where a source or store is, taken apart. Shown, it does not tell what looks like a secret.
///
/// `kind://path?name=value`, `path?name=value`, or `-` for standard input and output. After a scheme, `%XX` stands for
/// a byte; so a path with a question mark is written `file:///odd%3Fname`. Whatever has no scheme is a path as the
/// shell knows it, up to its first `?`.
#[derive(Clone, PartialEq, Eq)]
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

    /// As it was written, secrets included; for those who read it again.
    #[cfg(feature = "app")]
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// The path of a backend that knows the scheme `own` (or none at all), and these options. One that ends in `*`
    /// stands for all that begin like it.
    ///
    /// Errors name a foreign scheme, a missing path, an unknown option.
    pub(crate) fn take(self, own: &str, options: &[&str]) -> Result<Options> {
        if self.path.is_empty() && self.scheme.as_deref().is_none_or(|scheme| scheme == own) {
            return self.refuse(format_args!("there is no path; write `{own}:///folder/name`"));
        }
        self.take_bare(own, options)
    }

    /// As [`take`](Self::take), where the path may be empty.
    pub(crate) fn take_bare(self, own: &str, options: &[&str]) -> Result<Options> {
        if self.scheme.as_deref().is_some_and(|scheme| scheme != own) {
            return self.refuse(format_args!("this is not a `{own}://` URL"));
        }
        let is_known = |name: &str| {
            options
                .iter()
                .any(|option| option.strip_suffix('*').map_or(*option == name, |start| name.starts_with(start)))
        };
        if let Some(unknown) = self.options.keys().find(|name| !is_known(name)) {
            return self
                .refuse(format_args!("there is no option `{unknown}`; the options are `{}`", options.join("`, `")));
        }
        Ok(Options { text: self.to_string(), path: self.path, options: self.options })
    }

    fn refuse<T>(&self, what: fmt::Arguments<'_>) -> Result<T> {
        Err(Error::new(ErrorKind::Configuration, format!("`{self}`: {what}")))
    }
}

impl FromStr for Location {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let bad = |what: &str| {
            Error::new(ErrorKind::Configuration, format!("`{}` is not a URL: {what}", without_secrets(text)))
        };
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
        f.write_str(&without_secrets(&self.text))
    }
}

impl fmt::Debug for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Location({self})")
    }
}

/// The text with `***` for values of options that are called like secrets, and for a password before an `@`.
fn without_secrets(text: &str) -> String {
    let (before, query) = text.split_once('?').map_or((text, None), |(before, query)| (before, Some(query)));
    let (scheme, rest) = before.split_once("://").unwrap_or_default();
    let authority = rest.split('/').next().unwrap_or_default();
    let mut shown = match authority.rsplit_once('@').and_then(|(user, _)| user.split_once(':')) {
        Some((user, password)) => format!("{scheme}://{user}:***{}", &rest[user.len() + 1 + password.len()..]),
        None => before.to_owned(),
    };
    for (n, option) in query.iter().flat_map(|query| query.split('&')).enumerate() {
        shown.push(if n == 0 { '?' } else { '&' });
        match option.split_once('=') {
            Some((name, _)) if is_secret(name) => shown.push_str(&format!("{name}=***")),
            _ => shown.push_str(option),
        }
    }
    shown
}

fn is_secret(option: &str) -> bool {
    let name = option.to_ascii_lowercase();
    let ends = ["password", "secret", "token", "key.pem", "jaas.config"];
    ends.iter().any(|end| name.ends_with(end))
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
    /// The options that begin with `start`, without it.
    #[cfg_attr(not(feature = "kafka"), allow(dead_code, reason = "only Kafka has such options"))]
    pub(crate) fn beginning_with(&self, start: &str) -> impl Iterator<Item = (&str, &str)> {
        self.options.iter().filter_map(move |(name, value)| Some((name.strip_prefix(start)?, value.as_str())))
    }

    /// That something about the URL is wrong.
    pub(crate) fn bad(&self, what: &str) -> Error {
        Error::new(ErrorKind::Configuration, format!("`{}`: {what}", self.text))
    }

    /// One option; `default` when it is not given.
    pub(crate) fn get<T: FromStr<Err: fmt::Display>>(&self, name: &str, default: T) -> Result<T> {
        Ok(self.get_option(name)?.unwrap_or(default))
    }

    /// One option; `None` when it is not given.
    pub(crate) fn get_option<T: FromStr<Err: fmt::Display>>(&self, name: &str) -> Result<Option<T>> {
        let Some(value) = self.options.get(name) else { return Ok(None) };
        value.parse().map(Some).map_err(|error| self.bad(&format!("option `{name}` is `{value}`: {error}")))
    }
}

/// A number of bytes: `4096`, `64KiB`, `1MiB`, `2GiB`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ByteSize(pub usize);

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [("GiB", 30), ("MiB", 20), ("KiB", 10)];
        let fits = |(_, bits): &&(&str, u32)| self.0 > 0 && self.0.trailing_zeros() >= *bits;
        match units.iter().find(fits) {
            Some((unit, bits)) => write!(f, "{}{unit}", self.0 >> bits),
            None => write!(f, "{}", self.0),
        }
    }
}

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
        assert_eq!(location("file://?a=1").take_bare("file", &["a"]).unwrap().path, "");
    }

    #[test]
    fn a_group_of_options_is_known_by_its_beginning() {
        let options = location("x?a=1&more.b=2&more.c.d=3").take("file", &["a", "more.*"]).unwrap();
        assert_eq!(options.beginning_with("more.").collect::<Vec<_>>(), [("b", "2"), ("c.d", "3")]);
        assert!(location("x?a=1&mor=2").take("file", &["a", "more.*"]).is_err());
    }

    #[test]
    fn what_is_shown_tells_no_secret() {
        for (text, shown) in [
            (
                "kafka://b:9092/t?group=g&librdkafka.sasl.password=hunter2&start=latest",
                "kafka://b:9092/t?group=g&librdkafka.sasl.password=***&start=latest",
            ),
            ("mongodb://user:hunter2@host/db", "mongodb://user:***@host/db"),
            ("x?Client.SECRET=hunter2", "x?Client.SECRET=***"),
            ("x?sasl.password_file=/run/secret", "x?sasl.password_file=/run/secret"),
            ("file:///a:b@c", "file:///a:b@c"),
        ] {
            let location = location(text);
            assert_eq!(location.to_string(), shown);
            assert!(!format!("{location:?}").contains("hunter2"));
            let refused = location.take("none", &[]).unwrap_err().to_string();
            assert!(!refused.contains("hunter2"), "{refused}");
        }
        let refused = "x?a=1&a=2&password=hunter2&password=hunter2".parse::<Location>().unwrap_err().to_string();
        assert!(!refused.contains("hunter2"), "{refused}");
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
