//! How many keys may be watched, and by whom.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tonic::Status;

use super::super::refusal::Reason;
use super::Who;

/// Places for watched keys, each as often as streams watch it, of all pipelines of a server.
///
/// A caller that is known by name holds no more of them than are left free. So one alone has half of them at most, two have a
/// third each, and whoever comes later finds half of what the others have left. Callers that nobody knows take what there is.
pub(super) struct Room {
    most: usize,
    taken: Mutex<Taken>,
}

#[derive(Default)]
struct Taken {
    all: usize,
    /// Of those who hold any.
    by_caller: HashMap<Arc<str>, usize>,
}

/// The places of one stream, until it is dropped.
pub(super) struct Place {
    room: Arc<Room>,
    who: Who,
    keys: usize,
}

impl Room {
    pub(super) fn new(most: usize) -> Arc<Self> {
        Arc::new(Self { most, taken: Mutex::default() })
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        // Nothing between lock and unlock panics.
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Places for so many keys of one stream.
    pub(super) fn take(self: &Arc<Self>, who: &Who, keys: usize) -> Result<Place, Status> {
        let most = self.most;
        let mut taken = self.taken();
        let Some(left) = most.saturating_sub(taken.all).checked_sub(keys) else {
            let text = format!(
                "the server watches {most} keys at most, each as often as streams watch it, and once more for each KiB of what is \
                 looked up of it, and there is no room for {keys} more; watch fewer keys, look up less or end other streams, or have \
                 `--max-watched` raised"
            );
            return Err(Reason::WATCHED_EXHAUSTED.of_quota("server", text));
        };
        if let Some(name) = who {
            let held = taken.by_caller.get(name).copied().unwrap_or_default();
            // One key is always possible.
            if held + keys > left.max(1) {
                let text = format!(
                    "`{name}` watches {held} keys, and with {keys} more would watch more than are left free, {left} of the \
                     server's {most}; watch fewer keys or end other streams of this caller, or have `--max-watched` raised"
                );
                return Err(Reason::WATCHED_SHARE_EXHAUSTED.of_quota(name, text));
            }
            *taken.by_caller.entry(name.clone()).or_default() += keys;
        }
        taken.all += keys;
        Ok(Place { room: self.clone(), who: who.clone(), keys })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.room.taken();
        taken.all -= self.keys;
        if let Some(name) = &self.who
            && let Some(held) = taken.by_caller.get_mut(name)
        {
            *held -= self.keys;
            if *held == 0 {
                taken.by_caller.remove(name);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tonic_types::StatusExt;

    use super::*;

    fn named(name: &str) -> Who {
        Some(name.into())
    }

    fn reason(refused: Result<Place, Status>) -> String {
        refused.err().unwrap().get_details_error_info().unwrap().reason
    }

    #[test]
    fn a_caller_holds_no_more_than_it_leaves_free_and_others_find_room() {
        let room = Room::new(100);
        let first = room.take(&named("greedy"), 50).unwrap();
        let refused = room.take(&named("greedy"), 1).err().unwrap();
        assert!(refused.message().contains("`greedy` watches 50 keys") && refused.message().contains("--max-watched"));
        let quota = refused.get_details_quota_failure().unwrap();
        assert_eq!((&*quota.violations[0].subject, &*quota.violations[0].description), ("greedy", refused.message()));
        assert!(refused.get_details_retry_info().is_none(), "another try helps only when others have gone");
        // Each finds half of what is left.
        let second = room.take(&named("second"), 25).unwrap();
        assert_eq!(reason(room.take(&named("third"), 13)), "WATCHED_SHARE_EXHAUSTED");
        let third = room.take(&named("third"), 12).unwrap();
        assert_eq!(reason(room.take(&named("second"), 1)), "WATCHED_SHARE_EXHAUSTED");
        drop((first, third));
        let more = room.take(&named("second"), 25).unwrap();
        assert_eq!(reason(room.take(&named("second"), 1)), "WATCHED_SHARE_EXHAUSTED");
        drop((second, more));
        let taken = room.taken();
        assert!(taken.all == 0 && taken.by_caller.is_empty(), "nothing is kept of those who have gone");
    }

    #[test]
    fn strangers_share_all_there_is_and_a_last_place_is_anybody_s() {
        let room = Room::new(100);
        let _most = room.take(&None, 99).unwrap();
        let last = room.take(&named("late"), 1).unwrap();
        assert_eq!(reason(room.take(&named("later"), 1)), "WATCHED_EXHAUSTED");
        drop(last);
        let _last = room.take(&None, 1).unwrap();
        assert_eq!(reason(room.take(&None, 1)), "WATCHED_EXHAUSTED");
    }
}
