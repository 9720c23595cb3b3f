//! What the kernel says this process has used.

use std::time::Instant;

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeVal;

/// A point to measure from.
pub(crate) struct Meter {
    wall: Instant,
    cpu: f64,
    who: UsageWho,
}

/// What was used since a [`Meter`] was started.
pub(crate) struct Used {
    pub(crate) wall_s: f64,
    /// User and system time of all threads.
    pub(crate) cpu_s: f64,
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
        Self { wall: Instant::now(), cpu: cpu(who), who }
    }

    pub(crate) fn used(&self) -> Used {
        Used { wall_s: self.wall.elapsed().as_secs_f64(), cpu_s: cpu(self.who) - self.cpu }
    }
}

fn cpu(who: UsageWho) -> f64 {
    let seconds = |time: TimeVal| time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6;
    getrusage(who).map_or(f64::NAN, |usage| seconds(usage.user_time()) + seconds(usage.system_time()))
}

/// Most memory that this process had at once, in MiB (`VmHWM`).
pub(crate) fn peak_rss_mib() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<f64>().ok());
    kib.map_or(f64::NAN, |kib| kib / 1024.0)
}
