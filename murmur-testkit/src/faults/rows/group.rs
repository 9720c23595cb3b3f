//! Workers that share the partitions of a topic.

use std::time::{Duration, Instant};

use crate::faults::feed::Load;
use crate::faults::trial::{PATIENCE, Trial, Worker};
use crate::faults::{Failure, Finding, Settings};

pub(super) async fn zombie(settings: Settings) -> Result<Finding, Failure> {
    // It has to last until the session of the one that stands still has run out.
    let load = Load { events: 9_000, rate: 600, partitions: 4, ..Load::default() };
    let mut trial = Trial::new(&settings, "f05", load).await?;
    trial.feed()?;
    let first = trial.spawn(Worker::default())?;
    trial.until(PATIENCE, |trial| trial.worker(first).figure("read") > 300).await?;
    let (mut takeovers, mut bad) = (0, None);
    let mut sleeper = first;
    while bad.is_none() && trial.goes_on(takeovers > 0) {
        trial.pass_between(0, 300).await?;
        // Its last writes are on their way, and arrive when another one has written.
        let held = trial.dynamo.hold();
        trial.until(PATIENCE, |trial| !held.is_empty() || trial.is_fed()).await?;
        if held.is_empty() && takeovers > 0 {
            // All is sent and written.
            trial.dynamo.pass();
            break;
        }
        trial.worker(sleeper).pause();
        trial.dynamo.pass();
        let awake = match trial.workers() {
            1 => trial.spawn(Worker::default())?,
            _ => 1 - sleeper,
        };
        let partitions = u64::from(trial.load.partitions.cast_unsigned());
        let all = |trial: &mut Trial| trial.worker(awake).figure("partitions") == partitions;
        let taken = trial.until(PATIENCE, all).await?;
        let before = trial.worker(awake).figure("flushes");
        trial.until(PATIENCE, |trial| trial.worker(awake).figure("flushes") > before + 2).await?;
        drop(held);
        trial.pass_between(200, 800).await?;
        // What it commits as it wakes up would be behind this, and stay there.
        let sent = trial.stand_still().await?;
        trial.worker(sleeper).go_on();
        let time = Duration::from_millis(trial.rng.u64(1_000..2_000));
        let stays = trial.stays_at(sent.unwrap_or(0), time).await?;
        bad = match (taken, sent, stays) {
            (false, ..) => Some("the other worker never had all partitions"),
            (_, None, _) => Some("the other worker did not commit everything"),
            (.., false) => Some("a commit of the sleeper was accepted"),
            _ => None,
        };
        takeovers += 1;
        trial.let_feed(trial.load.events);
        sleeper = awake;
    }
    let refused = trial.dynamo.tally().refused;
    trial.figures.push(("takeovers", takeovers));
    trial.figures.push(("writes_refused", refused));
    Ok(trial
        .finish()
        .await?
        .also(bad.is_none(), || bad.unwrap_or_default().to_owned())
        .also(refused > 0, || "what the sleeper had on its way was never refused".to_owned()))
}

/// Events of a round of [`storm`]: half of them while workers come and go, half when they have settled. The first half is
/// committed before the next change, so that at any moment at least that of all rounds so far is.
const ROUND: usize = 1_500;

pub(super) async fn storm(settings: Settings) -> Result<Finding, Failure> {
    let load = Load { events: 4 * ROUND, rate: 1_000, partitions: 6, ..Load::default() };
    let mut trial = Trial::new(&settings, "f06", load).await?;
    trial.hold_feed(0);
    trial.feed()?;
    for _ in 0..2 {
        trial.spawn(Worker::default())?;
    }
    let (mut owners, mut bad) = (trial.settle().await?, None);
    let (mut changes, mut moved, mut fewest) = (0, 0, u64::MAX);
    while bad.is_none() && trial.let_so_far() < trial.oracle.sent() {
        trial.let_feed(ROUND / 2);
        // One, or two before the group has taken in the first.
        for _ in 0..trial.rng.usize(1..3) {
            trial.pass_between(100, 900).await?;
            bad = bad.or(come_or_go(&mut trial).await?);
            changes += 1;
        }
        let settled = trial.settle().await?;
        let (Some(before), Some(after)) = (&owners, &settled) else {
            bad = bad.or(Some("the workers do not share out all partitions".to_owned()));
            break;
        };
        let passed = after.iter().filter(|(partition, owner)| before.get(*partition) != Some(owner)).count() as u64;
        moved += passed;
        fewest = fewest.min(passed);
        owners = settled;
        let least = trial.let_so_far();
        trial.let_feed(ROUND / 2);
        if !trial.until(PATIENCE, |trial| trial.committed() >= least).await? {
            let committed = trial.committed();
            bad = bad.or(Some(format!("after change {changes} {committed} are committed, and {least} were to be")));
        }
    }
    trial.figures.push(("changes", changes));
    trial.figures.push(("changed_hands", moved));
    trial.figures.push(("committed_meanwhile", trial.committed()));
    Ok(trial
        .finish()
        .await?
        .also(bad.is_none(), || bad.unwrap_or_default())
        .also(fewest > 0, || "a worker came or went, and no partition changed hands".to_owned()))
}

