//! The one error type of the runtime.

use std::borrow::Cow;
use std::fmt;

/// What went wrong, for a program to decide on.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The caller asked for something that cannot be (a bad key, a span over the limit).
    InvalidArgument,
    /// The configuration does not make sense (an unknown URL scheme, a folder that is not there).
    Configuration,
    /// Named thing does not exist (a pipeline, a file).
    NotFound,
    /// Bytes that should decode do not: a bad checksum, an unknown version, a foreign format.
    Corrupt,
    /// What is stored belongs to another pipeline, or to a definition that cannot go on with it.
    Foreign,
    /// The other side does not let us in: no credentials, expired ones, or not allowed.
    Denied,
    /// Someone else holds what this process needs (the embedded store is open elsewhere).
    Conflict,
    /// A request may or may not have been carried out: its reply was lost. Send the same request again.
    Ambiguous,
    /// A limit was reached (bytes, items, streams).
    ResourceExhausted,
    /// An item would be larger than its store takes, and nothing was written; or an answer than one reply may be.
    Oversize,
    /// A number left the range of its type.
    Overflow,
    /// A source no longer has, or never had, the position at which it is to go on.
    OutOfRange,
    /// The other side cannot be reached or is overloaded; it was certainly not carried out.
    Unavailable,
    /// The deadline passed.
    DeadlineExceeded,
    /// Input or output failed (disk, pipe).
    Io,
    /// A defect of Murmur itself.
    Internal,
}

/// An error with its kind, the context it happened in, and its source.
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    context: String,
    field: Option<Cow<'static, str>>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// Result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// A new error; `context` names the thing and, where there is one, the way out.
    pub fn new(kind: ErrorKind, context: impl Into<String>) -> Self {
        Self { kind, context: context.into(), field: None, source: None }
    }

    /// Attach the error that caused this one.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Say which field of a request this is about, as the `.proto` names it: `window`, `calendar.zone`.
    #[must_use]
    pub fn of_field(mut self, field: impl Into<Cow<'static, str>>) -> Self {
        self.field = Some(field.into());
        self
    }

    /// Say in which part of a request it is: the path of its field begins with that, and so does the sentence.
    #[must_use]
    pub(crate) fn within(mut self, place: &str) -> Self {
        self.field = self.field.map(|field| format!("{place}.{field}").into());
        self.while_doing(format_args!("`{place}`"))
    }

    /// Say in front of the present context what was being done.
    #[must_use]
    pub fn while_doing(mut self, what: impl fmt::Display) -> Self {
        self.context = format!("{what}: {}", self.context);
        self
    }

    /// Say behind the present context what else there is to know.
    #[must_use]
    pub(crate) fn adding(mut self, what: impl fmt::Display) -> Self {
        self.context = format!("{}; {what}", self.context);
        self
    }

    /// The same error for one more of those who asked together; its source is in the text.
    #[must_use]
    pub fn again(&self) -> Self {
        Self { field: self.field.clone(), ..Self::new(self.kind, self.to_string()) }
    }

    /// What went wrong, for a program.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The sentence for a person, without the source.
    pub fn context(&self) -> &str {
        &self.context
    }

    /// The field of the request that it is about, where there is one.
    pub fn field(&self) -> Option<&str> {
        self.field.as_deref()
    }

    /// Whether sending the same request again can help.
    pub fn is_retryable(&self) -> bool {
        matches!(self.kind, ErrorKind::Ambiguous | ErrorKind::Unavailable | ErrorKind::DeadlineExceeded)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.context)?;
        if let Some(source) = &self.source {
            write!(f, ": {source}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|s| s as _)
    }
}

impl From<std::io::Error> for Error {
    fn from(error: std::io::Error) -> Self {
        Self::new(ErrorKind::Io, "input or output failed").with_source(error)
    }
}
