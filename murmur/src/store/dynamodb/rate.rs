use std::time::Duration;

use tokio::time::Instant;

/// How many write units a second a table is sent, found out from what it refuses.
///
/// A table that is too small for its load takes what its units allow and refuses the rest, so what it has taken lately is
/// what it takes. When it refuses something, nothing more is sent for a moment, and then four fifths of that. Within a
/// second of work the rate is back at the whole, and from there it grows fourfold with every second more of it, until the
/// table refuses again or is far from any limit. What a table does not use in a second it may use later (DynamoDB keeps up
/// to five minutes of it), so little is lost below the limit, and few requests are refused above it.
///
/// The rate grows with the work that is done at it, not with time: a pause says nothing about what a table takes.
///
/// One refusal in ten requests is taken as it comes. And refusals that do not end however much less is sent have another cause
/// than the rate: for some seconds nothing waits for them.
pub(super) struct Rate {
    /// Units a second that the table was found to take; `None` while it takes everything.
    found: Option<f64>,
    /// Seconds of work at the rate since then.
    worked: f64,
    /// Units that may be sent at once; less than none after a write that took more than was thought.
    saved: f64,
    saved_at: Instant,
    /// What was taken in the last second or so: the mean over time, of which what is older counts less.
    taken: f64,
    taken_at: Instant,
    cut: Option<Instant>,
    /// The share of the last requests that was refused: the mean, of which what is older counts less.
    share: f64,
    /// Of how many requests that is the share, up to [`LAST`].
    last: f64,
    /// Requests since the last cut, and those of them that were refused.
    since_cut: (u32, u32),
    /// How many cuts in a row have not ended the refusals.
    in_vain: u32,
    /// Until then there is no limit.
    free_until: Option<Instant>,
}

/// What is sent of what was found, right after a refusal.
const BEGIN: f64 = 0.8;
/// Seconds of work until the rate is at what was found.
const BACK: f64 = 1.0;
/// By how much it grows with each second of work beyond that.
const GROWTH: f64 = 4.0;
/// Units a second that are always tried.
const LEAST: f64 = 1.0;
/// With so many a second nobody has to wait any more.
const FREE: f64 = 50_000.0;
/// For so long nothing is sent after a refusal, and all requests that were under way hear of one and the same overload: it
/// counts once.
const HALT: Duration = Duration::from_millis(100);
/// So much of a second may be saved and sent at once, as timers are not exact.
const SAVED: f64 = 0.02;
/// So many of the last requests say how large the share is that is refused, and this is taken as it comes.
const LAST: f64 = 16.0;
const TAKEN_AS_IT_COMES: f64 = 0.1;
/// So many cuts in a row that do not end the refusals show that they do not follow the rate, when one request in three at least
/// goes through all the same. A rate that is too high for its table is below it after three or four.
const IN_VAIN: u32 = 6;
const GOES_THROUGH: u32 = 3;
/// For so long nothing is made of refusals then.
const FREE_FOR: Duration = Duration::from_secs(10);

impl Rate {
    pub(super) fn new() -> Self {
        let now = Instant::now();
        Self {
            found: None,
            worked: 0.0,
            saved: 0.0,
            saved_at: now,
            taken: 0.0,
            taken_at: now,
            cut: None,
            share: 0.0,
            last: 0.0,
            since_cut: (0, 0),
            in_vain: 0,
            free_until: None,
        }
    }

    /// Units a second; `None` when there is no limit.
    pub(super) fn now(&self) -> Option<f64> {
        let found = self.found?;
        if self.free_until.is_some_and(|until| Instant::now() < until) {
            return None;
        }
        let rate = if self.worked < BACK {
            found * (BEGIN + (1.0 - BEGIN) * self.worked / BACK)
        } else {
            found * GROWTH.powf(self.worked - BACK)
        };
        Some(rate.max(LEAST))
    }

