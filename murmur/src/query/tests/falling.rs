//! A roller that dies between its steps.

use std::sync::atomic::{AtomicI64, Ordering};

use super::hooked::{Death, Hook};
use crate::store::Write;

/// Lets so many writes of rolled slots through; the next one is the last that its process sends, and arrives or not.
pub(super) struct Falling {
    left: AtomicI64,
    arrives: bool,
}

impl Falling {
    pub(super) fn new(writes: u8, arrives: bool) -> Self {
        Self { left: AtomicI64::new(writes.into()), arrives }
    }

    pub(super) fn has_died(&self) -> bool {
        self.left.load(Ordering::Relaxed) < 0
    }
}

impl Hook for Falling {
    fn writing(&self, writes: &[Write]) -> Option<Death> {
        if !writes.iter().any(|write| matches!(write, Write::Roll { .. })) {
            return None;
        }
        let dies = self.left.fetch_sub(1, Ordering::Relaxed) <= 0;
        dies.then_some(if self.arrives { Death::After } else { Death::Before })
    }
}
