//! What the kernel says this process has used.

use std::time::Instant;

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeVal;

/// A point to measure from.
pub(crate) struct Meter {
    wall: Instant,
    user: f64,
    system: f64,
    who: UsageWho,
}

/// What was used since a [`Meter`] was started.
#[derive(Default)]
pub(crate) struct Used {
    pub(crate) wall_s: f64,
    /// User and system time of all threads.
    pub(crate) cpu_s: f64,
    /// Of that, user time.
    pub(crate) user_s: f64,
}

impl Meter {
    /// Of this process.
    pub(crate) fn start() -> Self {
        Self::of(UsageWho::RUSAGE_SELF)
    }

    /// Of the child processes that were waited for.
    pub(crate) fn children() -> Self {
        Self::of(UsageWho::RUSAGE_CHILDREN)
    }

    fn of(who: UsageWho) -> Self {
        let (user, system) = times(who);
        Self { wall: Instant::now(), user, system, who }
    }

    pub(crate) fn used(&self) -> Used {
        let (user, system) = times(self.who);
        let user_s = user - self.user;
        Used { wall_s: self.wall.elapsed().as_secs_f64(), cpu_s: user_s + system - self.system, user_s }
    }
}

impl std::ops::AddAssign for Used {
    fn add_assign(&mut self, more: Self) {
        self.wall_s += more.wall_s;
        self.cpu_s += more.cpu_s;
        self.user_s += more.user_s;
    }
}

/// User and system time in seconds.
fn times(who: UsageWho) -> (f64, f64) {
    let seconds = |time: TimeVal| time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6;
    getrusage(who).map_or((f64::NAN, f64::NAN), |usage| (seconds(usage.user_time()), seconds(usage.system_time())))
}

/// Most memory that this process had at once, in MiB.
pub(crate) fn peak_rss_mib() -> f64 {
    status_mib("VmHWM:")
}

/// Memory that this process has now, in MiB.
#[cfg(feature = "query")]
pub(crate) fn rss_mib() -> f64 {
    status_mib("VmRSS:")
}

fn status_mib(name: &str) -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<f64>().ok());
    kib.map_or(f64::NAN, |kib| kib / 1024.0)
}