    /// Take so many units, or say how long to wait before asking again. Whoever needs many goes when there is one, and the
    /// next ones wait for the rest.
    pub(super) fn take(&mut self, units: f64) -> Result<(), Duration> {
        let Some(rate) = self.now() else { return Ok(()) };
        let now = Instant::now();
        if let Some(halted) = self.cut.and_then(|cut| (cut + HALT).checked_duration_since(now))
            && !halted.is_zero()
        {
            return Err(halted);
        }
        let passed = now.duration_since(self.saved_at).as_secs_f64();
        self.saved = (self.saved + passed * rate).min((rate * SAVED).max(1.0));
        self.saved_at = now;
        if self.saved < 1.0 {
            // A timer that ends a little early asks once more.
            return Err(Duration::from_secs_f64((1.0 - self.saved) / rate).max(Duration::from_millis(1)));
        }
        self.saved -= units;
        Ok(())
    }

    /// A write that was thought to need so many units was carried out, or refused for what stands there; it has used so many.
    pub(super) fn succeeded(&mut self, thought: f64, units: f64) {
        let now = Instant::now();
        self.taken = self.taken_until(now) + units;
        self.taken_at = now;
        self.note(false);
        if let Some(rate) = self.now() {
            self.saved -= units - thought;
            self.worked += units / rate;
            self.found = self.found.filter(|_| rate < FREE);
        }
    }

    /// The table refused a write because it was too much.
    pub(super) fn throttled(&mut self) {
        let now = Instant::now();
        self.note(true);
        let is_free = self.free_until.is_some_and(|until| now < until);
        if is_free || self.share <= TAKEN_AS_IT_COMES || self.cut.is_some_and(|cut| now.duration_since(cut) < HALT) {
            return;
        }
        let (all, refused) = std::mem::take(&mut self.since_cut);
        self.share = 0.0;
        let is_in_vain = self.found.is_some() && self.worked < BACK && (all - refused) * GOES_THROUGH >= all;
        self.in_vain = if is_in_vain { self.in_vain + 1 } else { 0 };
        if self.in_vain >= IN_VAIN {
            self.in_vain = 0;
            self.free_until = Some(now + FREE_FOR);
            return;
        }
        let (taken, rate) = (self.taken_until(now), self.now());
        let found = match rate {
            // It takes nothing at all.
            Some(rate) if all == refused => rate / 2.0,
            Some(rate) => rate.min(taken),
            None => taken,
        };
        self.found = Some(found.max(LEAST));
        (self.worked, self.saved) = (0.0, 0.0);
        (self.cut, self.saved_at) = (Some(now), now + HALT);
    }

    fn note(&mut self, is_refused: bool) {
        self.last = (self.last + 1.0).min(LAST);
        self.share += (f64::from(u8::from(is_refused)) - self.share) / self.last;
        self.since_cut.0 += 1;
        self.since_cut.1 += u32::from(is_refused);
    }

