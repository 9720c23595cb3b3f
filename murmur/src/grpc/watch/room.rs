//! How many keys may be watched, how many bytes of them and of their answers are kept, and for whom.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use metrics::Gauge;
use tonic::Status;

use super::super::refusal::Reason;
use super::Who;
use crate::metrics::PLAIN;
use crate::metrics::catalogue::WATCHED_BYTES;

/// The room for what is watched, of all pipelines of a server.
pub(super) struct Room {
    /// Watched keys, each as often as streams watch it.
    keys: Budget,
    /// Bytes of keys and their answers, each once for all streams that watch it, and of the partitions that many answers name.
    bytes: Budget,
    /// How many of them are taken.
    measured: Gauge,
}

/// So much of something, for all callers together.
///
/// A caller that is known by name has no more of it than is left free. So one alone has half of it at most, two have a third each, and
/// whoever comes later finds half of what the others have left. Callers that nobody knows take what there is.
struct Budget {
    most: usize,
    taken: Mutex<Taken>,
}

#[derive(Default)]
struct Taken {
    all: usize,
    /// Of those who have any.
    by_caller: HashMap<Arc<str>, usize>,
}

/// Why there is no more of it.
enum Short {
    /// Others have it.
    Taken,
    /// The caller has so much, and would leave less free.
    Share { name: Arc<str>, held: usize, left: usize },
}

impl Budget {
    fn new(most: usize) -> Self {
        Self { most, taken: Mutex::default() }
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        // Nothing between lock and unlock panics.
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Take so much.
    fn take(&self, who: &Who, amount: usize) -> Result<(), Short> {
        let mut taken = self.taken();
        let Some(left) = self.most.saturating_sub(taken.all).checked_sub(amount) else { return Err(Short::Taken) };
        if let Some(name) = who {
            let held = taken.by_caller.get(name).copied().unwrap_or_default();
            // One is always possible.
            if held + amount > left.max(1) {
                return Err(Short::Share { name: name.clone(), held, left });
            }
        }
        taken.add(who, amount);
        Ok(())
    }

    fn give_back(&self, who: &Who, amount: usize) {
        self.taken().remove(who, amount);
    }

    /// Take so much, whether there is room for it or not: others find less.
    fn take_anyway(&self, who: &Who, amount: usize) {
        self.taken().add(who, amount);
    }

    /// It is another one's from now on.
    fn pass(&self, from: &Who, to: &Who, amount: usize) {
        let mut taken = self.taken();
        taken.remove(from, amount);
        taken.add(to, amount);
    }
}

impl Taken {
    fn add(&mut self, who: &Who, amount: usize) {
        self.all += amount;
        if let Some(name) = who.as_ref().filter(|_| amount > 0) {
            *self.by_caller.entry(name.clone()).or_default() += amount;
        }
    }

    fn remove(&mut self, who: &Who, amount: usize) {
        self.all -= amount;
        if let Some(name) = who
            && let Some(held) = self.by_caller.get_mut(name)
        {
            *held -= amount;
            if *held == 0 {
                self.by_caller.remove(name);
            }
        }
    }
}

impl Room {
    /// For so many keys, and so many bytes of them and their answers.
    pub(super) fn new(keys: usize, bytes: usize) -> Arc<Self> {
        Arc::new(Self { keys: Budget::new(keys), bytes: Budget::new(bytes), measured: WATCHED_BYTES.gauge(PLAIN) })
    }

    /// Places for so many keys of one stream.
    pub(super) fn take(self: &Arc<Self>, who: &Who, keys: usize) -> Result<Place, Status> {
        let most = self.keys.most;
        self.keys.take(who, keys).map_err(|short| match short {
            Short::Taken => {
                let text = format!(
                    "the server watches {most} keys at most, each as often as streams watch it, and once more for each KiB of what \
                     is looked up of it, and there is no room for {keys} more; watch fewer keys, look up fewer elements of them, end \
                     other streams, or have `--max-watched` raised"
                );
                Reason::WATCHED_EXHAUSTED.of_quota("server", text)
            }
            Short::Share { name, held, left } => {
                let text = format!(
                    "`{name}` watches {held} keys, and with {keys} more would watch more than are left free, {left} of the \
                     server's {most}; watch fewer keys, look up fewer elements of them, end other streams of this caller, or have \
                     `--max-watched` raised"
                );
                Reason::WATCHED_SHARE_EXHAUSTED.of_quota(&name, text)
            }
        })?;
        Ok(Place { room: self.clone(), who: who.clone(), keys })
    }
}

/// The places of one stream, until it is dropped.
pub(super) struct Place {
    room: Arc<Room>,
    who: Who,
    keys: usize,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.room.keys.give_back(&self.who, self.keys);
    }
}

/// The room of one key and its answer, or of what answers share, until it is dropped.
pub(super) struct Kept {
    room: Arc<Room>,
    who: Who,
    bytes: usize,
}

impl Kept {
    /// Of a key without an answer yet.
    pub(super) fn nothing(room: &Arc<Room>) -> Self {
        Self { room: room.clone(), who: None, bytes: 0 }
    }

    /// Whether nothing is kept yet.
    pub(super) fn is_nothing(&self) -> bool {
        self.bytes == 0
    }

