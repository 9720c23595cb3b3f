//! Clocks, times, sizes and strangers.

use murmur::engine::{Clock, SystemClock};

use crate::faults::feed::Load;
use crate::faults::proxy::dynamodb::Troubles;
use crate::faults::trial::{PATIENCE, Trial, Worker};
use crate::faults::{Failure, Finding, Settings, Verdict};

pub(super) async fn clock_skew(settings: Settings) -> Result<Finding, Failure> {
    // An hour ahead, and two behind: for that one every event lies more than an hour ahead of its clock.
    const AHEAD: [i64; 2] = [3_600, -7_200];
    let mut trial = Trial::new(&settings, "f22", Load { partitions: 4, ..Load::default() }).await?;
    let slice = trial.load.events / 5;
    trial.hold_feed(0);
    trial.feed()?;
    for clock_ahead in AHEAD {
        trial.spawn(Worker { clock_ahead, ..Worker::default() })?;
    }
    let shared = trial.settle().await?.is_some();
    let mut wrong = None;
    let mut seen = [0; 2];
    // One goes on where the other was: the clock jumps by three hours, there and back.
    for (at, ahead) in AHEAD.into_iter().enumerate() {
        trial.let_feed(slice);
        let all_read = trial.until(PATIENCE, |trial| (0..2).all(|at| trial.worker(at).figure("read") > 0)).await?;
        let off = trial.worker(at).figure("clock").cast_signed() - SystemClock.now().as_micros() / 1_000_000;
        if !all_read || (off - ahead).abs() > 600 {
            wrong = Some(format!("the clock of worker {at} is {off} s ahead, or it reads nothing ({all_read})"));
        }
        seen[at] = trial.worker(at).figure("ahead");
        trial.stop(at);
        let (other, all) = (1 - at, trial.load.partitions as u64);
        let taken = trial.until(PATIENCE, |trial| trial.worker(other).figure("partitions") == all).await?;
        trial.let_feed(slice);
        let sent = trial.let_so_far();
        if !taken || !trial.until(PATIENCE, |trial| trial.committed() >= sent).await? {
            wrong = Some(format!("worker {other} did not go on where worker {at} had been"));
        }
        trial.restart(at)?;
        trial.settle().await?;
    }
    trial.figures.push(("ahead_of_the_clock", seen[1]));
    Ok(trial
        .finish()
        .await?
        .also(shared, || "the workers do not share out all partitions".to_owned())
        .also(wrong.is_none(), || wrong.unwrap_or_default())
        .also(seen[0] == 0 && seen[1] > 0, || format!("events ahead of the clock, worker by worker: {seen:?}")))
}

pub(super) async fn late_and_early(settings: Settings) -> Result<Finding, Failure> {
    let load = Load { late: 0.1, expired: 0.05, future: 0.05, ..Load::default() };
    let mut trial = Trial::new(&settings, "f23", load).await?;
    trial.feed()?;
    let worker = trial.spawn(Worker::named())?;
    let sent = trial.oracle.sent();
    trial.until(trial.load.length() + PATIENCE, |trial| trial.committed() >= sent).await?;
    let (expired, ahead) = (trial.worker(worker).figure("expired"), trial.worker(worker).figure("ahead"));
    let right = trial.oracle.expired();
    trial.figures.push(("expired", expired));
    trial.figures.push(("ahead", ahead));
    Ok(trial
        .finish()
        .await?
        .also(expired == right && right > 0, || format!("{expired} are said to have expired, and {right} have"))
        .also(ahead > 0, || "no event is said to be ahead of the clock".to_owned()))
}

pub(super) async fn sent_twice(settings: Settings) -> Result<Finding, Failure> {
    let load = Load { repeated: 0.25, malformed: 0.01, panics: 0.01, rate: 600, ..Load::default() };
    let mut trial = Trial::new(&settings, "f08", load).await?;
    trial.feed()?;
    let first = trial.spawn(Worker::named())?;
    let mut kills = 0;
    while !trial.is_fed() {
        trial.pass_between(500, 1_500).await?;
        trial.kill(first)?;
        kills += 1;
    }
    let repeated = trial.oracle.repeated();
    trial.figures.push(("repeated", repeated));
    trial.figures.push(("kills", kills));
    Ok(trial.finish().await?.also(repeated > 0, || "nothing was sent twice".to_owned()))
}

pub(super) async fn too_large(settings: Settings) -> Result<Finding, Failure> {
    // More than half of the events belong to the key that gets full: the breaker must not take them for a bad source.
    let load = Load { hot: 0.7, malformed: 0.005, ..Load::default() };
    let mut trial = Trial::new(&settings, "f26", load).await?;
    trial.fail_points.extend(["before_closing", "after_closing", "after_dead_letters:2"].map(str::to_owned));
    trial.feed()?;
    let worker = trial.spawn(Worker::named())?;
    trial.until(PATIENCE, |trial| trial.committed() > 300).await?;
    trial.dynamo.set(Troubles { room: Some(("hot".to_owned(), 4)), ..Troubles::default() });
    let longest = trial.load.length() + PATIENCE;
    trial.until(longest, |trial| trial.fail_points.is_empty()).await?;
    trial.pass_between(500, 1_500).await?;
    trial.kill(worker)?;
    // It stays full, and everything else must be committed all the same.
    let sent = trial.oracle.sent();
    let went_on = trial.until(longest, |trial| trial.committed() >= sent).await?;
    let tries = trial.dynamo.tally().too_large;
    let closed = trial.oracle.closed().await?;
    let only_hot = !closed.is_empty() && closed.iter().all(|key| key.contains("hot"));
    trial.figures.push(("refused_writes", tries));
    trial.figures.push(("closed", closed.len() as u64));
    Ok(trial
        .finish()
        .await?
        .also(went_on, || "the others did not go on".to_owned())
        .also(only_hot, || format!("these tiles are closed: {closed:?}"))
        .also(tries < 100, || format!("items that are too large were sent {tries} times")))
}

pub(super) async fn impostor(settings: Settings) -> Result<Finding, Failure> {
    let mut trial = Trial::new(&settings, "f40", Load { events: 2_000, ..Load::default() }).await?;
    trial.feed()?;
    let worker = trial.spawn(Worker::named())?;
    trial.until(PATIENCE, |trial| trial.worker(worker).figure("flushes") > 0).await?;
    let mut stranger = trial.stranger(&Worker::default().with(&["--pipelines", "impostor"]))?;
    let ended = stranger.wait(PATIENCE);
    let errors = stranger.errors();
    let refused = ended.is_some_and(|ended| ended.code() == Some(3)) && errors.contains("impostor.v1/tallies");
    let mut finding = trial.finish().await?;
    if finding.verdict == Verdict::Exact {
        finding.verdict =
            if refused { Verdict::Refused } else { Verdict::Broken(format!("it ended with {ended:?}: {errors}")) };
    }
    Ok(finding)
}
