//! What lies between a worker and its tables, and its broker.

use std::sync::Arc;
use std::time::{Duration, Instant};

use murmur::query::Reader;
use murmur::store::{Consistency, DynamoConfig, DynamoStore};

use crate::faults::feed::Load;
use crate::faults::proxy::dynamodb::{Tally, Troubles};
use crate::faults::proxy::tcp::{Cut, Tcp, Toxics};
use crate::faults::trial::{PATIENCE, Trial, Worker};
use crate::faults::{Failure, Finding, Settings};
use crate::pipelines::{Tallies, TickKey};

pub(super) async fn unanswered(settings: Settings) -> Result<Finding, Failure> {
    const LEAST: u64 = 10;
    let mut trial = Trial::new(&settings, "f04", Load { events: 8_000, ..Load::default() }).await?;
    trial.dynamo.set(Troubles { unanswered: 0.1, dropped: 0.02, failed: 0.02, ..Troubles::default() });
    trial.hold_feed(2_000);
    trial.feed()?;
    trial.spawn(Worker::named())?;
    // However slow the machine is, there is something to write until answers of writes were lost.
    let began = Instant::now();
    let lost = |trial: &Trial| trial.dynamo.tally().unanswered_tiles;
    while !trial.is_fed() && (settings.length.is_some() || lost(&trial) < LEAST && began.elapsed() < PATIENCE) {
        trial.let_feed(if settings.length.is_some() { 100 } else { 30 });
        trial.pass(Duration::from_millis(100)).await?;
    }
    trial.dynamo.set(Troubles::default());
    trial.let_feed(trial.load.events);
    let (all, lost) = (trial.dynamo.tally().unanswered, lost(&trial));
    trial.figures.push(("unanswered", all));
    trial.figures.push(("unanswered_writes", lost));
    Ok(trial.finish().await?.also(lost >= LEAST, || format!("only {lost} answers of writes were lost")))
}

pub(super) async fn out_of_order(settings: Settings) -> Result<Finding, Failure> {
    let mut trial = Trial::new(&settings, "f07", Load::default()).await?;
    trial.dynamo.set(Troubles { slow: Some(("k3".to_owned(), Duration::from_millis(900))), ..Troubles::default() });
    trial.feed()?;
    let worker = trial.spawn(Worker::named())?;
    let mut kills = 0;
    while !trial.is_fed() && kills < 4 || settings.length.is_some() && !trial.is_fed() {
        trial.pass_between(500, 1_500).await?;
        trial.kill(worker)?;
        kills += 1;
    }
    trial.pass(Duration::from_secs(2)).await?;
    trial.dynamo.set(Troubles::default());
    trial.figures.push(("killed", kills));
    trial.finish().await
}

/// So many requests each share must have met.
const FELT: u64 = 3;
/// A write may be sent so often within the first second or so, its pauses doubling from ten milliseconds to two seconds, each
/// shorter by up to its half; later on, once a second. Whoever does not pause sends it as often as the tables answer.
const TRIES: u64 = 10;

pub(super) async fn throttled(settings: Settings) -> Result<Finding, Failure> {
    let mut trial = Trial::new(&settings, "f12", Load { events: 8_000, ..Load::default() }).await?;
    trial.hold_feed(600);
    trial.feed()?;
    let worker = trial.spawn(Worker::named())?;
    trial.until(PATIENCE, |trial| trial.worker(worker).figure("flushes") > 0).await?;
    let (mut storm, mut passes) = (Duration::ZERO, 0);
    // By all of it longest, so that one and the same write is tried for a while.
    let mut shares =
        [("throttled_at_30", 0.3, 1_200, 0), ("throttled_at_100", 1.0, 3_000, 0), ("throttled_at_60", 0.6, 1_200, 0)];
    while passes == 0 || (settings.length.is_some() && !trial.is_fed()) {
        for (_, share, millis, felt) in &mut shares {
            // Where everything is throttled it may be a record that the worker cannot get past.
            let count = |tally: &Tally| if *share < 1.0 { tally.throttled_tiles } else { tally.throttled };
            let (began, before) = (Instant::now(), count(&trial.dynamo.tally()));
            trial.dynamo.set(Troubles { throttled: *share, ..Troubles::default() });
            let met = |trial: &Trial| count(&trial.dynamo.tally()) - before;
            // There is something to write as long as it lasts.
            while began.elapsed() < Duration::from_millis(*millis) || met(&trial) < FELT && began.elapsed() < PATIENCE {
                trial.let_feed(60);
                trial.pass(Duration::from_millis(100)).await?;
            }
            *felt += met(&trial);
            storm += began.elapsed();
        }
        passes += 1;
    }
    trial.dynamo.set(Troubles::default());
    let healed = Instant::now();
    let sent = trial.let_so_far();
    let went_on = trial.until(PATIENCE, |trial| trial.committed() >= sent).await?;
    let caught_up = healed.elapsed();
    let (resent, ambiguous) = (trial.worker(worker).figure("resent"), trial.worker(worker).figure("ambiguous"));
    let tally = trial.dynamo.tally();
    let reads = throttled_reads(&mut trial, worker).await?;
    trial.figures.extend(shares.map(|(name, .., felt)| (name, felt)));
    // What was carried out, and is sent again all the same, is refused.
    trial.figures.push(("carried_out_twice", tally.refused));
    trial.figures.push(("storm_ms", storm.as_millis() as u64));
    trial.figures.push(("catch_up_ms", caught_up.as_millis() as u64));
    trial.figures.push(("one_write_throttled", tally.most_of_one));
    trial.figures.push(("keys_left_out", trial.dynamo.tally().left_out));
    let most = TRIES + storm.as_secs();
    Ok(trial
        .finish()
        .await?
        .also(went_on, || "it did not go on when the throttling had ended".to_owned())
        .also(shares.iter().all(|(.., felt)| *felt >= FELT), || format!("too few requests were throttled: {shares:?}"))
        .also(resent > 0, || "nothing was sent again".to_owned())
        .also(tally.refused <= ambiguous, || {
            format!("{} writes were sent again that had been answered, or nobody knows why", tally.refused)
        })
        .also(tally.most_of_one <= most, || {
            format!("a write was throttled {} times within {storm:?}: it did not back off", tally.most_of_one)
        })
        .also(reads.is_none(), || reads.unwrap_or_default()))
}

