//! Events, while nobody wants messages. The rules for `unsafe` are those of the module above.

use std::sync::PoisonError;
use std::sync::atomic::Ordering;

use rdkafka_sys as sys;

use super::position::List;
use super::{Consumer, Event, Position, Slots};
use crate::source::Asks;
use crate::source::kafka::failure::Failure;

impl Consumer {
    /// Have events reported while nobody wants messages. Nothing is fetched from then on, until [`missed`](Self::missed) is
    /// called. What was fetched and not taken is dropped by the pause, which is once as much as the client may hold.
    pub(in crate::source::kafka) fn listen(&self, slots: &mut Slots) {
        if !self.shared.paused.swap(true, Ordering::SeqCst) {
            self.pause(true);
        }
        self.take(slots, |message| {
            let at = message.has_topic().then(|| Position {
                topic: message.topic().to_string_lossy().into_owned(),
                partition: message.partition(),
                offset: None,
            });
            if let Some(failure) = message.failure()
                && at.as_ref().is_none_or(|at| at.partition < 0)
            {
                self.shared.missed.lock().unwrap_or_else(PoisonError::into_inner).push((at, failure));
            }
        });
    }

    /// Fetch nothing of all partitions that are fetched now, or go on with it. A partition that could not be asked for goes
    /// on as it was: then what arrives is dropped.
    fn pause(&self, pause: bool) {
        let Ok(list) = List::assigned(self.rk.as_ptr()) else { return };
        // SAFETY: both handles are valid; the call writes errors into the list, which is ours.
        unsafe {
            let change = if pause { sys::rd_kafka_pause_partitions } else { sys::rd_kafka_resume_partitions };
            change(self.rk.as_ptr(), list.as_ptr());
        }
    }

    /// Whether [`event`](Self::event) has something to say about this.
    pub(in crate::source::kafka) fn has_news(&self, what: Asks) -> bool {
        let events = self.shared.events.lock().unwrap_or_else(PoisonError::into_inner);
        events.iter().any(|event| match event {
            Event::Revoked(_) | Event::Lost(_) | Event::Fatal(_) => true,
            Event::Assigned(_) => what == Asks::Anything,
            Event::Committed(_) | Event::Uncommitted(_) => false,
        })
    }

    /// Fetch again, if only events were [listened](Self::listen) for; the failures of no partition that were reported
    /// meanwhile. All partitions have to be [sought](Self::seek) after it. `None` when nobody has listened.
    pub(in crate::source::kafka) fn missed(&self) -> Option<Vec<(Option<Position>, Failure)>> {
        let missed = || std::mem::take(&mut *self.shared.missed.lock().unwrap_or_else(PoisonError::into_inner));
        self.shared.paused.swap(false, Ordering::SeqCst).then(|| {
            self.pause(false);
            missed()
        })
    }
}
