use std::fmt;

/// What stands in the tables, beside what must.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Everything counts once.
    Exact,
    /// Counts that are too high, by so many events together.
    Over(u64),
    /// Counts that are too low, by so many events together.
    Under(u64),
    /// Something else stands there: a fold out of order, bytes that do not decode, dead letters that are not those.
    Corrupt(String),
    /// No progress, and not everything counted.
    Stuck(String),
    /// The worker stopped with the error that was promised.
    Refused,
    /// The counts are right, and another promise of the row was broken.
    Broken(String),
}

impl Verdict {
    /// Without its figures.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Exact => "EXACT",
            Self::Over(_) => "OVER",
            Self::Under(_) => "UNDER",
            Self::Corrupt(_) => "CORRUPT",
            Self::Stuck(_) => "STUCK",
            Self::Refused => "REFUSED",
            Self::Broken(_) => "BROKEN",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact | Self::Refused => f.write_str(self.name()),
            Self::Over(events) | Self::Under(events) => write!(f, "{}({events})", self.name()),
            Self::Corrupt(what) | Self::Stuck(what) | Self::Broken(what) => write!(f, "{}: {what}", self.name()),
        }
    }
}
