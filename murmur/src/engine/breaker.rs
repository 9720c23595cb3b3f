use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use tokio::time::Instant;

use crate::{Error, ErrorKind, Result};

/// How many of the last payloads may be dead letters before the worker stops.
///
/// A bad payload now and then is what dead letters are for. A source of which most payloads are bad is the wrong
/// source, or speaks a new format: going on would move it to the dead letters as a whole. A payload that is a letter
/// because a tile is full counts as a good one: it says nothing about the source, and one full key that most payloads
/// belong to must not stop the others.
///
/// Letters wait, and the commits behind them with them, until it is clear that they are not the beginning of such a
/// source: while fewer than [`AT_THE_END`](Self::AT_THE_END) payloads were read since the worker began, and while more
/// than half of this share are bad. They go when the share is below that, when a whole window has passed and the worker
/// was not to stop, and when the source has nothing more and the share is not above the limit (or so few were read
/// that it says nothing, and nothing has come for two seconds). So a worker that is started again, in the midst of such
/// a source, moves nothing of it, however often that happens. What waits when a worker is stopped, and is more than
/// this share, is read again.
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

/// For so long nothing has come from a source that is at rest.
const AT_REST: Duration = Duration::from_secs(2);

/// Counts the dead letters among the last payloads: one bit each, in a ring.
#[derive(Debug)]
pub(super) struct Breaker {
    limit: DeadLetterLimit,
    ring: Vec<u64>,
    at: usize,
    dead: usize,
    seen: usize,
    /// Payloads since letters have had to wait.
    waited: usize,
    /// So many of the next payloads were judged before.
    trusted: u64,
    /// Since when nothing has come.
    quiet: Option<Instant>,
    /// That letters wait was said, and no whole window was good since.
    is_said: bool,
    /// Where the newest one stands and why it is bad, without anything of it.
    newest: String,
}

impl Breaker {
    pub(super) fn new(limit: DeadLetterLimit) -> Self {
        let ring = vec![0; DeadLetterLimit::WINDOW.div_ceil(64)];
        Self {
            limit,
            ring,
            at: 0,
            dead: 0,
            seen: 0,
            waited: 0,
            trusted: 0,
            quiet: None,
            is_said: false,
            newest: String::new(),
        }
    }

    /// One payload more; of a bad one, where it stands and why it is bad, without anything of it.
    pub(super) fn note(&mut self, dead: Option<String>) {
        let (word, bit) = (&mut self.ring[self.at / 64], 1 << (self.at % 64));
        self.dead -= usize::from(*word & bit != 0);
        if let Some(why) = dead {
            *word |= bit;
            self.dead += 1;
            self.newest = why;
        } else {
            *word &= !bit;
        }
        self.at = (self.at + 1) % DeadLetterLimit::WINDOW;
        self.seen = (self.seen + 1).min(DeadLetterLimit::WINDOW);
        self.trusted = self.trusted.saturating_sub(1);
        self.quiet = None;
        self.waited = if self.is_calm() { 0 } else { self.waited + 1 };
        self.is_said &= self.dead > 0;
    }

    /// Say that letters wait, once until a whole window was good; not of the first few payloads, which say little.
    pub(super) fn say_that_letters_wait(&mut self) {
        if self.seen >= DeadLetterLimit::AT_THE_END && !std::mem::replace(&mut self.is_said, true) {
            tracing::warn!(
                dead = self.dead,
                of = self.seen,
                "many of the last events cannot be counted: their letters wait, and commits with them, until it is known \
                 that this is not the wrong source (`--dead-letter-limit`)"
            );
        }
    }

    /// Whether letters have to wait for what the next payloads say.
    pub(super) fn holds(&self) -> bool {
        self.trusted == 0 && !self.is_calm()
    }

    /// Whether those that wait were judged with a whole window that began with them. [`check`](Self::check) has the
    /// verdict.
    pub(super) fn has_judged(&self) -> bool {
        self.waited >= DeadLetterLimit::WINDOW
    }

    /// What waits goes; the next ones wait for another window.
    pub(super) fn release(&mut self) {
        self.waited = 0;
    }

    /// So many of the next payloads are read again, and were judged before.
    pub(super) fn trust(&mut self, payloads: u64) {
        self.trusted = payloads;
    }

    /// Whether more were bad than the limit allows, however few were read.
    pub(super) fn is_over(&self) -> bool {
        self.dead > self.seen * usize::from(self.limit.percent) / 100
    }

    /// Whether what waits may go, as the source has nothing more for now.
    pub(super) fn may_go_at(&mut self, now: Instant) -> bool {
        let quiet = now.duration_since(*self.quiet.get_or_insert(now));
        !self.is_over() || (self.seen < DeadLetterLimit::AT_THE_END && quiet >= AT_REST)
    }

