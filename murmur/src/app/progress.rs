//! How far a worker is, for a person: rate, lag, freshness.

use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use serde_json::json;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::call::Json;
use super::print;
use super::team::Gauges;
use crate::engine::{Clock, Progress, Summary, SystemClock};

/// Between two lines on a terminal, where each replaces the one before; elsewhere they are rarer.
const ON_TERMINAL: Duration = Duration::from_secs(1);
const ELSEWHERE: Duration = Duration::from_secs(10);

/// A line on standard error, now and then, until dropped.
#[derive(Debug)]
pub(super) struct Shown {
    task: JoinHandle<()>,
    terminal: bool,
}

impl Shown {
    /// Begin to show.
    pub(super) fn start(gauges: Gauges) -> Self {
        let terminal = io::stderr().is_terminal();
        let mut rate = Rate::start();
        let task = tokio::spawn(async move {
            let mut ticks = tokio::time::interval(if terminal { ON_TERMINAL } else { ELSEWHERE });
            ticks.tick().await;
            loop {
                ticks.tick().await;
                let line = rate.line(&gauges.now());
                if terminal {
                    // Back to the start of the line, which is cleared.
                    let _ = write!(io::stderr().lock(), "\r\x1b[K{line}");
                } else {
                    print::note(format_args!("{line}"));
                }
            }
        });
        Self { task, terminal }
    }
}

impl Drop for Shown {
    fn drop(&mut self) {
        self.task.abort();
        if self.terminal {
            let _ = write!(io::stderr().lock(), "\r\x1b[K");
        }
    }
}

/// Events a second since the line before.
#[derive(Debug)]
pub(super) struct Rate {
    began: Instant,
    since: Instant,
    read: u64,
}

impl Rate {
    pub(super) fn start() -> Self {
        let now = Instant::now();
        Self { began: now, since: now, read: 0 }
    }

    pub(super) fn line(&mut self, progress: &Progress) -> String {
        let now = Instant::now();
        let rate = (progress.read - self.read) as f64 / now.duration_since(self.since).as_secs_f64().max(1e-3);
        (self.since, self.read) = (now, progress.read);
        let numbers = Numbers(progress);
        format!("{:>6.1} s  {numbers}  {rate:.0}/s", now.duration_since(self.began).as_secs_f64())
    }

    /// The last line.
    pub(super) fn summary(&self, summary: &Summary) -> String {
        let seconds = self.began.elapsed().as_secs_f64();
        let rate = summary.progress.read as f64 / seconds.max(1e-3);
        let how = if summary.ended { "read to the end" } else { "stopped as asked" };
        format!("{how} after {seconds:.1} s: {}  {rate:.0}/s", Numbers(&summary.progress))
    }
}

struct Numbers<'a>(&'a Progress);

impl fmt::Display for Numbers<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Progress { read, read_again, dead, expired, repeated, tombstones, lag, rewinds, newest, .. } = self.0;
        write!(f, "{read} events")?;
        if *read_again > 0 {
            write!(f, " ({read_again} of them again)")?;
        }
        if *dead > 0 {
            write!(f, "  {dead} dead letters")?;
        }
        if *expired > 0 {
            write!(f, "  {expired} expired")?;
        }
        if *repeated > 0 {
            write!(f, "  {repeated} repeated")?;
        }
        if *tombstones > 0 {
            write!(f, "  {tombstones} tombstones")?;
        }
        if *rewinds > 0 {
            write!(f, "  {rewinds} rewinds")?;
        }
        match lag {
            Some(lag) => write!(f, "  lag {lag}")?,
            None => f.write_str("  lag ?")?,
        }
        if let Some(newest) = newest {
            write!(f, "  newest event {} ago", print::ago(SystemClock.now().since(*newest)))?;
        }
        Ok(())
    }
}

/// A summary for programs.
pub(super) fn json(summary: &Summary) -> Json {
    let Progress {
        // Things of readiness; at the end they are over.
        contact: _,
        letters_since: _,
        lag_unknown_since: _,
        pipelines: _,
        stopping: _,
        read,
        read_again,
        applied,
        dead,
        ahead,
        expired,
        late,
        already_applied,
        repeated,
        tombstones,
        flushes,
        writes,
        rolled,
        rewinds,
        resent,
        ambiguous,
        lag,
        newest,
        partitions,
    } = &summary.progress;
    let partitions = partitions.iter().map(|status| {
        json!({
            "partition": status.partition.as_str(),
            "commit": status.commit.map(|offset| offset.to_string()),
            "lag": status.lag,
        })
    });
    json!({
        "ended": summary.ended,
        "read": read,
        "read_again": read_again,
        "applied": applied,
        "dead": dead,
        "ahead": ahead,
        "expired": expired,
        "late": late,
        "already_applied": already_applied,
        "repeated": repeated,
        "tombstones": tombstones,
        "flushes": flushes,
        "writes": writes,
        "rolled": rolled,
        "rewinds": rewinds,
        "resent": resent,
        "ambiguous": ambiguous,
        "lag": lag,
        "newest": newest,
        "uncommitted_since": summary.progress.uncommitted_since(),
        "partitions": partitions.collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Contact;

    #[test]
    fn a_lag_that_nobody_knows_is_not_shown_as_none() {
        let line = |progress: &Progress| Rate::start().line(progress);
        assert!(line(&Progress::default()).contains("lag ?"));
        let caught_up = Progress { contact: Contact::Made, lag: Some(0), ..Progress::default() };
        assert!(line(&caught_up).contains("lag 0"));
    }
}
