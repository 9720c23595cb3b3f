//! Workers that die, and workers that are asked to stop.

use std::time::{Duration, Instant};

use crate::faults::feed::Load;
use crate::faults::trial::{Trial, Worker};
use crate::faults::{Failure, Finding, Settings};

/// Die at the points one after the other, `times` times each, then at random moments.
async fn die_at(settings: Settings, hint: &str, load: Load, points: &[&str], kills: u32) -> Result<Finding, Failure> {
    let mut trial = Trial::new(&settings, hint, load).await?;
    for _ in 0..3 {
        for point in points {
            let times = trial.rng.u32(1..4);
            trial.fail_points.push_back(format!("{point}:{times}"));
        }
    }
    let planned = trial.fail_points.len() as u64;
    trial.feed()?;
    let worker = trial.spawn(Worker::named())?;
    let deadline = trial.load.length() + Duration::from_secs(30);
    let all_died = trial.until(deadline, |trial| trial.fail_points.is_empty()).await?;
    let mut killed = 0;
    while all_died && (killed < kills || (settings.length.is_some() && !trial.is_fed())) {
        trial.pass_between(100, 900).await?;
        trial.kill(worker)?;
        killed += 1;
    }
    trial.figures.push(("died_at_points", planned - trial.fail_points.len() as u64));
    trial.figures.push(("killed", u64::from(killed)));
    Ok(trial.finish().await?.also(all_died, || "the worker did not come to the points where it was to die".to_owned()))
}

pub(super) async fn after_the_write(settings: Settings) -> Result<Finding, Failure> {
    die_at(settings, "f01", Load::default(), &["after_store_write", "before_commit"], 4).await
}

pub(super) async fn before_the_write(settings: Settings) -> Result<Finding, Failure> {
    let load = Load { malformed: 0.01, ..Load::default() };
    die_at(settings, "f02", load, &["before_store_write", "after_dead_letters"], 0).await
}

pub(super) async fn within_a_flush(settings: Settings) -> Result<Finding, Failure> {
    let mut trial = Trial::new(&settings, "f03", Load::default()).await?;
    let mut writes = 1;
    for _ in 0..7 {
        trial.fail_points.push_back(format!("mid_flush:{writes}"));
        writes += trial.rng.u32(1..40);
    }
    trial.feed()?;
    trial.spawn(Worker::named())?;
    let deadline = trial.load.length() + Duration::from_secs(30);
    let all_died = trial.until(deadline, |trial| trial.fail_points.is_empty()).await?;
    Ok(trial.finish().await?.also(all_died, || "the worker did not come to the points where it was to die".to_owned()))
}

/// How long a worker may take to stop: far below the budget, which is for stores that are slow.
const PROMPT: Duration = Duration::from_secs(10);

pub(super) async fn terminated(settings: Settings) -> Result<Finding, Failure> {
    let mut trial = Trial::new(&settings, "f33", Load::default()).await?;
    trial.feed()?;
    let worker = trial.spawn(Worker::named())?;
    let (mut stops, mut read, mut again, mut rewinds) = (0, 0, 0, 0);
    let (mut longest, mut bad) = (Duration::ZERO, None);
    while !trial.is_fed() {
        trial.until(Duration::from_secs(20), |trial| trial.worker(worker).figure("read") > 0).await?;
        trial.pass_between(100, 700).await?;
        let began = Instant::now();
        let ended = trial.stop(worker);
        longest = longest.max(began.elapsed());
        let process = trial.worker(worker);
        if !ended.is_some_and(|ended| ended.success()) {
            bad = Some(format!("SIGTERM ended it with {ended:?}: {}", process.errors()));
        }
        read += process.figure("read");
        again += process.figure("already_applied");
        rewinds += process.figure("rewinds");
        stops += 1;
        trial.restart(worker)?;
    }
    let sent = trial.oracle.sent();
    let caught_up = |trial: &mut Trial| read + trial.worker(worker).figure("read") >= sent;
    trial.until(Duration::from_secs(60), caught_up).await?;
    read += trial.worker(worker).figure("read");
    trial.figures.push(("stops", stops));
    trial.figures.push(("longest_stop_ms", longest.as_millis() as u64));
    trial.figures.push(("read_again", read.saturating_sub(sent) + again));
    let finding = trial.finish().await?;
    Ok(finding
        .also(bad.is_none(), || bad.unwrap_or_default())
        .also(stops > 1, || "it was never stopped in the middle".to_owned())
        .also(longest < PROMPT, || format!("it took {longest:?} to stop"))
        .also(read == sent && again == 0 && rewinds == 0, || {
            format!("{read} read of {sent}, {again} skipped, {rewinds} rewinds")
        }))
}
