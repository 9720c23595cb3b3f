//! That no broker can be reached is reported at every attempt to reach one, and is said less often.

use std::time::{Duration, Instant};

/// Reports that are further apart are not about the same outage.
const APART: Duration = Duration::from_secs(30);
/// How often to say of one outage that it lasts.
const AGAIN: Duration = Duration::from_secs(60);

#[derive(Debug, Default)]
pub(super) struct Outage {
    /// The last report, and when the outage was last said.
    known: Option<(Instant, Instant)>,
}

impl Outage {
    /// It is reported once more: whether to say it.
    pub(super) fn is_to_be_said(&mut self, now: Instant) -> bool {
        let said = self.known.filter(|(reported, said)| *reported + APART > now && *said + AGAIN > now);
        self.known = Some((now, said.map_or(now, |(_, said)| said)));
        said.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outage_is_said_when_it_begins_and_now_and_then_while_it_lasts() {
        let begin = Instant::now();
        let mut outage = Outage::default();
        let mut said = |seconds| outage.is_to_be_said(begin + Duration::from_secs(seconds));
        let lasting: Vec<u64> = (0..130).filter(|seconds| said(*seconds)).collect();
        assert_eq!(lasting, [0, 60, 120]);
        assert!(said(165), "another one");
        assert!(!said(166));
    }
}
