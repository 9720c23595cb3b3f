//! What cannot be counted.

use std::time::Duration;

use crate::faults::feed::Load;
use crate::faults::proxy::tcp::{Tcp, Toxics};
use crate::faults::trial::{Trial, Worker};
use crate::faults::{Failure, Finding, Settings, Verdict};

async fn bad_ones(settings: Settings, hint: &str, load: Load) -> Result<Finding, Failure> {
    let mut trial = Trial::new(&settings, hint, load).await?;
    trial.feed()?;
    let worker = trial.spawn(Worker::named())?;
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
    trial.feed()?;
    let worker = trial.spawn(Worker::named())?;
    trial.until(Duration::from_secs(20), |trial| trial.worker(worker).figure("flushes") > 2).await?;
    proxy.set(Toxics { down: true, ..Toxics::default() });
    trial.pass(Duration::from_secs(1)).await?;
    let before = trial.committed();
    trial.pass(settings.length.map_or(Duration::from_secs(3), |length| length / 2)).await?;
    let meanwhile = trial.committed() - before;
    proxy.set(Toxics::default());
    trial.figures.push(("committed_meanwhile", meanwhile));
    let sent = trial.oracle.sent();
    Ok(trial.finish().await?.also(meanwhile < sent / 4, || format!("{meanwhile} were committed without their letters")))
}

pub(super) async fn poison_storm(settings: Settings) -> Result<Finding, Failure> {
    let load = Load { events: 8_000, rate: 4_000, malformed: 1.0, ..Load::default() };
    let mut trial = Trial::new(&settings, "f11", load).await?;
    trial.feed()?;
    let worker = trial.spawn(Worker::named())?;
    trial.leave(worker);
    let ended = trial.worker(worker).wait(Duration::from_secs(60));
    let errors = trial.worker(worker).errors();
    let letters = trial.cluster.messages(&trial.letters)?.len() as u64;
    let sent = trial.oracle.sent();
    let refused = ended.is_some_and(|ended| ended.code() == Some(1)) && errors.contains("could not be counted");
    let verdict = if refused { Verdict::Refused } else { Verdict::Broken(format!("{ended:?}: {errors}")) };
    trial.cluster.delete(&[&trial.topic, &trial.letters]).await;
    let finding = Finding { verdict, figures: vec![("events", sent), ("letters", letters)], log: errors };
    Ok(finding.also(letters < sent / 2, || format!("{letters} of {sent} were moved to the dead letters")))
}
