//! The broker itself.

use std::collections::BTreeMap;

use crate::faults::brokers::{Brokers, COMMITS, Holders};
use crate::faults::feed::Load;
use crate::faults::trial::{PATIENCE, Trial, Worker};
use crate::faults::{Failure, Finding, Settings};

pub(super) async fn killed(settings: Settings) -> Result<Finding, Failure> {
    const WORKERS: u64 = 2;
    const BROKER: i32 = 1;
    let mut brokers = Brokers::start(1)?;
    let load = Load { events: 9_000, rate: 600, malformed: 0.005, ..Load::default() };
    let mut trial = Trial::on(&settings, "f17", load, brokers.addresses()).await?;
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
        brokers.kill(BROKER)?;
        trial.pass_between(500, 2_000).await?;
        let before = trial.sent_so_far();
        brokers.restart(BROKER)?;
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

/// One of three brokers dies, and others lead what it has led: by turns partitions, and the group. Before the next one dies it
/// is back, has all that it had missed, and leads again what it is the first for, which moves that once more.
pub(super) async fn led_by_others(settings: Settings) -> Result<Finding, Failure> {
    const WORKERS: usize = 2;
    const PARTITIONS: i32 = 6;
    const BROKERS: usize = 3;
    /// So many are sent while a broker dies and others take over.
    const PER_KILL: usize = 2_400;
    let mut brokers = Brokers::start(BROKERS)?;
    let load = Load { events: 3 * PER_KILL, rate: 600, partitions: PARTITIONS, malformed: 0.005, ..Load::default() };
    let mut trial = Trial::on(&settings, "f17b", load, brokers.addresses()).await?;
    // No worker dies here, so none is to be missed: until the cluster says that a broker is away, its group answers nobody.
    trial.source_options = "&librdkafka.session.timeout.ms=60000&librdkafka.heartbeat.interval.ms=500".to_owned();
    trial.hold_feed(PER_KILL / 2);
    trial.feed()?;
    for _ in 0..WORKERS {
        trial.spawn(Worker::default())?;
    }
    let settled = trial.settle().await?.is_some();
    let topic = trial.topic.clone();
    let all_topics = [topic.clone(), trial.letters.clone(), COMMITS.to_owned()];
    // Two of three have to have what is written: a broker that dies before another one is back would stop everything.
    let all_in_sync = |brokers: &Brokers| {
        let mut topics = all_topics.iter().map(|topic| brokers.holders(topic));
        topics.all(|parts| !parts.is_empty() && parts.values().all(|holders| holders.in_sync == BROKERS))
    };
    let (mut kills, mut moves, mut bad, mut away) = (0, 0, None, None);
    let leads = |holders: &BTreeMap<i32, Holders>, broker: i32| {
        holders.values().filter(|holders| holders.leader == Some(broker)).count() as u64
    };
    while bad.is_none() && trial.goes_on(kills >= 2) {
        if let Some(broker) = away.take() {
            brokers.restart(broker)?;
            // It leads again what it is the first for, as soon as it has all of that.
            let leads_again =
                trial.until(PATIENCE, |_| all_in_sync(&brokers) && leads(&brokers.holders(&topic), broker) > 0);
            if !leads_again.await? {
                bad = Some(format!("broker {broker} is back, and does not lead again"));
                break;
            }
            moves += leads(&brokers.holders(&topic), broker);
        }
        trial.let_feed(if settings.length.is_some() { trial.load.events } else { PER_KILL });
        trial.pass_between(500, 1_500).await?;
        let led = if kills % 2 == 0 { topic.as_str() } else { COMMITS };
        let mut leader = None;
        let is_led = trial.until(PATIENCE, |_| {
            leader = brokers.holders(led).get(&0).and_then(|holders| holders.leader);
            leader.is_some()
        });
        is_led.await?;
        let victim = leader.ok_or_else(|| Failure::new(format!("nobody leads `{led}`")))?;
        moves += leads(&brokers.holders(&topic), victim);
        brokers.kill(victim)?;
        (kills, away) = (kills + 1, Some(victim));
        // While it is away: others lead, and what is sent is committed.
        let led_by_others = trial.until(PATIENCE, |_| {
            let all = [brokers.holders(&topic), brokers.holders(COMMITS)];
            let mut leaders = all.iter().flat_map(BTreeMap::values).map(|holders| holders.leader);
            all.iter().map(BTreeMap::len).eq([PARTITIONS as usize, 1])
                && leaders.all(|leader| leader.is_some_and(|leader| leader != victim))
        });
        let led_by_others = led_by_others.await?;
        let sent = trial.sent_so_far();
        if !led_by_others || !trial.until(PATIENCE, |trial| trial.committed() >= sent).await? {
            let workers: Vec<_> = (0..WORKERS).map(|at| trial.worker(at).status().to_string()).collect();
            let committed = trial.committed();
            bad = Some(format!(
                "broker {victim} is away; led by others: {led_by_others}; of {sent} sent {committed} are committed; {workers:?}"
            ));
        }
    }
    let sent = trial.oracle.sent();
    trial.let_feed(trial.load.events);
    trial.until(trial.load.length() + PATIENCE, |trial| trial.committed() >= sent).await?;
    let read: u64 = (0..WORKERS).map(|at| trial.worker(at).figure("read")).sum();
    trial.figures.push(("broker_kills", kills));
    trial.figures.push(("leaders_moved", moves));
    trial.figures.push(("read_again", read.saturating_sub(sent)));
    Ok(trial
        .finish()
        .await?
        .also(settled, || "the workers did not share out the partitions".to_owned())
        .also(bad.is_none(), || bad.unwrap_or_default())
        .also(read <= sent, || format!("{read} were read of {sent}")))
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
