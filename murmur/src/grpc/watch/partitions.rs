//! The partitions that answers name in `as_of`, kept once for all answers that name the same.
//!
//! A topic may have hundreds of them, and a look finds a thousand keys that all say the same of them.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use tonic::Status;

use super::super::truth;
use super::Who;
use super::room::{Kept, Room};
use crate::query::PartitionProgress;

/// What a look knew of them, as long as there is an answer of it.
pub(super) struct Partitions {
    /// As a field of `AsOf`; nothing of none.
    pub(super) field: Box<[u8]>,
    kept: Mutex<Kept>,
}

impl Partitions {
    pub(super) fn is_empty(&self) -> bool {
        self.field.is_empty()
    }

    /// They are this caller's, unless they are those of another one already: then they are nobody's. There may be no room for them for
    /// an answer that `begins` a key, and for others there always is.
    pub(super) fn of(&self, who: &Who, begins: bool) -> Result<(), Status> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).share(who, self.field.len(), begins)
    }
}

impl PartialEq for Partitions {
    fn eq(&self, other: &Self) -> bool {
        self.field == other.field
    }
}

/// So that those which are the same are not compared byte by byte.
impl Eq for Partitions {}

/// Those of the last look.
pub(super) struct Latest {
    room: Arc<Room>,
    partitions: Mutex<Weak<Partitions>>,
}

impl Latest {
    pub(super) fn new(room: &Arc<Room>) -> Self {
        Self { room: room.clone(), partitions: Mutex::default() }
    }

    /// Those of an answer, which are the last ones unless something has moved.
    pub(super) fn of(&self, partitions: &Arc<[PartitionProgress]>) -> Arc<Partitions> {
        let field = truth::field(partitions).into_boxed_slice();
        // It is replaced as a whole.
        let mut latest = self.partitions.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = latest.upgrade().filter(|known| known.field == field) {
            return known;
        }
        let made = Arc::new(Partitions { field, kept: Mutex::new(Kept::nothing(&self.room)) });
        *latest = Arc::downgrade(&made);
        made
    }
}
