use std::fmt;

/// What a fault did to the counts.
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

/// What came out of a row.
#[derive(Debug, Clone)]
pub struct Finding {
    /// The judgement.
    pub verdict: Verdict,
    /// Figures, by name.
    pub figures: Vec<(&'static str, u64)>,
    /// The end of what the workers said on standard error, when the verdict is a bad one.
    pub log: String,
}

impl Finding {
    /// Of a row that promises a refusal, and compares the tables all the same.
    pub(super) fn refused(mut self) -> Self {
        if self.verdict == Verdict::Exact {
            self.verdict = Verdict::Refused;
        }
        self
    }

    /// Unless it is worse already: the row promised this as well.
    pub(super) fn also(mut self, holds: bool, promise: impl FnOnce() -> String) -> Self {
        if !holds && matches!(self.verdict, Verdict::Exact | Verdict::Refused) {
            self.verdict = Verdict::Broken(promise());
        }
        self
    }
}
