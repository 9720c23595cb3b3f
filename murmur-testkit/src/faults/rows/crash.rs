//! Workers that die, and workers that are asked to stop.

use std::time::{Duration, Instant};

use crate::faults::feed::Load;
use crate::faults::proxy::dynamodb::Troubles;
use crate::faults::trial::{PATIENCE, Trial, Worker};
use crate::faults::{Failure, Finding, Settings};

/// Let the worker die at these points, one after the other, as long as there is something to read, and at each at least
/// once; then kill it `kills` times at random moments, and once when a write is on its way.
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
    // For the kills something is kept back.
    let rest = if kills > 0 { trial.load.events / 2 } else { 0 };
    trial.hold_feed(trial.load.events - rest);
    trial.feed()?;
    let worker = trial.spawn(Worker::named())?;
    // What had not been committed by a death is read again, and flushed, so each point is come to; when all is committed,
    // no more are.
    let is_over = |trial: &mut Trial| trial.committed() >= trial.let_so_far();
    let all = |trial: &Trial| points.iter().all(|point| trial.deaths(point) > 0);
    let longest = trial.load.length() + PATIENCE;
    trial.until(longest, |trial| trial.fail_points.is_empty() || all(trial) && is_over(trial)).await?;
    let missed = points.iter().find(|point| trial.deaths(point) == 0);
    trial.fail_points.clear();
    let died = trial.restarts();
    let slice = rest / (kills as usize + 1);
    let (mut killed, mut in_the_midst) = (0, 0);
    while trial.goes_on(killed >= kills) {
        trial.let_feed(slice);
        trial.until(PATIENCE, |trial| trial.worker(worker).figure("read") > 0).await?;
        trial.pass_between(0, 900).await?;
        in_the_midst += u64::from(trial.committed() < trial.sent_so_far());
        trial.kill(worker)?;
        killed += 1;
    }
    if kills > 0 {
        let held = trial.dynamo.hold();
        trial.let_feed(rest);
        in_the_midst += u64::from(trial.until(PATIENCE, |_| !held.is_empty()).await?);
        trial.kill(worker)?;
        trial.dynamo.pass();
        killed += 1;
    }
    trial.figures.push(("died_at_points", died));
    trial.figures.push(("killed", u64::from(killed)));
    trial.figures.push(("killed_in_the_midst", in_the_midst));
    Ok(trial
        .finish()
        .await?
        .also(missed.is_none(), || format!("it never came to `{}`", missed.unwrap_or(&"")))
        .also(kills == 0 || in_the_midst > 0, || "whenever it was killed it had nothing to do".to_owned()))
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

/// How long the last flush of a worker may take that is asked to stop.
const BUDGET: Duration = Duration::from_secs(10);
/// How long it may take until another has its partitions. It is a second or two where a machine does nothing else; the
/// figures say.
const PROMPT: Duration = Duration::from_secs(30);

pub(super) async fn terminated(settings: Settings) -> Result<Finding, Failure> {
    let load = Load { rate: 500, ..Load::default() };
    let mut trial = Trial::new(&settings, "f33", load).await?;
    trial.hold_feed(600);
    trial.feed()?;
    let overdue = beyond_the_budget(&mut trial).await?;
    let within = || Worker::default().with(&[&format!("--drain-budget={}s", BUDGET.as_secs())]);
    let first = trial.spawn(within())?;
    let so_far = trial.let_so_far();
    let took_over = trial.until(PATIENCE, |trial| trial.committed() >= so_far).await?;
    // From here on everything is counted: all of it was committed, and nothing is read by now.
    trial.stop(first);
    trial.restart(first)?;
    let second = trial.spawn(within())?;
    trial.let_feed(trial.load.events);
    let all = trial.load.partitions as u64;
    let (mut stops, mut read, mut again, mut rewinds) = (0, so_far, 0, 0);
    let (mut stop, mut takeover, mut bad) = (Duration::ZERO, Duration::ZERO, None);
    while !trial.is_fed() {
        let works = |trial: &mut Trial| trial.worker(first).figure("read") > 0 || trial.is_fed();
        trial.until(PATIENCE, works).await?;
        trial.pass_between(100, 700).await?;
        let began = Instant::now();
        let ended = trial.stop(first);
        stop = stop.max(began.elapsed());
        trial.until(PATIENCE, |trial| trial.worker(second).figure("partitions") == all).await?;
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
    trial.until(PATIENCE, |trial| read + both(trial, "read") >= sent).await?;
    read += both(&mut trial, "read");
    again += both(&mut trial, "already_applied");
    rewinds += both(&mut trial, "rewinds");
    trial.figures.push(("stops", stops));
    trial.figures.push(("longest_stop_ms", stop.as_millis() as u64));
    trial.figures.push(("longest_takeover_ms", takeover.as_millis() as u64));
    trial.figures.push(("read_again", read.saturating_sub(sent) + again));
    let finding = trial.finish().await?;
    Ok(finding
        .also(overdue.is_none(), || overdue.unwrap_or_default())
        .also(took_over, || "what had not been committed within the budget was not read again".to_owned())
        .also(bad.is_none(), || bad.unwrap_or_default())
        .also(stops > 0, || "it was never stopped in the middle".to_owned())
        .also(stop < BUDGET, || format!("it took {stop:?} to stop, and the budget is {BUDGET:?}"))
        .also(takeover < PROMPT, || format!("it took {takeover:?} until another had everything"))
        .also(read == sent && again == 0 && rewinds == 0, || {
            format!("{read} read of {sent}, {again} skipped, {rewinds} rewinds")
        }))
}

/// A worker that is asked to stop while nothing can be written: it gives up after its budget, and commits nothing of what
/// it could not write. What is wrong with it.
async fn beyond_the_budget(trial: &mut Trial) -> Result<Option<String>, Failure> {
    let mut worker = trial.stranger(&Worker::default().with(&["--drain-budget=1s"]))?;
    let durable = trial.let_so_far();
    if !trial.until(PATIENCE, |trial| trial.committed() >= durable).await? {
        return Ok(Some("nothing was committed before it was asked to stop".to_owned()));
    }
    let before = trial.dynamo.tally().throttled;
    trial.dynamo.set(Troubles { capacity: Some(0.0), ..Troubles::default() });
    trial.let_feed(300);
    let tried = trial.until(PATIENCE, |trial| trial.dynamo.tally().throttled > before).await?;
    worker.terminate();
    let ended = worker.wait(PATIENCE);
    let (committed, errors) = (trial.committed(), worker.errors());
    trial.dynamo.set(Troubles::default());
    // As a program does that finds its store unavailable.
    let gave_up = ended.is_some_and(|ended| ended.code() == Some(4)) && errors.contains("within the drain budget");
    Ok(if !tried {
        Some("it did not try to write anything".to_owned())
    } else if !gave_up {
        Some(format!("after its budget it ended with {ended:?}: {errors}"))
    } else if committed != durable {
        Some(format!("{durable} could be written, and {committed} are committed after the budget"))
    } else {
        None
    })
}
