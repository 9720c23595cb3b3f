//! What cannot be counted.

use std::time::Duration;

use crate::faults::feed::Load;
use crate::faults::proxy::tcp::{Tcp, Toxics};
use crate::faults::trial::{PATIENCE, Trial, Worker};
use crate::faults::{Failure, Finding, Settings, Verdict};

/// Several workers in one process, which have one place for their letters.
const THREADS: u64 = 3;

fn several() -> Worker {
    Worker::named().with(&[&format!("--threads={THREADS}")])
}

async fn bad_ones(settings: Settings, hint: &str, load: Load) -> Result<Finding, Failure> {
    let mut trial = Trial::new(&settings, hint, load).await?;
    trial.feed()?;
    let worker = trial.spawn(several())?;
    // A kill or two between letters and commits: their copies must have the same id.
    for _ in 0..2 {
        trial.pass_between(800, 1_500).await?;
        trial.kill(worker)?;
    }
    let bad = trial.oracle.bad();
    trial.figures.push(("bad", bad));
    Ok(trial.finish().await?.also(bad > 10, || format!("only {bad} could not be counted")))
}

pub(super) async fn poison(settings: Settings) -> Result<Finding, Failure> {
    let load = Load { malformed: 0.01, refused: 0.01, panics: 0.005, ..Load::default() };
    bad_ones(settings, "f09", load).await
}

pub(super) async fn bad_keys(settings: Settings) -> Result<Finding, Failure> {
    let load = Load { events: 3_000, long_keys: 0.01, odd_keys: 0.05, ..Load::default() };
    bad_ones(settings, "f27", load).await
}

pub(super) async fn no_place(settings: Settings) -> Result<Finding, Failure> {
    let load = Load { malformed: 0.01, ..Load::default() };
    let mut trial = Trial::new(&settings, "f10", load).await?;
    let proxy = Tcp::kafka(&trial.letter_brokers, trial.rng.u64(..)).await?;
    trial.letter_brokers = proxy.address.to_string();
    let worker = trial.spawn(several())?;
    // Each has its part before anything is away: one that cannot give up a partition would keep it from the others.
    trial.until(PATIENCE, |trial| trial.worker(worker).figure("owners") == THREADS).await?;
    trial.feed()?;
    trial.until(PATIENCE, |trial| trial.worker(worker).figure("flushes") > 2).await?;
    proxy.set(Toxics { down: true, ..Toxics::default() });
    let waits = |trial: &mut Trial| trial.worker(worker).figure("letters_wait");
    let all_wait = trial.until(PATIENCE, |trial| waits(trial) == THREADS).await?;
    // What was durable before they began to wait may still be on its way to the group.
    trial.pass(Duration::from_secs(1)).await?;
    let before = trial.committed();
    trial.pass(settings.length.map_or(Duration::from_secs(3), |length| length / 2)).await?;
    let meanwhile = trial.committed() - before;
    let still_wait = waits(&mut trial) == THREADS;
    proxy.set(Toxics::default());
    let none_waits = trial.until(PATIENCE, |trial| waits(trial) == 0).await?;
    trial.figures.push(("committed_meanwhile", meanwhile));
    Ok(trial
        .finish()
        .await?
        .also(meanwhile == 0, || format!("{meanwhile} were committed without their letters"))
        .also(all_wait && still_wait, || "not every worker said that it waits with its letters".to_owned())
        .also(none_waits, || "a worker went on waiting though the topic was back".to_owned()))
}

/// How often the worker is started into the same storm.
const STARTS: usize = 4;

pub(super) async fn poison_storm(settings: Settings) -> Result<Finding, Failure> {
    let load = Load { events: 12_000, rate: 4_000, malformed: 1.0, ..Load::default() };
    let mut trial = Trial::new(&settings, "f11", load).await?;
    trial.feed()?;
    let worker = trial.spawn(several())?;
    let (mut refused, mut letters, mut errors) = (true, Vec::new(), String::new());
    for start in 0..STARTS {
        if start > 0 {
            trial.restart(worker)?;
        }
        trial.leave(worker);
        let ended = trial.worker(worker).wait(PATIENCE);
        errors = trial.worker(worker).errors();
        refused &= ended.is_some_and(|ended| ended.code() == Some(1)) && errors.contains("could not be counted");
        letters.push(trial.cluster.messages(&trial.letters)?.len() as u64);
        if !refused {
            break;
        }
    }
    let sent = trial.oracle.sent();
    let verdict = if refused { Verdict::Refused } else { Verdict::Broken(errors.clone()) };
    trial.cluster.delete(&[&trial.topic, &trial.letters]).await;
    let moved = letters.last().copied().unwrap_or(0);
    let figures = vec![("events", sent), ("starts", letters.len() as u64), ("letters", moved)];
    let finding = Finding { verdict, figures, log: errors };
    Ok(finding.also(letters.iter().all(|letters| *letters == 0), || {
        format!("letters of a source that is the wrong one, start by start: {letters:?}")
    }))
}
