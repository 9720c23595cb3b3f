use std::time::Duration;

use tokio::time::Instant;

/// How many writes of tiles a second a table is sent, when it refuses many of them. Records of partitions, which are few, do
/// not wait for it.
///
/// A table that is too small for its load takes what its write units allow and refuses the rest, however few requests are
/// under way. So when many are refused, no more are sent a second than it has taken in the last one. From there the rate
/// grows, window by window, until an eighth is refused, and is cut to what was taken again.
///
/// Refusals may have nothing to do with the rate. Whoever answers them with ever lower rates sends nothing in the end. So
/// three windows in a row in which the limit was no help end it, or a single one in which hardly anything was taken: for a
/// second all is sent as it comes, and each time that happens again for twice as long.
///
/// ```text
/// free      many are refused            -> limited to what was taken in the last second
/// limited   up to an eighth is refused  -> grows
///           more                        -> cut to what was taken in this window
///           more, for the third time    -> free for 1, 2, 4, ... 30 s, whatever is refused
///           nothing for a minute        -> free
/// ```
///
/// In its tests tables of 20 to 1,000 writes a second are used up with 15 refusals for a hundred writes at most, and where 5
/// to 90 of a hundred requests are refused by the dice, hardly less is taken than without it.
pub(super) struct Rate {
    /// Writes a second; `None`: as they come.
    limit: Option<f64>,
    /// Counts the cuts. What was sent before the last one says nothing about it.
    era: u32,
    /// When the next write may go.
    next: Instant,
    window: Window,
    /// What was taken in the last second: a sum in which what is older counts less.
    taken: f64,
    taken_at: Instant,
    refused_at: Instant,
    /// Windows in a row in which more were refused than may be.
    in_vain: u32,
    /// Windows in a row in which nothing was refused.
    well: usize,
    /// For how long there is no limit when it is no help, and until when.
    free_for: Duration,
    free_until: Instant,
}

/// Answers of a while.
struct Window {
    since: Instant,
    taken: u32,
    refused: u32,
    /// Whether anything waited for the rate: otherwise it says nothing that nothing was refused.
    waited: bool,
}

/// How long a window is at least, and how many answers it has. What has fewer in the last of these times is none.
const WINDOW: Duration = Duration::from_millis(250);
const ANSWERS: u32 = 16;
const NO_WINDOW: Duration = Duration::from_secs(4);
/// With so many refusals, and fewer writes taken, there is nothing to wait for.
const CLEARLY: u32 = 16;
/// Without any it need not have so many answers.
const CALM: Duration = Duration::from_millis(500);
/// So many refusals begin it.
const FELT: u32 = 8;
/// One in so many may be refused.
const MAY_BE_REFUSED: u32 = 8;
/// How the rate grows after a window with refusals, and after one, two and more in a row without any: slowly near what the
/// table was found to take, and then ever faster, as it takes more now.
const GROWTH: [f64; 8] = [1.05, 1.05, 1.1, 1.1, 1.1, 1.25, 1.5, 2.0];
/// After so many windows without any, the limit is what it was made for.
const WELL: usize = 4;
/// Writes a second that are always sent, and as many as nobody has to wait for.
const LEAST: f64 = 10.0;
const FREE: f64 = 5_000.0;
/// What may be sent late is sent at once, as timers are not exact.
const LATE: Duration = Duration::from_millis(20);
/// So many windows in a row show that the limit is no help, or a single one in which hardly anything was taken.
const IN_VAIN: u32 = 3;
const FREE_FOR: Duration = Duration::from_secs(1);
const FREE_FOR_AT_MOST: Duration = Duration::from_secs(30);
/// After so long without a refusal there is no limit.
const FORGOTTEN: Duration = Duration::from_secs(60);

impl Window {
    fn new(since: Instant) -> Self {
        Self { since, taken: 0, refused: 0, waited: false }
    }

    fn answers(&self) -> u32 {
        self.taken + self.refused
    }

    fn is_bad(&self) -> bool {
        self.refused * MAY_BE_REFUSED > self.answers()
    }

    fn takes_hardly_any(&self) -> bool {
        self.refused > 3 * self.taken
    }
}

