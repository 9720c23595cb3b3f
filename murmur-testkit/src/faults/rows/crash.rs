//! Workers that die, and workers that are asked to stop.

use std::time::{Duration, Instant};

use crate::faults::feed::Load;
use crate::faults::trial::{Trial, Worker};
use crate::faults::{Failure, Finding, Settings};

/// Deaths that a row needs to say something. Usually there are five to ten; a machine that takes seconds to start a
/// worker has few before all is read, as what was sent meanwhile is one flush.
const LEAST: u64 = 1;

/// Let the worker die at these points, one after the other, as long as there is something to read; then kill it at random
/// moments, `kills` times.
async fn die_at(
    settings: Settings,
    hint: &str,
    malformed: f32,
    points: &[&str],
    kills: u32,
) -> Result<Finding, Failure> {
    let load = Load { rate: 600, malformed, ..Load::default() };
    let mut trial = Trial::new(&settings, hint, load).await?;
    for round in 0..3 {
        for point in points {
            // However slow the machine is, the first flush comes.
            let times = if round == 0 { 1 } else { trial.rng.u32(1..4) };
            let anywhere = format!("{point}:{times}");
            trial.fail_points.push_back(if point.contains(':') { (*point).to_owned() } else { anywhere });
        }
    }
    trial.feed()?;
    let worker = trial.spawn(Worker::named())?;
    let longest = trial.load.length() + Duration::from_secs(30);
    let is_done = |trial: &mut Trial| trial.is_fed() && trial.restarts() >= LEAST;
    trial.until(longest, |trial| trial.fail_points.is_empty() || is_done(trial)).await?;
    trial.fail_points.clear();
    let died = trial.restarts();
    let mut killed = 0;
    while killed < kills || (settings.length.is_some() && !trial.is_fed()) {
        trial.pass_between(100, 900).await?;
        trial.kill(worker)?;
        killed += 1;
    }
    trial.figures.push(("died_at_points", died));
    trial.figures.push(("killed", u64::from(killed)));
    Ok(trial.finish().await?.also(died >= LEAST, || format!("it died only {died} times where it was to die")))
}

pub(super) async fn after_the_write(settings: Settings) -> Result<Finding, Failure> {
    die_at(settings, "f01", 0.0, &["after_store_write", "before_commit"], 4).await
}

pub(super) async fn before_the_write(settings: Settings) -> Result<Finding, Failure> {
    die_at(settings, "f02", 0.01, &["before_store_write", "after_dead_letters"], 0).await
}

pub(super) async fn within_a_flush(settings: Settings) -> Result<Finding, Failure> {
    // The points are counted from the start of a process, so they lie in its first flush or its second.
    die_at(settings, "f03", 0.0, &["mid_flush:1", "mid_flush:9", "mid_flush:30"], 0).await
}

/// How long a worker may take to stop, and another to have its partitions: far below the budget, which is for stores that
/// are slow.
const PROMPT: Duration = Duration::from_secs(10);

pub(super) async fn terminated(settings: Settings) -> Result<Finding, Failure> {
    let load = Load { rate: 500, ..Load::default() };
    let mut trial = Trial::new(&settings, "f33", load).await?;
    trial.feed()?;
    let (first, second) = (trial.spawn(Worker::default())?, trial.spawn(Worker::default())?);
    let all = trial.load.partitions as u64;
    let (mut stops, mut read, mut again, mut rewinds) = (0, 0, 0, 0);
    let (mut stop, mut takeover, mut bad) = (Duration::ZERO, Duration::ZERO, None);
    while !trial.is_fed() {
        let works = |trial: &mut Trial| trial.worker(first).figure("read") > 0 || trial.is_fed();
        trial.until(Duration::from_secs(20), works).await?;
        trial.pass_between(100, 700).await?;
        let began = Instant::now();
        let ended = trial.stop(first);
        stop = stop.max(began.elapsed());
        trial.until(Duration::from_secs(30), |trial| trial.worker(second).figure("partitions") == all).await?;
        takeover = takeover.max(began.elapsed());
        let process = trial.worker(first);
        if !ended.is_some_and(|ended| ended.success()) {
            bad = Some(format!("SIGTERM ended it with {ended:?}: {}", process.errors()));
        }
        read += process.figure("read");
        again += process.figure("already_applied");
        rewinds += process.figure("rewinds");
        stops += 1;
        trial.restart(first)?;
    }
    let sent = trial.oracle.sent();
    let both = |trial: &mut Trial, name| [first, second].map(|at| trial.worker(at).figure(name)).iter().sum::<u64>();
    trial.until(Duration::from_secs(60), |trial| read + both(trial, "read") >= sent).await?;
    read += both(&mut trial, "read");
    again += both(&mut trial, "already_applied");
    rewinds += both(&mut trial, "rewinds");
    trial.figures.push(("stops", stops));
    trial.figures.push(("longest_stop_ms", stop.as_millis() as u64));
    trial.figures.push(("longest_takeover_ms", takeover.as_millis() as u64));
    trial.figures.push(("read_again", read.saturating_sub(sent) + again));
    let finding = trial.finish().await?;
    Ok(finding
        .also(bad.is_none(), || bad.unwrap_or_default())
        .also(stops > 0, || "it was never stopped in the middle".to_owned())
        .also(takeover < PROMPT, || format!("it took {stop:?} to stop, and {takeover:?} until another had everything"))
        .also(read == sent && again == 0 && rewinds == 0, || {
            format!("{read} read of {sent}, {again} skipped, {rewinds} rewinds")
        }))
}