    fn taken_until(&self, now: Instant) -> f64 {
        self.taken * (-now.duration_since(self.taken_at).as_secs_f64()).exp()
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use futures_util::StreamExt;
    use futures_util::stream::FuturesUnordered;

    use super::*;
    use crate::store::dynamodb::limiter::{Limiter, Overload};

    /// A table that takes so many units a second and keeps those of a second; and that could carry out so many writes.
    struct Table {
        units: f64,
        left: f64,
        since: Instant,
        free_from: Instant,
        taken: u64,
        refused: u64,
        /// Refuses one request in so many, whatever comes.
        moody: Option<u64>,
    }

    const WAY: Duration = Duration::from_millis(2);
    const WRITES: f64 = 1_600.0;

    impl Table {
        fn new(units: f64) -> RefCell<Self> {
            let now = Instant::now();
            RefCell::new(Self { units, left: units, since: now, free_from: now, taken: 0, refused: 0, moody: None })
        }

        /// Take a write, which is done at some time, or refuse it.
        fn ask(&mut self, units: f64) -> Option<Instant> {
            let now = Instant::now();
            self.left = (self.left + (now - self.since).as_secs_f64() * self.units).min(self.units);
            self.since = now;
            let is_moody = self.moody.is_some_and(|moody| (self.taken + self.refused).is_multiple_of(moody));
            if self.left < units || is_moody {
                self.refused += 1;
                return None;
            }
            self.left -= units;
            self.taken += 1;
            self.free_from = self.free_from.max(now) + Duration::from_secs_f64(1.0 / WRITES);
            Some(self.free_from)
        }
    }

    /// A flush of so many writes, as the engine makes it: what is refused is sent again together, after a pause.
    async fn flush(limiter: &Limiter, table: &RefCell<Table>, writes: usize, units: f64) {
        let (mut left, mut pause) = (writes, Duration::from_millis(10));
        while left > 0 {
            let mut sent = FuturesUnordered::new();
            let (mut waiting, mut again) = (left, 0);
            while waiting > 0 || !sent.is_empty() {
                while waiting > 0 && sent.len() < limiter.most() {
                    waiting -= 1;
                    sent.push(async {
                        // An addition is thought to need one, whatever its item has grown to.
                        let slot = limiter.enter("t", 100).await;
                        tokio::time::sleep(WAY).await;
                        let answer = table.borrow_mut().ask(units);
                        match answer {
                            Some(done) => {
                                tokio::time::sleep_until(done + WAY).await;
                                slot.succeeded(Some(units));
                            }
                            None => {
                                tokio::time::sleep(WAY).await;
                                slot.throttled(Overload::Table);
                            }
                        }
                        answer.is_some()
                    });
                }
                again += usize::from(sent.next().await == Some(false));
            }
            left = again;
            if left > 0 {
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(Duration::from_secs(2));
            }
        }
    }

    /// Flushes of so many writes, one after the other, for so long.
    async fn flushes(limiter: &Limiter, table: &RefCell<Table>, writes: usize, units: f64, long: Duration) {
        let end = Instant::now() + long;
        while Instant::now() < end {
            let _ = tokio::time::timeout_at(end, flush(limiter, table, writes, units)).await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_table_that_is_too_small_is_used_up_and_few_requests_are_refused() {
        for (capacity, units) in [(20.0, 1.0), (50.0, 1.0), (50.0, 3.0), (300.0, 1.0), (300.0, 10.0), (1_000.0, 1.0)] {
            let (limiter, table) = (Limiter::new(64), Table::new(capacity));
            let minute = Duration::from_secs(60);
            flushes(&limiter, &table, 200, units, minute).await;
            let (taken, refused) = (table.borrow().taken as f64, table.borrow().refused as f64);
            let of = format!("{capacity} units a second, {units} a write: {taken} writes, {refused} refused");
            assert!(taken * units >= 0.9 * capacity * minute.as_secs_f64(), "{of}");
            // Besides those that were under way when it was first too much.
            assert!(refused - 64.0 <= 0.15 * taken, "{of}");
            assert!(refused > 0.0, "{of}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn at_full_speed_again_within_seconds_when_the_table_takes_everything() {
        for capacity in [0.0, 5.0, 50.0, 500.0] {
            let (limiter, table) = (Limiter::new(64), Table::new(capacity));
            flushes(&limiter, &table, 200, 1.0, Duration::from_secs(30)).await;
            table.borrow_mut().units = 1e9;
            flushes(&limiter, &table, 200, 1.0, Duration::from_secs(8)).await;
            let before = table.borrow().taken;
            flushes(&limiter, &table, 200, 1.0, Duration::from_secs(1)).await;
            let second = (table.borrow().taken - before) as f64;
            assert!(second > 0.9 * WRITES, "{second} in a second, after {capacity}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn refusals_that_do_not_follow_the_rate_do_not_slow_it_down_for_long() {
        let (limiter, table) = (Limiter::new(64), Table::new(1e9));
        table.borrow_mut().moody = Some(3);
        flushes(&limiter, &table, 200, 1.0, Duration::from_secs(60)).await;
        let taken = table.borrow().taken;
        assert!(taken > 60 * 100, "{taken} in a minute, one request in three refused");
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_for_a_table_that_refuses_nothing() {
        let (limiter, table) = (Limiter::new(64), Table::new(1e9));
        let began = Instant::now();
        flush(&limiter, &table, 8_000, 1.0).await;
        let least = 8_000.0 / WRITES;
        assert!(began.elapsed().as_secs_f64() < least + 0.1, "{:?}, and the table needs {least} s", began.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn a_table_that_takes_nothing_is_asked_once_a_second() {
        let mut rate = Rate::new();
        let (mut asked, began) = (0, Instant::now());
        while began.elapsed() < Duration::from_secs(60) {
            match rate.take(1.0) {
                Ok(()) => {
                    asked += 1;
                    rate.throttled();
                }
                Err(wait) => tokio::time::sleep(wait).await,
            }
        }
        assert!((50..70).contains(&asked), "{asked} times");
    }
}
