//! Workers that share the partitions of a topic.

use std::time::{Duration, Instant};

use crate::faults::feed::Load;
use crate::faults::trial::{Trial, Worker};
use crate::faults::{Failure, Finding, Settings};

pub(super) async fn zombie(settings: Settings) -> Result<Finding, Failure> {
    // It has to last until the session of the one that stands still has run out.
    let load = Load { events: 9_000, rate: 600, partitions: 4, ..Load::default() };
    let mut trial = Trial::new(&settings, "f05", load).await?;
    trial.feed()?;
    let first = trial.spawn(Worker::default())?;
    let patience = Duration::from_secs(30);
    trial.until(patience, |trial| trial.worker(first).figure("read") > 300).await?;
    let mut takeovers = 0;
    let mut sleeper = first;
    loop {
        trial.pass_between(0, 300).await?;
        // Its last writes are on their way, and arrive when another one has written.
        let held = trial.dynamo.hold();
        trial.until(patience, |_| !held.is_empty()).await?;
        trial.worker(sleeper).pause();
        trial.dynamo.pass();
        let awake = match trial.workers() {
            1 => trial.spawn(Worker::default())?,
            _ => 1 - sleeper,
        };
        let partitions = u64::from(trial.load.partitions.cast_unsigned());
        let all = |trial: &mut Trial| trial.worker(awake).figure("partitions") == partitions;
        let taken = trial.until(patience, all).await?;
        takeovers += u64::from(taken);
        let before = trial.worker(awake).figure("flushes");
        trial.until(patience, |trial| trial.worker(awake).figure("flushes") > before + 2).await?;
        drop(held);
        trial.pass_between(200, 800).await?;
        trial.worker(sleeper).go_on();
        trial.pass_between(1_000, 2_000).await?;
        if trial.is_fed() || settings.length.is_none() {
            break;
        }
        sleeper = awake;
    }
    let refused = trial.dynamo.tally().refused;
    trial.figures.push(("takeovers", takeovers));
    trial.figures.push(("writes_refused", refused));
    Ok(trial
        .finish()
        .await?
        .also(takeovers > 0, || "the other worker never had all partitions".to_owned())
        .also(refused > 0, || "what the sleeper had on its way was never refused".to_owned()))
}

pub(super) async fn storm(settings: Settings) -> Result<Finding, Failure> {
    let load = Load { events: 9_000, rate: 1_000, partitions: 6, ..Load::default() };
    let mut trial = Trial::new(&settings, "f06", load).await?;
    trial.feed()?;
    for _ in 0..2 {
        trial.spawn(Worker::default())?;
    }
    let (mut changes, mut bad) = (0, None);
    let half = |trial: &Trial| trial.committed() > 0;
    while !trial.is_fed() {
        trial.pass_between(500, 1_800).await?;
        let at = trial.rng.usize(..trial.workers());
        if trial.workers() < 4 && trial.rng.bool() {
            trial.spawn(Worker::default())?;
        } else if let Some(ended) = trial.stop(at) {
            if !ended.success() {
                bad = Some(format!("SIGTERM ended it with {ended}: {}", trial.worker(at).errors()));
            }
            trial.pass_between(100, 700).await?;
            trial.restart(at)?;
        }
        changes += 1;
    }
    let went_on = half(&trial);
    trial.figures.push(("changes", changes));
    let during = trial.committed();
    trial.figures.push(("committed_meanwhile", during));
    Ok(trial
        .finish()
        .await?
        .also(bad.is_none(), || bad.unwrap_or_default())
        .also(went_on, || "nothing was committed while workers came and went".to_owned()))
}

pub(super) async fn grown(settings: Settings) -> Result<Finding, Failure> {
    let load = Load { events: 6_000, rate: 600, partitions: 6, added: 3, malformed: 0.005, ..Load::default() };
    let mut trial = Trial::new(&settings, "f35", load).await?;
    trial.feed()?;
    for _ in 0..2 {
        trial.spawn(Worker::default())?;
    }
    trial.until(Duration::from_secs(30), |trial| trial.committed() > 300).await?;
    trial.grow().await?;
    let owned = |trial: &mut Trial| -> u64 { (0..2).map(|at| trial.worker(at).figure("partitions")).sum() };
    let began = Instant::now();
    let found = trial.until(Duration::from_secs(30), |trial| owned(trial) == 6).await?;
    trial.figures.push(("found_after_ms", began.elapsed().as_millis() as u64));
    // Whoever comes next begins where it was begun.
    let killed = trial.rng.usize(..2);
    trial.kill(killed)?;
    Ok(trial.finish().await?.also(found, || "nobody has the new partitions".to_owned()))
}
