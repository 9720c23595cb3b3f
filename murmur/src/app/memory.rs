//! What workers hold of their source and their tables, bounded by `--memory` for the process.
//!
//! ```text
//! --memory / workers --+-- 1/4  source     1/4 may wait to be taken; the rest is on its way from the broker, and lies in
//!                      |                   batches, which are copies
//!                      +-- 3/4  pipelines, each as much
//!                                          1/6 at which a flush does not wait; as much is on its way to the store meanwhile,
//!                                          half of it may be behind, 1/24 remembers what is to be rolled, and the rest
//!                                          is what tables and requests take beside what they hold
//! ```
//!
//! A worker that holds that much reads no further until its store has taken what is on its way.

use super::cli::WorkerArgs;
use crate::location::ByteSize;
use crate::{Error, ErrorKind, Result};

/// For each worker, where nothing else is said.
const DEFAULT: usize = 512 << 20;
/// More is remembered by no pipeline, for what is forgotten is rolled by readers.
const ROLL: usize = 10 << 20;
/// A worker cannot do with less: a fetch of a broker alone has up to a mebibyte.
const LEAST: usize = 16 << 20;

/// What one worker may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Portion {
    /// Unflushed state of each pipeline, at which a flush does not wait.
    pub(super) flush: ByteSize,
    /// Keys of each pipeline that are remembered to be rolled.
    pub(super) roll: ByteSize,
    /// Messages that wait to be taken by it.
    #[cfg_attr(not(feature = "kafka"), allow(dead_code, reason = "other sources hold one piece of a file"))]
    pub(super) buffer: ByteSize,
}

impl Portion {
    /// That of each of so many workers with so many pipelines.
    pub(super) fn of(args: &WorkerArgs, workers: u32, pipelines: usize) -> Result<Self> {
        let workers = workers as usize;
        let each = args.memory.map_or(DEFAULT, |ByteSize(all)| all / workers);
        if each < LEAST {
            let context = format!(
                "`--memory {}`: {workers} workers (`--threads`) need {} or more",
                args.memory.unwrap_or(ByteSize(0)),
                ByteSize(LEAST * workers)
            );
            return Err(Error::new(ErrorKind::InvalidArgument, context));
        }
        let (source, tables) = (each / 4, each / 4 * 3);
        let table = tables / pipelines.max(1);
        let flush = ByteSize((table / 6).min(args.flush_bytes.0));
        Ok(Self { flush, roll: ByteSize((table / 24).min(ROLL)), buffer: ByteSize(source / 4) })
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::app::cli::{Cli, RunArgs, Verb};

    fn portion(flags: &[&str], workers: u32, pipelines: usize) -> Result<Portion> {
        let cli = Cli::try_parse_from([&["shop", "run", "--source=-", "--store=memory:"], flags].concat()).unwrap();
        let Verb::Run(RunArgs { worker, .. }) = cli.verb else { panic!("another verb") };
        Portion::of(&worker, workers, pipelines)
    }

    #[test]
    fn what_workers_hold_together_is_less_than_the_process_may() {
        for (workers, pipelines) in [(1, 1), (2, 1), (2, 3), (8, 2), (64, 40)] {
            let all = 2 << 30;
            let Portion { flush, roll, buffer } = portion(&["--memory=2GiB"], workers, pipelines).unwrap();
            // Twice: what is read while a flush is on its way, and what is sent while the next messages come.
            let held = (2 * (flush.0 * pipelines + buffer.0) + roll.0 * pipelines) * workers as usize;
            assert!((all / 4..=all / 2).contains(&held), "{workers} workers, {pipelines} pipelines: {held}");
        }
    }

    #[test]
    fn each_worker_has_half_a_gibibyte_where_nothing_is_said_and_flushes_sooner_where_that_is_asked_for() {
        let plain = Portion { flush: ByteSize(64 << 20), roll: ByteSize(10 << 20), buffer: ByteSize(32 << 20) };
        for workers in [1, 16] {
            assert_eq!(portion(&[], workers, 1).unwrap(), plain);
        }
        assert_eq!(portion(&["--flush-bytes=1MiB"], 1, 1).unwrap(), Portion { flush: ByteSize(1 << 20), ..plain });
    }

    #[test]
    fn workers_that_would_have_too_little_are_refused_with_what_they_need() {
        assert_eq!(portion(&["--memory=32MiB"], 2, 1).unwrap().buffer, ByteSize(1 << 20));
        assert_eq!(portion(&["--memory=32MiB"], 1, 1).unwrap().roll, ByteSize(1 << 20));
        let error = portion(&["--memory=31MiB"], 2, 1).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument);
        assert!(error.to_string().contains("`--memory 31MiB`: 2 workers (`--threads`) need 32MiB"), "{error}");
    }
}
