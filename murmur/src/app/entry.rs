use std::fmt;

use serde::de::DeserializeOwned;

use crate::pipeline::{Pipeline, Spec};

/// One pipeline of the binary, without its types.
#[derive(Clone, Copy)]
pub(super) struct Entry {
    pub(super) spec: Spec,
}

impl Entry {
    /// The entry of a pipeline whose events are read from JSON.
    pub(super) fn of<P: Pipeline<Event: DeserializeOwned>>() -> Self {
        Self { spec: P::SPEC }
    }
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Entry").field(&self.spec.name).finish()
    }
}
