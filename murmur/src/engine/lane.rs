use std::time::Duration;

use tokio::time::Instant;

use super::fold::Fold;
use super::links::Links;
use super::meter::Tally;
use super::options::Options;

/// One pipeline within a worker.
pub(super) struct Lane<E> {
    pub(super) fold: Box<dyn Fold<E>>,
    pub(super) pace: Pace,
    /// Payloads read since the last flush: how far the next horizon is raised.
    pub(super) since_flush: u64,
    /// Dead letters since the last flush began that took everything.
    pub(super) letters: usize,
    /// Whose spans the next flush is linked to.
    pub(super) links: Links,
    pub(super) tally: Tally,
}

impl<E> Lane<E> {
    /// Whether a flush should not wait for the interval.
    pub(super) fn is_full(&self, options: &Options) -> bool {
        let dirty = self.fold.dirty();
        dirty >= options.flush_tiles
            || (dirty > 0 && self.fold.bytes() >= options.flush_bytes)
            || self.has_to_commit(options)
    }

    /// Whether only a flush will do that takes everything: the commits should pass what lies in the dead letters, or what is
    /// held back takes up the room.
    pub(super) fn has_to_commit(&self, options: &Options) -> bool {
        self.letters >= options.flush_letters || (self.fold.holds_back() && self.fold.bytes() >= options.flush_bytes)
    }

    /// Whether a flush may begin because of the time that has passed. `waiting` says how many payloads wait to be read, in
    /// partitions that have delivered something within a time.
    pub(super) fn may_flush(&mut self, now: Instant, waiting: impl FnOnce(Duration) -> u64) -> bool {
        self.pace.is_due(now, self.since_flush, waiting)
    }
}

/// When the next flush begins that nothing else is the cause of.
///
/// A worker that is far behind its source reads what waits before it writes: each tile is written once for all of it, in
/// place of once an interval, and until it has caught up no answer would be fresh anyway. What a crash then costs is
/// bounded by [`LONGEST`], as that much has to be read again; memory is bounded by what makes a lane
/// [full](Lane::is_full). Of what waits only that counts which may come soon: a partition that cannot be read would
/// otherwise put off the flushes of all others, as long as they have something.
pub(super) struct Pace {
    /// Longest time between two flushes, where the worker keeps up.
    interval: Duration,
    due: Instant,
    catches_up: bool,
}

/// For so many intervals a flush is put off at most, and for no longer than this.
const INTERVALS: u32 = 9;
const LONGEST: Duration = Duration::from_secs(9);
/// A worker falls behind when as much waits as it has read in this part of the time since the last flush.
const PART: u64 = 4;

impl Pace {
    /// One flush in an interval, from now on.
    pub(super) fn new(interval: Duration) -> Self {
        Self { interval, due: Instant::now() + interval, catches_up: false }
    }

    /// A flush begins.
    pub(super) fn begin(&mut self) {
        *self = Self::new(self.interval);
    }

    /// When the interval is over.
    pub(super) fn due(&self) -> Instant {
        self.due
    }

    /// Whether the interval is over.
    pub(super) fn is_over(&self, now: Instant) -> bool {
        now >= self.due
    }

    /// Whether a flush is to begin, after so many payloads were `read` since the last one, and while so many wait in
    /// partitions that have delivered something within an interval.
    fn is_due(&mut self, now: Instant, read: u64, waiting: impl FnOnce(Duration) -> u64) -> bool {
        if !self.is_over(now) {
            return false;
        }
        let waiting = waiting(self.interval);
        // Once behind, it reads on until nothing waits: with only a little left, most tiles would be written twice.
        self.catches_up = waiting > 0 && (self.catches_up || waiting >= read / PART);
        !self.catches_up || now >= self.due + LONGEST.min(self.interval.saturating_mul(INTERVALS))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(seconds: f64) -> Duration {
        Duration::from_secs_f64(seconds)
    }

    #[tokio::test(start_paused = true)]
    async fn a_worker_that_keeps_up_flushes_every_interval() {
        let (mut pace, now) = (Pace::new(seconds(1.0)), Instant::now());
        assert!(!pace.is_due(now + seconds(0.9), 1_000, |_| 0));
        assert!(pace.is_due(now + seconds(1.0), 1_000, |_| 0));
        assert!(pace.is_due(now + seconds(1.0), 1_000, |_| 249), "a little always waits in a stream that goes on");
    }

    #[tokio::test(start_paused = true)]
    async fn a_worker_that_is_behind_reads_what_waits_before_it_flushes() {
        let (mut pace, now) = (Pace::new(seconds(1.0)), Instant::now());
        assert!(!pace.is_due(now + seconds(1.0), 1_000, |_| 250));
        assert!(!pace.is_due(now + seconds(2.0), 2_000, |_| 1), "the last one as well");
        assert!(pace.is_due(now + seconds(2.1), 2_001, |_| 0));
        pace.begin();
        assert!(pace.is_due(now + seconds(2.0), 1_000, |_| 1), "it has caught up");
    }

    #[tokio::test(start_paused = true)]
    async fn a_flush_is_not_put_off_for_ever() {
        for (interval, longest) in [(0.0, 0.0), (0.01, 0.1), (1.0, 10.0), (60.0, 69.0)] {
            let (mut pace, now) = (Pace::new(seconds(interval)), Instant::now());
            if interval > 0.0 {
                assert!(!pace.is_due(now + seconds(longest - 0.001), 1_000, |_| u64::MAX), "{interval}");
            }
            assert!(pace.is_due(now + seconds(longest), 1_000, |_| u64::MAX), "{interval}");
        }
    }
}