    /// What has these bytes is this caller's, or nobody's when it is another one's already. It is refused to whoever `begins` alone: a
    /// stream does not end because partitions have moved.
    pub(super) fn share(&mut self, who: &Who, bytes: usize, begins: bool) -> Result<(), Status> {
        let who = if self.bytes > 0 && self.who != *who { &None } else { who };
        if self.bytes == 0 && !begins {
            self.who.clone_from(who);
            self.room.bytes.take_anyway(who, bytes);
            self.room.measured.increment(bytes as f64);
            self.bytes = bytes;
        }
        self.resize(who, bytes)
    }

    /// The key is this caller's now, and it has so many bytes with its answer. One that does not grow has its room whoever has it.
    pub(super) fn resize(&mut self, who: &Who, bytes: usize) -> Result<(), Status> {
        // Nearly always, and without a lock that all keys share.
        if self.bytes == bytes && self.who == *who {
            return Ok(());
        }
        let budget = &self.room.bytes;
        if self.who != *who {
            budget.pass(&self.who, who, self.bytes);
            self.who.clone_from(who);
        }
        if bytes <= self.bytes {
            budget.give_back(who, self.bytes - bytes);
        } else {
            let more = bytes - self.bytes;
            let most = budget.most;
            budget.take(who, more).map_err(|short| match short {
                Short::Taken => {
                    let text = format!(
                        "the server keeps {most} bytes of watched keys and their answers at most, and there is no room for one of {bytes}; \
                         watch fewer keys, look up fewer elements of them, end other streams, or have `--max-watched-bytes` raised"
                    );
                    Reason::WATCHED_EXHAUSTED.of_quota("server", text)
                }
                Short::Share { name, held, left } => {
                    let text = format!(
                        "the keys that `{name}` watches have {held} bytes with their answers, and with {more} more would have more than are \
                         left free, {left} of the server's {most}; watch fewer keys, look up fewer elements of them, end other \
                         streams of this caller, or have `--max-watched-bytes` raised"
                    );
                    Reason::WATCHED_SHARE_EXHAUSTED.of_quota(&name, text)
                }
            })?;
        }
        self.room.measured.increment(bytes as f64 - self.bytes as f64);
        self.bytes = bytes;
        Ok(())
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.room.bytes.give_back(&self.who, self.bytes);
        self.room.measured.decrement(self.bytes as f64);
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
        let room = Room::new(100, 0);
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
        let taken = room.keys.taken();
        assert!(taken.all == 0 && taken.by_caller.is_empty(), "nothing is kept of those who have gone");
    }

    #[test]
    fn strangers_share_all_there_is_and_a_last_place_is_anybody_s() {
        let room = Room::new(100, 0);
        let _most = room.take(&None, 99).unwrap();
        let last = room.take(&named("late"), 1).unwrap();
        assert_eq!(reason(room.take(&named("later"), 1)), "WATCHED_EXHAUSTED");
        drop(last);
        let _last = room.take(&None, 1).unwrap();
        assert_eq!(reason(room.take(&None, 1)), "WATCHED_EXHAUSTED");
    }

    #[test]
    fn answers_have_as_many_bytes_as_there_is_room_for_and_one_caller_leaves_half_of_it() {
        let room = Room::new(100, 1_000);
        let of = |who: &Who, bytes| {
            let mut kept = Kept::nothing(&room);
            kept.resize(who, bytes).map(|()| kept)
        };
        let why = |refused: Result<Kept, Status>| {
            let refused = refused.err().unwrap();
            assert!(refused.message().contains("--max-watched-bytes"), "{refused}");
            refused.get_details_error_info().unwrap().reason
        };
        let mut greedy = of(&named("greedy"), 500).unwrap();
        assert_eq!(why(of(&named("greedy"), 1)), "WATCHED_SHARE_EXHAUSTED");
        assert!(greedy.resize(&named("greedy"), 501).is_err());
        // As it was, and smaller, it stays, also when nobody shares it any more.
        for who in [named("greedy"), None, named("greedy")] {
            greedy.resize(&who, 500).unwrap();
        }
        let mut others = of(&None, 500).unwrap();
        assert_eq!(why(of(&None, 1)), "WATCHED_EXHAUSTED");
        greedy.resize(&named("greedy"), 499).unwrap();
        others.resize(&None, 501).unwrap();
        drop((greedy, others));
        // What two callers share is nobody's.
        let mut shared = Kept::nothing(&room);
        for (who, held) in [("first", Some(500)), ("first", Some(500)), ("second", None), ("first", None)] {
            shared.share(&named(who), 500, true).unwrap();
            assert_eq!(room.bytes.taken().by_caller.values().next().copied(), held, "{who}");
        }
        // Who has begun has them when there is no room, and who begins then finds none.
        let mut next = Kept::nothing(&room);
        assert!(next.share(&None, 501, true).is_err());
        next.share(&None, 501, false).unwrap();
        next.share(&named("first"), 501, true).unwrap();
        assert_eq!(why(of(&None, 1)), "WATCHED_EXHAUSTED");
        drop((shared, next));
        let taken = room.bytes.taken();
        assert!(taken.all == 0 && taken.by_caller.is_empty(), "nothing is kept of those who have gone");
    }
}
