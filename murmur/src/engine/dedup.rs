//! Events that were sent twice.

use std::collections::VecDeque;
use std::hash::Hasher;

use hashbrown::HashMap;
use siphasher::sip128::{Hasher128, SipHasher13};

use crate::pipeline::Identity;
use crate::source::{Offset, Ruler};

/// What is known of the identities of a partition's events. It is made of the log alone: whoever takes the partition reads
/// again what it is made of, before the first event that counts.
#[derive(Debug)]
pub(super) struct Memory {
    ruler: Ruler,
    /// Payloads met since the beginning of the log.
    payloads: u64,
    /// One per pipeline, in their order.
    pub(super) seen: Vec<Option<Seen>>,
}

impl Memory {
    /// `within` is how far back each pipeline looks; no memory when none does.
    pub(super) fn new(ruler: Ruler, within: impl Iterator<Item = Option<u64>>) -> Option<Self> {
        let seen: Vec<_> = within.map(|within| within.map(Seen::new)).collect();
        seen.iter().any(Option::is_some).then_some(Self { ruler, payloads: 0, seen })
    }

    /// Where the next payload stands.
    pub(super) fn step(&mut self, offset: Offset) -> u64 {
        self.payloads += 1;
        match self.ruler {
            Ruler::Payloads => self.payloads,
            Ruler::Offsets => offset.words()[3],
        }
    }
}

/// The identities that one pipeline has met within its horizon.
#[derive(Debug)]
pub(super) struct Seen {
    within: u64,
    /// Where each identity was met last.
    last: HashMap<Mark, u64>,
    /// The same in the order of positions; an identity that was met again stands there more than once.
    order: VecDeque<(u64, Mark)>,
    identity: Identity,
}

/// A hash of an identity. Of 10^12 events, each compared with 10^7, two would be taken for the same with a probability
/// of 10^-19.
type Mark = (u64, u64);

impl Seen {
    fn new(within: u64) -> Self {
        Self { within, last: HashMap::new(), order: VecDeque::new(), identity: Identity::default() }
    }

    /// Whether an event of the same identity was met at most `within` before `position`.
    pub(super) fn repeats<E>(&mut self, event: &E, identify: fn(&E, &mut Identity), position: u64) -> bool {
        self.forget_before(position.saturating_sub(self.within));
        let Some(identity) = self.identity.of(event, identify) else { return false };
        let mark = mark(identity);
        self.order.push_back((position, mark));
        self.last.insert(mark, position).is_some()
    }

    fn forget_before(&mut self, begin: u64) {
        while let Some((_, mark)) = self.order.pop_front_if(|(position, _)| *position < begin) {
            if self.last.get(&mark).is_some_and(|last| *last < begin) {
                self.last.remove(&mark);
            }
        }
    }
}

/// The same in every process, as whoever reads the log must come to the same events.
fn mark(identity: &str) -> Mark {
    let mut hasher = SipHasher13::new();
    hasher.write(identity.as_bytes());
    let hash = hasher.finish128();
    (hash.h1, hash.h2)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn identify(event: &Option<u64>, identity: &mut Identity) {
        identity.part(event);
    }

    proptest! {
        #[test]
        fn an_event_repeats_another_of_the_horizon_however_far_back_reading_began(
            log in proptest::collection::vec(proptest::option::weighted(0.9, 0u64..6), 1..60),
            within in 1u64..8,
            skipped in 0usize..60,
        ) {
            let repeats = |n: usize| {
                let back = &log[n.saturating_sub(within as usize)..n];
                log[n].is_some() && back.contains(&log[n])
            };
            let begin = skipped.min(log.len());
            let mut seen = Seen::new(within);
            for (n, event) in log.iter().enumerate().skip(begin) {
                let found = seen.repeats(event, identify, n as u64);
                if n >= begin + within as usize || begin == 0 {
                    prop_assert_eq!(found, repeats(n), "event {} of {:?}", n, log);
                }
                prop_assert!(seen.order.len() <= within as usize + 1 && seen.last.len() <= seen.order.len());
            }
        }
    }

    #[test]
    fn identities_of_several_parts_do_not_run_into_each_other() {
        let identity = |a: &str, b: &str| {
            let mut identity = Identity::default();
            let event = (a.to_owned(), b.to_owned());
            identity
                .of(&event, |(a, b), identity| {
                    identity.part(a).part(b);
                })
                .map(mark)
        };
        assert_ne!(identity("ab", "c"), identity("a", "bc"));
        assert_ne!(identity("a\0", "c"), identity("a", "\0c"));
        assert_eq!(identity("a", "b"), identity("a", "b"));
    }
}