/// A worker that starts, and queries, while some of their reads are throttled and every batch is answered by half; what
/// is wrong.
async fn throttled_reads(trial: &mut Trial, worker: usize) -> Result<Option<String>, Failure> {
    trial.dynamo.set(Troubles { throttled: 0.3, unprocessed: 1.0, ..Troubles::default() });
    let before = trial.dynamo.tally();
    // It reads what stands there of every key before it adds to it.
    trial.kill(worker)?;
    trial.let_feed(300);
    let sent = trial.let_so_far();
    let went_on = trial.until(PATIENCE, |trial| trial.committed() >= sent).await?;
    let of_worker = trial.dynamo.tally();
    let config = DynamoConfig { prefix: trial.prefix(), endpoint: Some(trial.endpoint.clone()), ..DynamoConfig::new() };
    let reader = Reader::<Tallies>::new(Arc::new(DynamoStore::open(&config).await?), 1);
    let keys: Vec<TickKey> = (0..trial.load.keys).map(|key| TickKey { key: format!("k{key}") }).collect();
    let right: Vec<u64> = keys.iter().map(|key| trial.sent_of(&key.key)).collect();
    let began = Instant::now();
    let met = |trial: &Trial| {
        let tally = trial.dynamo.tally();
        tally.left_out > of_worker.left_out && tally.throttled > of_worker.throttled
    };
    let found = loop {
        let in_time = began.elapsed() < PATIENCE;
        match reader.get_many(&keys, Consistency::Strong).await {
            // The store's client tries a few times only.
            Err(error) if error.is_retryable() && in_time => {}
            answers => {
                let found: Vec<u64> = answers?.into_iter().map(|answer| answer.value).collect();
                if found != right || met(trial) || !in_time {
                    break found;
                }
            }
        }
    };
    let felt = met(trial);
    trial.dynamo.set(Troubles::default());
    Ok(if !went_on {
        Some("a worker that was started while reads are throttled did not go on".to_owned())
    } else if found != right {
        Some(format!("queries were answered with {found:?}, and {right:?} were sent"))
    } else if of_worker.left_out == before.left_out {
        Some("the worker was answered everything at once".to_owned())
    } else if !felt {
        Some("queries were answered everything at once".to_owned())
    } else {
        None
    })
}

/// Write units a second of the hot key in [`hot_key`], far below what one partition of DynamoDB takes, as the load is:
/// every flush wants about four.
const UNITS: f64 = 4.0;
/// The same with an aggregate of each kind, whose values are large: a write of them takes ten units and more.
const UNITS_OF_KINDS: f64 = 100.0;
/// Writes that may be under way when the units are used up, and the units of each.
const DEBT: f64 = 24.0;
const OF_ONE: f64 = 1.0;
const OF_ONE_OF_KINDS: f64 = 20.0;

