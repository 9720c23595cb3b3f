//! Clocks, times, sizes and strangers.

use crate::faults::feed::Load;
use crate::faults::proxy::dynamodb::Troubles;
use crate::faults::trial::{PATIENCE, Trial, Worker};
use crate::faults::{Failure, Finding, Settings};

pub(super) async fn clock_skew(settings: Settings) -> Result<Finding, Failure> {
    // An hour ahead, and two behind: for that one every event lies more than an hour ahead of its clock.
    const AHEAD: [i64; 2] = [3_600, -7_200];
    // A second's and more of events before each jump, and as many after it.
    let slice = settings.length.map_or(1_000, |_| 2_500);
    let load = Load { events: 7_000, partitions: 4, ..Load::default() };
    let mut trial = Trial::new(&settings, "f22", load).await?;
    trial.hold_feed(0);
    trial.feed()?;
    for clock_ahead in AHEAD {
        trial.spawn(Worker { clock_ahead, ..Worker::default() })?;
    }
    let shared = trial.settle().await?.is_some();
    let mut wrong = None;
    let (mut seen, mut jumps) = ([0; 2], 0);
    // The clock of one is set to what the other's is, while it works; then the other goes on where it was. So clocks jump by
    // three hours, back first and then ahead: inside of a process, and from one process to the next.
    while wrong.is_none() && trial.goes_on(jumps >= 2) {
        let at = jumps % 2;
        trial.let_feed(slice);
        let reads = |trial: &mut Trial| (0..2).all(|at| trial.worker(at).figure("read") > 0) || trial.is_fed();
        let all_read = trial.until(PATIENCE, reads).await?;
        let off = trial.clock_ahead(at);
        if !all_read || (off - AHEAD[at]).abs() > 600 {
            wrong = Some(format!("the clock of worker {at} is {off} s ahead, or it reads nothing ({all_read})"));
        }
        seen[at] += trial.worker(at).figure("ahead");
        let (other, all) = (1 - at, trial.load.partitions as u64);
        trial.set_clock(at, AHEAD[other])?;
        let is_set = |trial: &mut Trial| (trial.clock_ahead(at) - AHEAD[other]).abs() < 600;
        let set = trial.until(PATIENCE, is_set).await?;
        let before = trial.worker(at).figure("read");
        trial.let_feed(slice);
        let sent = trial.let_so_far();
        let works = |trial: &mut Trial| {
            trial.committed() >= sent && (trial.worker(at).figure("read") > before || trial.is_fed())
        };
        if !set || !trial.until(PATIENCE, works).await? {
            wrong = Some(format!("worker {at} did not go on when its clock was set (to the new time: {set})"));
        }
        trial.stop(at);
        let taken = trial.until(PATIENCE, |trial| trial.worker(other).figure("partitions") == all).await?;
        trial.let_feed(slice);
        let sent = trial.let_so_far();
        if !taken || !trial.until(PATIENCE, |trial| trial.committed() >= sent).await? {
            wrong = Some(format!("worker {other} did not go on where worker {at} had been"));
        }
        trial.restart(at)?;
        trial.settle().await?;
        jumps += 1;
    }
    trial.figures.push(("clocks_set", jumps as u64));
    trial.figures.push(("jumps", jumps as u64));
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
    let half = trial.load.events / 2;
    trial.hold_feed(half);
    trial.feed()?;
    let worker = trial.spawn(Worker::named())?;
    let (sent, below) = (trial.let_so_far(), half.div_ceil(trial.load.partitions as usize) as u64);
    let all = |trial: &mut Trial| trial.committed() >= sent && trial.worker(worker).figure("read") >= sent;
    let counted = trial.until(trial.load.length() + PATIENCE, all).await?;
    // One process has read each of them once.
    let said = ["expired", "late", "ahead"].map(|name| trial.worker(worker).figure(name));
    let right = trial.oracle.of(move |_, offset| offset < below);
    let right = [right.expired(), right.late(), right.ahead()];
    trial.let_feed(trial.load.events);
    let mut kills = 0;
    while trial.goes_on(kills >= 2) {
        trial.pass_between(300, 900).await?;
        trial.kill(worker)?;
        kills += 1;
    }
    trial.figures.extend(["expired", "late", "ahead"].into_iter().zip(said));
    trial.figures.push(("killed", kills));
    Ok(trial
        .finish()
        .await?
        .also(counted, || "the first half was not committed".to_owned())
        .also(said == right && right.iter().all(|count| *count > 0), || {
            format!("expired, late and ahead are said to be {said:?}, and are {right:?}")
        }))
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
    let full = |key: &str| Troubles { room: Some((key.to_owned(), 4)), ..Troubles::default() };
    trial.dynamo.set(full("hot"));
    let longest = trial.load.length() + PATIENCE;
    trial.until(longest, |trial| trial.fail_points.is_empty()).await?;
    // One key after the other gets full, and the worker is killed meanwhile; those that are full stay so.
    trial.filled.push("hot".to_owned());
    loop {
        trial.pass_between(500, 1_500).await?;
        trial.kill(worker)?;
        if !trial.goes_on(true) {
            break;
        }
        let next = format!("k{}", (trial.filled.len() as u64 - 1) % trial.load.keys);
        trial.dynamo.set(full(&next));
        trial.filled.push(next);
        trial.pass_between(1_000, 3_000).await?;
    }
    // Everything else must be committed all the same.
    let sent = trial.oracle.sent();
    let went_on = trial.until(longest, |trial| trial.committed() >= sent).await?;
    let tries = trial.dynamo.tally().too_large;
    let closed = trial.oracle.closed().await?;
    let most = 100 * trial.filled.len() as u64;
    trial.figures.push(("refused_writes", tries));
    trial.figures.push(("filled", trial.filled.len() as u64));
    trial.figures.push(("closed", closed.len() as u64));
    Ok(trial
        .finish()
        .await?
        .also(went_on, || "the others did not go on".to_owned())
        .also(!closed.is_empty(), || "no tile was closed".to_owned())
        .also(tries < most, || format!("items that are too large were sent {tries} times")))
}

pub(super) async fn impostor(settings: Settings) -> Result<Finding, Failure> {
    let mut trial = Trial::new(&settings, "f40", Load { events: 2_000, ..Load::default() }).await?;
    trial.feed()?;
    let worker = trial.spawn(Worker::named())?;
    trial.until(PATIENCE, |trial| trial.worker(worker).figure("flushes") > 0).await?;
    let (mut tries, mut wrong) = (0, None);
    while wrong.is_none() && trial.goes_on(tries >= 2) {
        // Beside the worker, and while there is none: the tables alone say whose they are.
        let is_alone = tries % 2 == 1;
        if is_alone {
            trial.leave(worker);
            trial.worker(worker).kill();
        }
        let mut stranger = trial.stranger(&Worker::default().with(&["--pipelines", "impostor"]))?;
        let (ended, errors) = (stranger.wait(PATIENCE), stranger.errors());
        if ended.is_none_or(|ended| ended.code() != Some(3)) || !errors.contains("impostor.v1/tallies") {
            wrong = Some(format!("it ended with {ended:?}: {errors}"));
        }
        if is_alone {
            trial.restart(worker)?;
        }
        trial.pass_between(100, 500).await?;
        tries += 1;
    }
    trial.figures.push(("tries", tries));
    Ok(trial.finish().await?.refused().also(wrong.is_none(), || wrong.unwrap_or_default()))
}
