//! The workers of a trial: started, stopped in every way there is, and started again.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::Duration;

use murmur::engine::{Clock, SystemClock};
use nix::sys::signal::Signal;

use super::{PATIENCE, Trial};
use crate::faults::Failure;
use crate::faults::supervisor::Process;

/// A worker that is asked to stop does so within this time.
pub(super) const STOPPED: Duration = Duration::from_secs(60);

/// How a worker is started.
#[derive(Debug, Clone, Default)]
pub(in crate::faults) struct Worker {
    /// A member with a name comes back to its partitions at once; one without is missed for the session's six seconds.
    pub(in crate::faults) named: bool,
    /// More arguments.
    pub(in crate::faults) arguments: Vec<String>,
    /// Where it dies. Only the first process of a worker has it.
    pub(in crate::faults) fail_point: Option<String>,
    /// Seconds that the clock of its processes is ahead.
    pub(in crate::faults) clock_ahead: i64,
}

impl Worker {
    pub(in crate::faults) fn named() -> Self {
        Self { named: true, ..Self::default() }
    }

    pub(in crate::faults) fn with(mut self, arguments: &[&str]) -> Self {
        self.arguments.extend(arguments.iter().map(|argument| (*argument).to_owned()));
        self
    }
}

pub(super) struct Slot {
    worker: Worker,
    pub(super) process: Process,
    /// Where this process is to die.
    fail_point: Option<String>,
    /// No other process of the trial has it.
    number: u64,
    /// Whether it is to be started again when it ends.
    tended: bool,
}

/// What processes that have ended had done.
#[derive(Default)]
pub(super) struct Past {
    pub(super) rewinds: u64,
    pub(super) resent: u64,
    pub(super) writes: u64,
    pub(super) restarts: u64,
    /// How many died at each fail point.
    deaths: BTreeMap<String, u64>,
    /// How many ended by themselves, as they may.
    ends: u64,
    /// One that ended by itself, and may not.
    pub(super) unasked: Option<String>,
    pub(super) log: Vec<String>,
}

/// Without how often it is to be come to.
fn name_of_point(point: &str) -> &str {
    point.split(':').next().unwrap_or(point)
}

impl Trial {
    /// A process of this worker, and where it is to die.
    fn process(&mut self, at: usize, worker: &Worker) -> Result<(Process, Option<String>), Failure> {
        let Self { brokers, topic, group, letters, letter_brokers, prefix, endpoint, source_options, .. } = self;
        let instance = if worker.named { format!("&instance=w{at}") } else { String::new() };
        let mut arguments = vec![
            "worker".to_owned(),
            format!("--source=kafka://{brokers}/{topic}?group={group}{source_options}{instance}"),
            format!("--store=dynamodb://{prefix}?endpoint={endpoint}&timeout=2s"),
            format!("--dead-letters=kafka://{letter_brokers}/{letters}"),
        ];
        let pipelines: Vec<_> = self.oracle.pipelines().collect();
        arguments.push(format!("--pipelines={}", pipelines.join(",")));
        arguments.extend(worker.arguments.iter().cloned());
        let fail_point = worker.fail_point.clone().or_else(|| self.fail_points.pop_front());
        self.set_clock(at, worker.clock_ahead)?;
        let clock = self.clock(at).display().to_string();
        let mut variables = vec![("MURMUR_CLOCK_AHEAD".to_owned(), clock)];
        variables.extend(fail_point.clone().map(|point| ("MURMUR_FAIL_POINT".to_owned(), point)));
        Ok((Process::start(&self.settings.program, &arguments, &variables)?, fail_point))
    }

    /// Where it stands how many seconds the clock of this worker is ahead.
    fn clock(&self, at: usize) -> PathBuf {
        self.clocks.path().join(at.to_string())
    }

    /// Set the clock of a worker while it runs: so many seconds ahead from now on.
    pub(in crate::faults) fn set_clock(&self, at: usize, ahead: i64) -> Result<(), Failure> {
        Ok(fs::write(self.clock(at), ahead.to_string())?)
    }

    /// By how many seconds the clock of a worker is ahead, as it says.
    pub(in crate::faults) fn clock_ahead(&mut self, at: usize) -> i64 {
        self.worker(at).figure("clock").cast_signed() - SystemClock.now().as_micros() / 1_000_000
    }

    /// Start a worker, to be started again whenever it ends; its number.
    pub(in crate::faults) fn spawn(&mut self, worker: Worker) -> Result<usize, Failure> {
        let at = self.slots.len();
        let (process, fail_point) = self.process(at, &worker)?;
        let (worker, number) = (Worker { fail_point: None, ..worker }, self.next_number());
        self.slots.push(Slot { worker, process, fail_point, number, tended: true });
        Ok(at)
    }

    /// Start a process that is not a worker of this trial.
    pub(in crate::faults) fn stranger(&mut self, worker: &Worker) -> Result<Process, Failure> {
        Ok(self.process(99, worker)?.0)
    }

    fn next_number(&mut self) -> u64 {
        self.processes += 1;
        self.processes
    }