pub(super) async fn hot_key(settings: Settings) -> Result<Finding, Failure> {
    let (units, of_one) = if settings.kinds { (UNITS_OF_KINDS, OF_ONE_OF_KINDS) } else { (UNITS, OF_ONE) };
    let load = Load { hot: 0.9, ..Load::default() };
    let mut trial = Trial::new(&settings, "f13", load).await?;
    trial.dynamo.set(Troubles { units: Some(("hot".to_owned(), units)), ..Troubles::default() });
    trial.hold_feed(0);
    let began = Instant::now();
    trial.feed()?;
    let worker = trial.spawn(Worker::named())?;
    let (mut rounds, mut stuck, mut catch_up) = (0, None, Duration::ZERO);
    while stuck.is_none() && trial.let_so_far() < trial.oracle.sent() {
        let before = trial.dynamo.tally();
        trial.let_feed(1_000);
        let (sent, released) = (trial.let_so_far(), Instant::now());
        // The key is at its limit, others are written while it waits, and all of it is committed.
        let limited = |trial: &Trial| trial.dynamo.tally().throttled > before.throttled;
        let beside = |trial: &Trial| trial.dynamo.tally().beside > before.beside;
        if !trial.until(PATIENCE, |trial| trial.committed() >= sent).await? {
            stuck = Some("the commits did not go on".to_owned());
        } else if limited(&trial) && !beside(&trial) {
            stuck = Some("the hot key waited, and no other was written meanwhile".to_owned());
        }
        catch_up = catch_up.max(released.elapsed());
        rounds += u64::from(limited(&trial));
    }
    let per = began.elapsed();
    let is_said = trial.worker(worker).errors().contains("a key is written more often");
    let tally = trial.dynamo.tally();
    let hot = tally.units_by_key.get("=hot").copied().unwrap_or(0.0);
    let most = units * (per.as_secs_f64() + 1.0) + DEBT * of_one;
    trial.figures.push(("units_of_the_hot_key", hot as u64));
    trial.figures.push(("seconds", per.as_secs()));
    trial.figures.push(("throttled", tally.throttled));
    trial.figures.push(("written_beside", tally.beside));
    trial.figures.push(("rounds_at_the_limit", rounds));
    trial.figures.push(("longest_round_ms", catch_up.as_millis() as u64));
    Ok(trial
        .finish()
        .await?
        .also(stuck.is_none(), || stuck.unwrap_or_default())
        .also(rounds > 0, || "the hot key did not come to its limit".to_owned())
        .also(is_said, || "nobody says that a key is too hot".to_owned())
        .also(hot <= most, || format!("the hot key used {hot} units in {per:?}")))
}

pub(super) async fn black_hole(settings: Settings) -> Result<Finding, Failure> {
    let mut trial = Trial::new(&settings, "f15", Load { events: 8_000, rate: 600, ..Load::default() }).await?;
    let proxy = Tcp::start(&trial.dynamo.address.to_string(), trial.rng.u64(..)).await?;
    trial.endpoint = format!("http://{}", proxy.address);
    trial.feed()?;
    let worker = trial.spawn(Worker::named())?;
    trial.until(PATIENCE, |trial| trial.worker(worker).figure("flushes") > 2).await?;
    let holes = [
        Toxics { hold_requests: true, hold_replies: true, ..Toxics::default() },
        Toxics { hold_replies: true, ..Toxics::default() },
        Toxics { latency: Duration::from_millis(80), ..Toxics::default() },
        Toxics { down: true, ..Toxics::default() },
    ];
    loop {
        for toxics in holes {
            proxy.set(toxics);
            trial.pass(settings.length.map_or(Duration::from_millis(2_500), |length| length / 8)).await?;
            proxy.set(Toxics::default());
            trial.pass(Duration::from_millis(300)).await?;
            proxy.cut(Cut::HalfOpen);
            trial.pass(Duration::from_millis(200)).await?;
            proxy.cut(Cut::Reset);
        }
        if trial.is_fed() {
            break;
        }
    }
    let healed = Instant::now();
    let sent = trial.oracle.sent();
    let recovered = trial.until(PATIENCE, |trial| trial.committed() >= sent).await?;
    trial.figures.push(("recovery_ms", healed.elapsed().as_millis() as u64));
    Ok(trial.finish().await?.also(recovered, || "it did not recover within a minute".to_owned()))
}

pub(super) async fn one_way_to_the_broker(settings: Settings) -> Result<Finding, Failure> {
    let load = Load { events: 9_000, rate: 600, ..Load::default() };
    let mut trial = Trial::new(&settings, "f16", load).await?;
    let proxy = Tcp::kafka(&trial.brokers, trial.rng.u64(..)).await?;
    let direct = std::mem::replace(&mut trial.brokers, proxy.address.to_string());
    trial.feed()?;
    let cut_off = trial.spawn(Worker::default())?;
    trial.until(PATIENCE, |trial| trial.worker(cut_off).figure("flushes") > 2).await?;
    // Its sibling goes around the proxy, and gets its partitions when the session has run out.
    trial.brokers = direct;
    let sibling = trial.spawn(Worker::default())?;
    let partitions = u64::from(trial.load.partitions.cast_unsigned());
    let mut takeovers = 0;
    let ways =
        [Toxics { hold_requests: true, ..Toxics::default() }, Toxics { hold_replies: true, ..Toxics::default() }];
    for toxics in ways {
        trial.until(PATIENCE, |trial| trial.worker(cut_off).figure("partitions") > 0).await?;
        proxy.set(toxics);
        let all = |trial: &mut Trial| trial.worker(sibling).figure("partitions") == partitions;
        takeovers += u64::from(trial.until(PATIENCE, all).await?);
        trial.pass(Duration::from_millis(500)).await?;
        proxy.set(Toxics::default());
        trial.pass(Duration::from_millis(1_500)).await?;
    }
    trial.figures.push(("takeovers", takeovers));
    Ok(trial.finish().await?.also(takeovers > 0, || "the sibling never had all partitions".to_owned()))
}
