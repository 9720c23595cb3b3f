//! What cannot be counted.

use std::time::Duration;

use crate::faults::feed::Load;
use crate::faults::proxy::tcp::{Tcp, Toxics};
use crate::faults::trial::{PATIENCE, Trial, Worker};
use crate::faults::{Failure, Finding, Settings};

/// Several workers in one process, which have one place for their letters.
const THREADS: u64 = 3;

fn several() -> Worker {
    Worker::named().with(&[&format!("--threads={THREADS}")])
}

async fn bad_ones(settings: Settings, hint: &str, load: Load) -> Result<Finding, Failure> {
    let mut trial = Trial::new(&settings, hint, load).await?;
    trial.feed()?;
    let worker = trial.spawn(several())?;
    // Kills between letters and commits: their copies must have the same id.
    let mut kills = 0;
    while trial.goes_on(kills >= 2) {
        trial.pass_between(800, 1_500).await?;
        trial.kill(worker)?;
        kills += 1;
    }
    let bad = trial.oracle.bad();
    trial.figures.push(("bad", bad));
    trial.figures.push(("killed", kills));
    Ok(trial.finish().await?.also(bad > 10, || format!("only {bad} could not be counted")))
}

/// Documents of a megabyte among what cannot be counted, from the beginning of the feed to its end.
const GIANTS: usize = 5;

pub(super) async fn poison(settings: Settings) -> Result<Finding, Failure> {
    let load = Load { malformed: 0.01, refused: 0.01, panics: 0.005, giants: GIANTS, ..Load::default() };
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
/// What can be counted before the storm, and what comes in it.
const BEFORE: usize = 600;
const STORM: usize = 12_000;

pub(super) async fn poison_storm(settings: Settings) -> Result<Finding, Failure> {
    let storm = BEFORE..BEFORE + STORM;
    let load = Load { events: storm.end + BEFORE, rate: 4_000, storm, ..Load::default() };
    let mut trial = Trial::new(&settings, "f11", load).await?;
    trial.hold_feed(BEFORE);
    trial.feed()?;
    let worker = trial.spawn(several())?;
    let good = BEFORE as u64;
    let began_well = trial.until(PATIENCE, |trial| trial.committed() == good).await?;
    trial.stop(worker);
    trial.let_feed(STORM);
    let counted = BEFORE as u64 / trial.load.partitions as u64;
    let before = trial.oracle.of(move |_, offset| offset < counted);
    let (mut wrong, mut letters) = (None, Vec::new());
    for _ in 0..STARTS {
        trial.restart(worker)?;
        trial.leave(worker);
        let ended = trial.worker(worker).wait(PATIENCE);
        let errors = trial.worker(worker).errors();
        if ended.is_none_or(|ended| ended.code() != Some(1)) || !errors.contains("could not be counted") {
            wrong = Some(format!("it ended with {ended:?}: {errors}"));
            break;
        }
        letters.push(trial.cluster.messages(&trial.letters)?.len() as u64);
        let committed = trial.committed();
        if committed != good {
            wrong = Some(format!("{good} can be counted, and {committed} are committed"));
        }
        // Nothing of the storm, and all that came before it.
        let difference = before.difference().await?;
        wrong = wrong.or(difference.first.map(|first| format!("after it stopped: {first}")));
    }
    // Once it is said that this is no mistake, the storm is moved, and what comes after it counts.
    trial.also_with(worker, &["--dead-letter-limit=100%"]);
    trial.restart(worker)?;
    trial.figures.push(("stopped", letters.len() as u64));
    trial.figures.push(("letters_of_the_storm", letters.last().copied().unwrap_or(0)));
    Ok(trial
        .finish()
        .await?
        .refused()
        .also(began_well, || "what came before the storm was not committed".to_owned())
        .also(wrong.is_none(), || wrong.unwrap_or_default())
        .also(letters.iter().all(|letters| *letters == 0), || {
            format!("letters of a source that is the wrong one, start by start: {letters:?}")
        }))
}
