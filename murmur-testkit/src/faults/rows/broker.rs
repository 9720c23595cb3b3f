//! The broker itself.

use crate::faults::feed::Load;
use crate::faults::services::OwnKafka;
use crate::faults::trial::{PATIENCE, Trial, Worker};
use crate::faults::{Failure, Finding, Settings};

pub(super) async fn killed(settings: Settings) -> Result<Finding, Failure> {
    const WORKERS: u64 = 2;
    let broker = OwnKafka::start()?;
    let load = Load { events: 9_000, rate: 600, malformed: 0.005, ..Load::default() };
    let mut trial = Trial::on(&settings, "f17", load, broker.address.clone()).await?;
    // A broker that dies with the answer to a member with a name takes that member for another one, and fences it. For no
    // other reason a worker may end.
    trial.may_end = Some("another process has become the member");
    trial.feed()?;
    for _ in 0..WORKERS {
        trial.spawn(Worker::named())?;
    }
    let (mut kills, mut goes_on) = (0, true);
    while goes_on && trial.goes_on(kills >= 2) {
        trial.pass_between(2_000, 4_000).await?;
        broker.kill()?;
        trial.pass_between(500, 2_000).await?;
        let before = trial.sent_so_far();
        broker.restart()?;
        kills += 1;
        // Before the next time all is committed that had been sent by now.
        goes_on = trial.until(PATIENCE, |trial| trial.committed() >= before).await?;
    }
    let ends = trial.ends();
    trial.figures.push(("broker_kills", kills));
    trial.figures.push(("ends", ends));
    Ok(trial
        .finish()
        .await?
        .also(goes_on, || "it did not go on when the broker was back".to_owned())
        .also(ends <= kills * WORKERS, || format!("workers ended {ends} times, and the broker {kills} times")))
}

pub(super) async fn overtaken(settings: Settings) -> Result<Finding, Failure> {
    let load = Load { events: 3_000, rate: 600, partitions: 1, ..Load::default() };
    let mut trial = Trial::new(&settings, "f18", load).await?;
    // However slow it all is, most of it comes only after the worker has stopped.
    trial.hold_feed(1_000);
    trial.feed()?;
    let worker = trial.spawn(Worker::named())?;
    trial.until(PATIENCE, |trial| trial.committed() > 300).await?;
    let ended_well = trial.stop(worker).is_some_and(|ended| ended.success());
    let committed = trial.committed();
    trial.let_feed(trial.load.events);
    trial.until(trial.load.length() + PATIENCE, |trial| trial.is_fed()).await?;
    let sent = trial.oracle.sent();
    let deleted = (committed + 1).max(sent - 10).min(sent);
    trial.cluster.delete_records(&trial.topic, 0, deleted.cast_signed()).await?;
    trial.restart(worker)?;
    trial.leave(worker);
    let ended = trial.worker(worker).wait(PATIENCE);
    let errors = format!("{}\n{}", trial.worker(worker).errors(), trial.worker(worker).status());
    let refused = ended.is_some_and(|ended| ended.code() == Some(1)) && errors.contains("OFFSET_OUT_OF_RANGE");
    let now = trial.committed();
    let untouched = trial.oracle.of(move |_, offset| offset < committed).difference().await?;
    // And goes on when it is told that this is accepted: with what is left, beside what it had counted before.
    trial.source_options.push_str("&gap=accept");
    trial.oracle = trial.oracle.of(move |_, offset| !(committed..deleted).contains(&offset));
    trial.restart(worker)?;
    let went_on = trial.until(PATIENCE, |trial| trial.committed() >= sent).await?;
    let said = trial.worker(worker).errors().contains(&format!("skipped={}", deleted.saturating_sub(committed)));
    trial.figures.push(("committed", committed));
    trial.figures.push(("deleted_before", deleted));
    Ok(trial
        .finish()
        .await?
        .refused()
        .also(refused, || format!("it ended with {ended:?}: {errors}"))
        .also(ended_well, || "it was asked to stop, and did not end well".to_owned())
        .also(deleted > committed && now == committed, || format!("the commit was {committed} and is {now}"))
        .also(untouched.first.is_none(), || format!("after it refused: {:?}", untouched.first))
        .also(went_on && said, || "with `gap=accept` it does not go on, or does not say what is missing".to_owned()))
}