impl Rate {
    pub(super) fn new() -> Self {
        let now = Instant::now();
        Self {
            limit: None,
            era: 0,
            next: now,
            window: Window::new(now),
            taken: 0.0,
            taken_at: now,
            refused_at: now,
            in_vain: 0,
            well: 0,
            free_for: FREE_FOR,
            free_until: now,
        }
    }

    /// What a write that is sent now is to be answered with.
    pub(super) fn era(&self) -> u32 {
        self.era
    }

    /// Writes a second; `None` when there is no limit.
    pub(super) fn limit(&self) -> Option<f64> {
        self.limit.filter(|_| self.refused_at.elapsed() < FORGOTTEN)
    }

    /// Send a write, to be answered with what this returns; or how long to wait before asking again.
    pub(super) fn send(&mut self) -> Result<u32, Duration> {
        self.limit = self.limit();
        let Some(limit) = self.limit else { return Ok(self.era) };
        let now = Instant::now();
        let wait = self.next.duration_since(now);
        if !wait.is_zero() {
            self.window.waited = true;
            return Err(wait);
        }
        self.next = self.next.max(now.checked_sub(LATE).unwrap_or(now)) + Duration::from_secs_f64(1.0 / limit);
        Ok(self.era)
    }

    /// A write was carried out, or refused for what stands there.
    pub(super) fn taken(&mut self, era: u32) {
        let now = Instant::now();
        self.taken = self.taken_until(now) + 1.0;
        self.taken_at = now;
        if era == self.era {
            self.window.taken += 1;
            self.look(now);
        } else if let Some(limit) = &mut self.limit {
            // It was under way, and belongs to what was taken in the last second.
            *limit += 1.0;
        }
    }

    /// The table refused a write because it was too much.
    pub(super) fn refused(&mut self, era: u32) {
        // One that was forgotten by now does not come back.
        self.limit = self.limit();
        self.refused_at = Instant::now();
        if era == self.era {
            self.window.refused += 1;
            self.look(self.refused_at);
        }
    }

    fn taken_until(&self, now: Instant) -> f64 {
        self.taken * (-now.duration_since(self.taken_at).as_secs_f64()).exp()
    }

    fn look(&mut self, now: Instant) {
        let age = now.duration_since(self.window.since);
        let is_clear = self.window.refused >= CLEARLY && self.window.refused > self.window.taken;
        let is_calm = age >= CALM && self.window.refused == 0;
        match self.limit {
            None if now < self.free_until => self.window = Window::new(now),
            None if self.window.refused >= FELT && self.window.is_bad() => {
                self.cut(now, self.taken_until(now));
            }
            Some(limit) if is_clear || age >= WINDOW && self.window.answers() >= ANSWERS || is_calm => {
                self.judge(now, limit, age)
            }
            _ if age >= NO_WINDOW => self.window = Window::new(now),
            _ => {}
        }
    }

    fn judge(&mut self, now: Instant, limit: f64, age: Duration) {
        if self.window.is_bad() {
            self.in_vain += if self.window.takes_hardly_any() { IN_VAIN } else { 1 };
            let taken = f64::from(self.window.taken) / age.as_secs_f64();
            self.cut(now, taken.min(limit));
            if self.in_vain >= IN_VAIN {
                self.in_vain = 0;
                self.limit = None;
                self.free_until = now + self.free_for;
                self.free_for = (self.free_for * 2).min(FREE_FOR_AT_MOST);
            }
            return;
        }
        if self.window.waited {
            self.in_vain = 0;
            self.well = if self.window.refused == 0 { self.well + 1 } else { 0 };
            if self.well >= WELL {
                self.free_for = FREE_FOR;
            }
            self.limit = Some(limit * GROWTH[self.well.min(GROWTH.len() - 1)]).filter(|limit| *limit < FREE);
        }
        self.window = Window::new(now);
    }

    fn cut(&mut self, now: Instant, limit: f64) {
        self.limit = Some(limit.max(LEAST));
        self.era = self.era.wrapping_add(1);
        self.well = 0;
        self.next = now;
        self.window = Window::new(now);
    }
}

#[cfg(test)]
mod tests;
