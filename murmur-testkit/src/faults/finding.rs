use crate::oracle::Verdict;

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
