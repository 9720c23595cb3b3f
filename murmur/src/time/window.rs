use super::{Span, Timestamp};

/// The window of a pipeline, as its definition states it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Window {
    /// One value per key over all time; nothing expires.
    AllTime,
    /// Windows of `size` side by side, each kept for `keep` after its end.
    Tumbling {
        /// Length of each window; also the slot.
        size: Span,
        /// How long a window stays readable after its end.
        keep: Span,
    },
    /// Any interval of up to `span` that ends now or earlier, cut at slots.
    Sliding {
        /// The longest window, and how long data stays readable after its tile's end.
        span: Span,
        /// The finest unit kept apart.
        slot: Span,
    },
}

impl Window {
    /// How long data stays readable after the end of its tile; `None` when it never expires.
    pub const fn retention(&self) -> Option<Span> {
        match self {
            Self::AllTime => None,
            Self::Tumbling { keep, .. } => Some(*keep),
            Self::Sliding { span, .. } => Some(*span),
        }
    }

    /// The slot; `None` when there is only one, all time.
    pub const fn slot(&self) -> Option<Span> {
        match self {
            Self::AllTime => None,
            Self::Tumbling { size, .. } => Some(*size),
            Self::Sliding { slot, .. } => Some(*slot),
        }
    }

    /// Earliest instant that is still inside retention at `now`; `None` when nothing expires.
    pub fn horizon(&self, now: Timestamp) -> Option<Timestamp> {
        self.retention().map(|keep| now.saturating_sub(keep))
    }
}
