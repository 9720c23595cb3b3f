//! Places for the calls that are answered: so many in all, and for one caller half of them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::super::limits::places;

/// All places of a server.
pub(in crate::grpc) struct Places {
    all: Arc<Semaphore>,
    /// Most for one caller.
    half: usize,
    /// Of those that call, or wait for a place, by name.
    callers: Mutex<HashMap<Arc<str>, Share>>,
}

/// What one caller has.
struct Share {
    places: Arc<Semaphore>,
    /// Calls that have a place or wait for one.
    calls: usize,
}

/// The place of one call, until it is dropped.
pub(in crate::grpc) struct Place {
    _of_all: Option<OwnedSemaphorePermit>,
    _of_caller: Option<OfCaller>,
}

struct OfCaller {
    places: Arc<Places>,
    name: Arc<str>,
    permit: Option<OwnedSemaphorePermit>,
}

impl Places {
    pub(in crate::grpc) fn new(count: usize) -> Arc<Self> {
        Arc::new(Self { all: places(count), half: count.div_ceil(2), callers: Mutex::default() })
    }

    /// The next place for a call; of a caller who is known by this name.
    pub(super) async fn take(self: &Arc<Self>, caller: Option<&Arc<str>>) -> Place {
        // First that of the caller: whoever waits for it takes nothing from others.
        let of_caller = match caller {
            Some(name) => Some(self.of_caller(name).await),
            None => None,
        };
        // Only a closed semaphore fails, and these are never closed.
        Place { _of_all: self.all.clone().acquire_owned().await.ok(), _of_caller: of_caller }
    }

    async fn of_caller(self: &Arc<Self>, name: &Arc<str>) -> OfCaller {
        let share = {
            let mut callers = self.callers();
            let share = callers.entry(name.clone()).or_insert_with(|| Share { places: places(self.half), calls: 0 });
            share.calls += 1;
            share.places.clone()
        };
        let mut place = OfCaller { places: self.clone(), name: name.clone(), permit: None };
        place.permit = share.acquire_owned().await.ok();
        place
    }

    fn callers(&self) -> MutexGuard<'_, HashMap<Arc<str>, Share>> {
        // Nothing under the lock panics.
        self.callers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for OfCaller {
    fn drop(&mut self) {
        drop(self.permit.take());
        let mut callers = self.places.callers();
        if let Some(share) = callers.get_mut(&self.name) {
            share.calls -= 1;
            if share.calls == 0 {
                callers.remove(&self.name);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[test]
    fn one_caller_has_half_of_the_places_and_leaves_the_others_to_others() {
        let places = Places::new(4);
        let (busy, other): (Arc<str>, Arc<str>) = ("busy".into(), "other".into());
        let take = |caller: Option<&Arc<str>>| places.take(caller).now_or_never();
        let (first, second) = (take(Some(&busy)), take(Some(&busy)));
        assert!(first.is_some() && second.is_some() && take(Some(&busy)).is_none());
        let others = (take(Some(&other)), take(None));
        assert!(others.0.is_some() && others.1.is_some());
        // There are no more.
        assert!(take(Some(&other)).is_none() && take(None).is_none());
        drop(first);
        assert!(take(Some(&busy)).is_some());
        drop((second, others));
        assert!(places.callers().is_empty());
    }
}
