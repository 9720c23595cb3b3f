use std::fmt;
use std::str::FromStr;

use crate::{Error, ErrorKind, Result};

/// How many of the last payloads may be dead letters before the worker stops.
///
/// A bad payload now and then is what dead letters are for. A source of which most payloads are bad is the wrong
/// source, or speaks a new format: going on would move it to the dead letters as a whole. A payload that is a letter
/// because a tile is full counts as a good one: it says nothing about the source, and one full key that most payloads
/// belong to must not stop the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeadLetterLimit {
    /// In percent of the last [`WINDOW`](Self::WINDOW) payloads; 100 never stops.
    pub percent: u8,
}

impl DeadLetterLimit {
    /// How many payloads are looked at. A worker that has read fewer does not stop.
    pub const WINDOW: usize = 2_000;

    /// How many payloads will do at the end of a source.
    pub const AT_THE_END: usize = 100;
}

impl Default for DeadLetterLimit {
    fn default() -> Self {
        Self { percent: 50 }
    }
}

impl fmt::Display for DeadLetterLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}%", self.percent)
    }
}

impl FromStr for DeadLetterLimit {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.strip_suffix('%').and_then(|percent| percent.parse().ok()) {
            Some(percent @ 1..=100) => Ok(Self { percent }),
            _ => Err("write a share from `1%` to `100%`; with `100%` the worker never stops for it"),
        }
    }
}

/// Counts the dead letters among the last payloads: one bit each, in a ring.
#[derive(Debug)]
pub(super) struct Breaker {
    limit: DeadLetterLimit,
    ring: Vec<u64>,
    at: usize,
    dead: usize,
    seen: usize,
}

impl Breaker {
    pub(super) fn new(limit: DeadLetterLimit) -> Self {
        Self { limit, ring: vec![0; DeadLetterLimit::WINDOW.div_ceil(64)], at: 0, dead: 0, seen: 0 }
    }

    /// One payload more.
    pub(super) fn note(&mut self, dead: bool) {
        let (word, bit) = (&mut self.ring[self.at / 64], 1 << (self.at % 64));
        self.dead -= usize::from(*word & bit != 0);
        if dead {
            *word |= bit;
            self.dead += 1;
        } else {
            *word &= !bit;
        }
        self.at = (self.at + 1) % DeadLetterLimit::WINDOW;
        self.seen = (self.seen + 1).min(DeadLetterLimit::WINDOW);
    }

    /// An error when too many of the last payloads were dead letters. `reason` is that of the newest.
    pub(super) fn check(&self, reason: &str) -> Result<()> {
        if self.seen < DeadLetterLimit::WINDOW { Ok(()) } else { self.judge(reason) }
    }

    /// The same when nothing more comes: fewer payloads will do.
    pub(super) fn check_at_the_end(&self) -> Result<()> {
        if self.seen < DeadLetterLimit::AT_THE_END { Ok(()) } else { self.judge("see the dead letters") }
    }

    fn judge(&self, reason: &str) -> Result<()> {
        if self.dead <= self.seen * usize::from(self.limit.percent) / 100 {
            return Ok(());
        }
        let context = format!(
            "stopped: {} of the last {} payloads could not be counted, more than {}. Is this the right source, in the \
             right format? Nothing is lost: they are read again from the last commit. The newest says: {reason}",
            self.dead, self.seen, self.limit
        );
        Err(Error::new(ErrorKind::ResourceExhausted, context))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(limit: u8, payloads: impl IntoIterator<Item = bool>) -> Result<()> {
        let mut breaker = Breaker::new(DeadLetterLimit { percent: limit });
        payloads.into_iter().for_each(|dead| breaker.note(dead));
        breaker.check("no JSON")
    }

    #[test]
    fn at_the_end_fewer_payloads_will_do() {
        let few = |seen: usize, dead: usize| {
            let mut breaker = Breaker::new(DeadLetterLimit::default());
            (0..seen).for_each(|n| breaker.note(n < dead));
            breaker.check("no JSON").unwrap();
            breaker.check_at_the_end()
        };
        few(DeadLetterLimit::AT_THE_END, 50).unwrap();
        few(DeadLetterLimit::AT_THE_END - 1, 99).unwrap();
        assert!(few(DeadLetterLimit::AT_THE_END, 51).unwrap_err().to_string().contains("51 of the last 100"));
    }

    #[test]
    fn it_trips_above_the_limit_and_not_at_it() {
        let window = DeadLetterLimit::WINDOW;
        after(50, (0..window).map(|n| n % 2 == 0)).unwrap();
        let error = after(50, (0..window).map(|n| n % 2 == 0 || n == 1)).unwrap_err();
        assert!(!error.is_retryable());
        assert!(
            error.to_string().contains("1001 of the last 2000") && error.to_string().contains("no JSON"),
            "{error}"
        );
    }

    #[test]
    fn a_few_payloads_do_not_trip_it_and_100_percent_never_does() {
        after(50, (0..DeadLetterLimit::WINDOW - 1).map(|_| true)).unwrap();
        after(50, (0..DeadLetterLimit::WINDOW).map(|_| true)).unwrap_err();
        after(100, (0..10_000).map(|_| true)).unwrap();
    }

    #[test]
    fn only_the_last_payloads_count() {
        let (window, good) = (DeadLetterLimit::WINDOW, DeadLetterLimit::WINDOW / 2 + 7);
        let storm = (0..10 * window).map(|_| false).chain((0..window / 2).map(|_| true));
        after(50, storm.clone()).unwrap();
        after(50, storm.clone().chain([true])).unwrap_err();
        after(50, storm.chain([true]).chain((0..good).map(|_| false)).chain((0..window / 2 - 7).map(|_| true)))
            .unwrap();
    }

    #[test]
    fn limits_are_shares() {
        for text in ["1%", "50%", "100%"] {
            assert_eq!(text.parse::<DeadLetterLimit>().unwrap().to_string(), text);
        }
        for text in ["0%", "101%", "50", "half", "-1%", ""] {
            assert!(text.parse::<DeadLetterLimit>().is_err(), "{text}");
        }
    }
}
