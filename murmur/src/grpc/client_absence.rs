//! How long a stream of a client goes on asking for a server that is away.

use std::time::Duration;

use tokio::time::Instant;

/// Half of how long it waits before it asks again for the first time; doubled before each further time.
const PAUSE: Duration = Duration::from_millis(50);
/// The longest that it waits before it asks again.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// How long a server has been away from a stream.
pub(super) struct Absence {
    /// After this the stream ends.
    most: Duration,
    since: Option<Instant>,
    /// Times in a row that the stream could not go on.
    failures: u32,
}

impl Absence {
    /// There is a server, until there is none for as long as this.
    pub(super) fn of_at_most(most: Duration) -> Self {
        Self { most, since: None, failures: 0 }
    }

    /// A server is there again.
    pub(super) fn ends(&mut self) {
        (self.since, self.failures) = (None, 0);
    }

    /// How long to wait after one more failure before a server is asked again, which can help `after` that time; `None` when
    /// the stream has ended by then.
    pub(super) fn pause(&mut self, after: Duration) -> Option<Duration> {
        let since = *self.since.get_or_insert_with(Instant::now);
        self.failures += 1;
        let pause = PAUSE.saturating_mul(1 << self.failures.min(16)).min(LONGEST_PAUSE);
        (since.elapsed() + after < self.most).then_some(pause + after)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_stream_asks_for_its_server_for_as_long_as_it_is_told() {
        let half_a_minute = Duration::from_secs(30);
        let (began, mut absence, mut pauses) = (Instant::now(), Absence::of_at_most(half_a_minute), Vec::new());
        while let Some(pause) = absence.pause(Duration::ZERO) {
            tokio::time::sleep(pause).await;
            pauses.push(pause.as_millis());
        }
        assert_eq!(pauses[..6], [100, 200, 400, 800, 1_600, 2_000]);
        assert_eq!(pauses.iter().max(), Some(&2_000));
        assert!((half_a_minute..half_a_minute + LONGEST_PAUSE).contains(&began.elapsed()));
        absence.ends();
        assert_eq!(absence.pause(Duration::ZERO), Some(Duration::from_millis(100)));
        assert_eq!(Absence::of_at_most(Duration::ZERO).pause(Duration::ZERO), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_is_not_asked_again_when_it_wants_that_after_the_end() {
        let after = Duration::from_secs(29);
        let mut absence = Absence::of_at_most(Duration::from_secs(30));
        let first = absence.pause(after).unwrap();
        assert_eq!(first, after + Duration::from_millis(100));
        tokio::time::sleep(first).await;
        assert_eq!(absence.pause(after), None);
    }
}