    pub(in crate::faults) fn worker(&mut self, at: usize) -> &mut Process {
        &mut self.slots[at].process
    }

    /// When it is started again, it gets these arguments too.
    pub(in crate::faults) fn also_with(&mut self, at: usize, arguments: &[&str]) {
        let slot = &mut self.slots[at];
        slot.worker = slot.worker.clone().with(arguments);
    }

    /// When it is started again, its clock is so many seconds ahead.
    pub(in crate::faults) fn turn_clock(&mut self, at: usize, ahead: i64) {
        self.slots[at].worker.clock_ahead = ahead;
    }

    /// The argument for a worker that keeps another version of a pipeline, and of the others the same.
    pub(in crate::faults) fn with_edition(&self, of: &str, edition: &str) -> String {
        let kept = self.oracle.pipelines().map(|name| if name == of { edition } else { name });
        format!("--pipelines={}", kept.collect::<Vec<_>>().join(","))
    }

    /// Leave it as it is when it ends.
    pub(in crate::faults) fn leave(&mut self, at: usize) {
        self.slots[at].tended = false;
    }

    /// How often a worker was started again.
    pub(in crate::faults) fn restarts(&self) -> u64 {
        self.past.restarts
    }

    /// How many of them had ended by themselves, as they may.
    pub(in crate::faults) fn ends(&self) -> u64 {
        self.past.ends
    }

    pub(in crate::faults) fn workers(&self) -> usize {
        self.slots.len()
    }

    /// How many processes died at a fail point.
    pub(in crate::faults) fn deaths(&self, point: &str) -> u64 {
        self.past.deaths.get(name_of_point(point)).copied().unwrap_or(0)
    }

    /// Which partition is whose, as the workers say: each with the number of a process.
    pub(in crate::faults) fn owners(&self) -> Vec<(String, u64)> {
        let owned = |slot: &Slot| -> Vec<_> {
            let status = slot.process.status();
            let owned = status["owned"].as_array().into_iter().flatten();
            owned.filter_map(|partition| Some((partition.as_str()?.to_owned(), slot.number))).collect()
        };
        self.slots.iter().flat_map(owned).collect()
    }

    /// Wait until the workers share out all partitions, and each has one at least: by partition, the number of the process
    /// that has it. `None` when that does not come.
    pub(in crate::faults) async fn settle(&mut self) -> Result<Option<BTreeMap<String, u64>>, Failure> {
        let all = self.load.partitions as usize;
        let mut owners = BTreeMap::new();
        let settled = self.until(PATIENCE, |trial| {
            let said = trial.owners();
            let once = said.len() == all;
            owners = said.into_iter().collect();
            let idle = trial.slots.iter().any(|slot| !owners.values().any(|number| *number == slot.number));
            once && owners.len() == all && !idle
        });
        Ok(settled.await?.then_some(owners))
    }

    pub(super) fn note_end(&mut self, at: usize) {
        let process = &self.slots[at].process;
        self.past.rewinds += process.figure("rewinds");
        self.past.resent += process.figure("resent");
        self.past.writes += process.figure("writes");
        let errors = process.errors();
        if !errors.is_empty() {
            self.past.log.push(errors);
        }
    }

    /// `kill -9`, and start it again.
    pub(in crate::faults) fn kill(&mut self, at: usize) -> Result<(), Failure> {
        self.slots[at].process.kill();
        self.restart(at)
    }

    /// Start a worker that has ended.
    pub(in crate::faults) fn restart(&mut self, at: usize) -> Result<(), Failure> {
        self.note_end(at);
        self.past.restarts += 1;
        let worker = self.slots[at].worker.clone();
        let (process, fail_point) = self.process(at, &worker)?;
        let number = self.next_number();
        self.slots[at] = Slot { worker, process, fail_point, number, tended: true };
        Ok(())
    }

    /// SIGTERM, and its end; `None` when it does not come.
    pub(in crate::faults) fn stop(&mut self, at: usize) -> Option<ExitStatus> {
        self.slots[at].tended = false;
        self.slots[at].process.terminate();
        self.slots[at].process.wait(STOPPED)
    }

    /// Start again what has ended.
    pub(super) fn tend_workers(&mut self) -> Result<(), Failure> {
        for at in 0..self.slots.len() {
            if self.slots[at].tended
                && let Some(ended) = self.slots[at].process.ended()
            {
                let errors = self.slots[at].process.errors();
                // Fail points abort; whoever has none and aborts has a defect.
                let point = self.slots[at].fail_point.as_deref().map(name_of_point);
                let at_point = point.filter(|_| ended.signal() == Some(Signal::SIGABRT as i32));
                if let Some(point) = at_point {
                    *self.past.deaths.entry(point.to_owned()).or_default() += 1;
                } else if self.may_end.is_some_and(|reason| errors.contains(reason)) {
                    self.past.ends += 1;
                } else {
                    self.past.unasked = Some(format!("a worker ended by itself with {ended}: {errors}"));
                }
                self.restart(at)?;
            }
        }
        Ok(())
    }
}
