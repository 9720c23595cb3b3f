//! How often each caller may call.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use governor::clock::{Clock, DefaultClock};
use governor::state::keyed::HashMapStateStore;
use governor::{Quota, RateLimiter};
use tonic::Status;

use super::super::refusal::Reason;

/// Calls per second of one caller, and how many may come at once after a pause.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// In the long run.
    pub per_second: NonZeroU32,
    /// At once.
    pub burst: NonZeroU32,
}

/// Callers that are kept in mind before those that have not called lately are forgotten.
const CALLERS: usize = 10_000;

type Limits = RateLimiter<Arc<str>, HashMapStateStore<Arc<str>>, DefaultClock>;

/// Counts the calls of each.
pub(super) struct Limiter {
    rate: Rate,
    limits: Limits,
    /// As many callers as this are looked through for those to forget.
    full: AtomicUsize,
}

impl Limiter {
    pub(super) fn new(rate: Rate) -> Self {
        let quota = Quota::per_second(rate.per_second).allow_burst(rate.burst);
        Self { rate, limits: RateLimiter::hashmap(quota), full: AtomicUsize::new(CALLERS) }
    }

    /// One more call.
    pub(super) fn count(&self, name: &Arc<str>) -> Result<(), Status> {
        if self.limits.len() > self.full.load(Ordering::Relaxed) {
            // Whoever could call as often as one that is new is as good as new.
            self.limits.retain_recent();
            self.full.store(CALLERS.max(self.limits.len() * 2), Ordering::Relaxed);
        }
        self.limits.check_key(name).map_err(|until| {
            let wait = until.wait_time_from(self.limits.clock().now()).max(Duration::from_millis(1));
            let Rate { per_second, burst } = self.rate;
            let text =
                format!("`{name}` called more than {per_second} times a second, {burst} at once; call again later");
            Reason::RATE_EXCEEDED.after(wait, name, text)
        })
    }
}

#[cfg(test)]
mod tests {
    use tonic_types::StatusExt;

    use super::*;

    #[test]
    fn a_caller_over_its_rate_is_told_when_to_come_back_and_others_are_not_held_up() {
        let one = NonZeroU32::MIN;
        let limiter = Limiter::new(Rate { per_second: one, burst: NonZeroU32::new(3).unwrap() });
        let (busy, other): (Arc<str>, Arc<str>) = ("busy".into(), "other".into());
        for _ in 0..3 {
            limiter.count(&busy).unwrap();
        }
        let refused = limiter.count(&busy).unwrap_err();
        assert_eq!(refused.code(), tonic::Code::ResourceExhausted);
        let wait = refused.get_details_retry_info().unwrap().retry_delay.unwrap();
        assert!(wait > Duration::ZERO && wait <= Duration::from_secs(1), "{wait:?}");
        assert_eq!(refused.get_details_quota_failure().unwrap().violations[0].subject, "busy");
        limiter.count(&other).unwrap();
    }

    #[test]
    fn callers_without_end_do_not_fill_the_memory() {
        let many = NonZeroU32::new(1_000_000_000).unwrap();
        let limiter = Limiter::new(Rate { per_second: many, burst: NonZeroU32::MIN });
        for n in 0..5 * CALLERS {
            limiter.count(&format!("{n}").into()).unwrap();
        }
        assert!(limiter.limits.len() <= 2 * CALLERS, "{}", limiter.limits.len());
    }
}