/// One worker more, or one that goes and comes back; what was wrong with that.
async fn come_or_go(trial: &mut Trial) -> Result<Option<String>, Failure> {
    if trial.workers() < 4 && trial.rng.bool() {
        trial.spawn(Worker::default())?;
        return Ok(None);
    }
    let at = trial.rng.usize(..trial.workers());
    let bad = match trial.stop(at) {
        Some(ended) if ended.success() => None,
        ended => Some(format!("SIGTERM ended it with {ended:?}: {}", trial.worker(at).errors())),
    };
    trial.pass_between(100, 700).await?;
    trial.restart(at)?;
    Ok(bad)
}

/// How many workers share the one key of [`one_key`].
const SHARERS: usize = 3;

pub(super) async fn one_key(settings: Settings) -> Result<Finding, Failure> {
    let load = Load { events: 6_000, partitions: 24, hot: 1.0, reals: true, ..Load::default() };
    let mut trial = Trial::new(&settings, "f14", load).await?;
    trial.hold_feed(1_000);
    trial.feed()?;
    for _ in 0..SHARERS {
        trial.spawn(Worker::default())?;
    }
    let shared = trial.settle().await?.is_some();
    // Writes of all workers are on their way at a time: of those that were to be put by what was read, one comes first.
    let mut rounds = 0;
    let is_long = settings.length.is_some();
    while rounds < 4
        || rounds < 20 && trial.dynamo.tally().refused == 0
        || is_long && trial.let_so_far() < trial.oracle.sent()
    {
        let before: Vec<u64> = (0..SHARERS).map(|at| trial.worker(at).figure("flushes")).collect();
        let held = trial.dynamo.hold();
        trial.let_feed(250);
        let waiting = trial.until(PATIENCE, |_| held.len() >= 3 * SHARERS as u64).await?;
        trial.pass_between(300, 600).await?;
        trial.dynamo.pass();
        drop(held);
        // All of them go on.
        let all = |trial: &mut Trial| (0..SHARERS).all(|at| trial.worker(at).figure("flushes") > before[at]);
        let went_on = trial.until(PATIENCE, all).await?;
        rounds += u64::from(waiting && went_on);
        if !(waiting && went_on) {
            break;
        }
    }
    let conflicts = trial.dynamo.tally().refused;
    trial.figures.push(("rounds", rounds));
    trial.figures.push(("conflicts", conflicts));
    Ok(trial
        .finish()
        .await?
        .also(shared, || "the workers do not share out all partitions".to_owned())
        .also(rounds >= 4, || "not every worker went on with the key".to_owned())
        .also(conflicts > 0, || "no two workers ever wrote the item at a time".to_owned()))
}

pub(super) async fn grown(settings: Settings) -> Result<Finding, Failure> {
    // Three at a time; where a length is given, one after the other until it is over.
    let (times, by) = settings.length.map_or((1, 3), |length| ((length.as_secs() / 10).clamp(3, 24) as i32, 1));
    let (added, partitions) = (times * by, 3 + times * by);
    let load = Load { events: 6_000, rate: 600, partitions, added, malformed: 0.005, ..Load::default() };
    let mut trial = Trial::new(&settings, "f35", load).await?;
    // Of what is added nothing may be passed over, whoever has it first.
    trial.source_options.push_str("&start=latest");
    trial.hold_feed(0);
    trial.feed()?;
    for _ in 0..2 {
        trial.spawn(Worker::default())?;
    }
    let owned = |trial: &mut Trial| -> u64 { (0..2).map(|at| trial.worker(at).figure("partitions")).sum() };
    let began = trial.until(PATIENCE, |trial| owned(trial) == 3).await?;
    trial.let_feed(trial.load.events);
    trial.until(PATIENCE, |trial| trial.committed() > 300).await?;
    let (mut grown, mut found, mut longest) = (0, true, Duration::ZERO);
    while found && grown < times {
        let began = Instant::now();
        trial.grow(by).await?;
        grown += 1;
        let all: u64 = (3 + grown * by).unsigned_abs().into();
        found = trial.until(PATIENCE, |trial| owned(trial) == all).await?;
        longest = longest.max(began.elapsed());
        // Whoever comes next begins where it was begun.
        let killed = trial.rng.usize(..2);
        trial.kill(killed)?;
        let pause = settings.length.map_or(Duration::ZERO, |length| length / times.unsigned_abs());
        trial.pass(pause.saturating_sub(began.elapsed())).await?;
    }
    trial.figures.push(("times_grown", grown.unsigned_abs().into()));
    trial.figures.push(("found_after_ms", longest.as_millis() as u64));
    Ok(trial
        .finish()
        .await?
        .also(began, || "nobody has the first partitions".to_owned())
        .also(found, || "nobody has the new partitions".to_owned()))
}