    /// An error when too many of the last payloads were dead letters.
    pub(super) fn check(&self) -> Result<()> {
        if self.seen < DeadLetterLimit::WINDOW { Ok(()) } else { self.judge() }
    }

    /// The same when nothing more comes: fewer payloads will do.
    pub(super) fn check_at_the_end(&self) -> Result<()> {
        if self.seen < DeadLetterLimit::AT_THE_END { Ok(()) } else { self.judge() }
    }

    /// Whether there are enough good ones to let letters go as they come.
    fn is_calm(&self) -> bool {
        let percent = usize::from(self.limit.percent);
        percent == 100 || (self.seen >= DeadLetterLimit::AT_THE_END && self.dead * 200 <= self.seen * percent)
    }

    fn judge(&self) -> Result<()> {
        if !self.is_over() {
            return Ok(());
        }
        let context = format!(
            "stopped: {} of the last {} payloads could not be counted, more than {}. Is this the right source, in the \
             right format? Nothing is lost: they are read again from the last commit. The newest stands at {}. Dead letters say why in full, and there are \
             some with `--dead-letter-limit 100%`",
            self.dead, self.seen, self.limit, self.newest
        );
        Err(Error::new(ErrorKind::ResourceExhausted, context))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(breaker: &mut Breaker, dead: bool) {
        breaker.note(dead.then(|| "line 7: no JSON".to_owned()));
    }

    fn after(limit: u8, payloads: impl IntoIterator<Item = bool>) -> Result<()> {
        let mut breaker = Breaker::new(DeadLetterLimit { percent: limit });
        payloads.into_iter().for_each(|dead| note(&mut breaker, dead));
        breaker.check()
    }

    #[test]
    fn at_the_end_fewer_payloads_will_do() {
        let few = |seen: usize, dead: usize| {
            let mut breaker = Breaker::new(DeadLetterLimit::default());
            (0..seen).for_each(|n| note(&mut breaker, n < dead));
            breaker.check().unwrap();
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
            error.to_string().contains("1001 of the last 2000") && error.to_string().contains("line 7: no JSON"),
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
    fn letters_wait_in_the_beginning_and_above_half_of_the_limit() {
        let after = |payloads: &mut dyn Iterator<Item = bool>| {
            let mut breaker = Breaker::new(DeadLetterLimit::default());
            payloads.for_each(|dead| note(&mut breaker, dead));
            breaker
        };
        let (few, window) = (DeadLetterLimit::AT_THE_END, DeadLetterLimit::WINDOW);
        assert!(after(&mut (0..few - 1).map(|_| false)).holds());
        assert!(!after(&mut (0..few).map(|n| n % 4 == 0)).holds());
        assert!(after(&mut (0..few).map(|n| n % 4 == 0 || n == 1)).holds());
        let storm = |bad: usize| after(&mut (0..window).map(|_| false).chain((0..bad).map(|_| true)));
        assert!(!storm(window / 4).holds());
        assert!(storm(window / 4 + 1).holds());
        let mut never = Breaker::new(DeadLetterLimit { percent: 100 });
        note(&mut never, true);
        assert!(!never.holds());
    }

    #[test]
    fn letters_that_wait_are_judged_after_a_window_of_their_own() {
        let mut breaker = Breaker::new(DeadLetterLimit::default());
        let mut n = 0;
        let mut two_fifths = |breaker: &mut Breaker, payloads: usize| {
            for _ in 0..payloads {
                note(breaker, n % 5 < 2);
                n += 1;
            }
        };
        two_fifths(&mut breaker, DeadLetterLimit::WINDOW - 1);
        assert!(breaker.holds() && !breaker.has_judged());
        two_fifths(&mut breaker, 1);
        breaker.check().unwrap();
        assert!(breaker.has_judged());
        breaker.release();
        assert!(breaker.holds() && !breaker.has_judged());
        breaker.trust(3);
        assert!(!breaker.holds());
        two_fifths(&mut breaker, 3);
        assert!(breaker.holds());
    }

    #[test]
    fn a_few_bad_ones_go_when_the_source_is_at_rest_and_many_do_not() {
        let begun = Instant::now();
        let go = |seen: usize, dead: usize, after: Duration| {
            let mut breaker = Breaker::new(DeadLetterLimit::default());
            (0..seen).for_each(|n| note(&mut breaker, n < dead));
            breaker.may_go_at(begun);
            breaker.may_go_at(begun + after)
        };
        let soon = AT_REST - Duration::from_millis(1);
        assert!(go(2, 1, Duration::ZERO));
        assert!(!go(1, 1, soon));
        assert!(go(1, 1, AT_REST));
        assert!(!go(100, 51, AT_REST * 100));
        assert!(go(100, 50, Duration::ZERO));
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
