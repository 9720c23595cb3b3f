//! Tables that do not take everything at once.

use std::sync::Arc;
use std::time::{Duration, Instant};

use murmur::query::Reader;
use murmur::store::{Consistency, DynamoConfig, DynamoStore};

use crate::faults::arrivals::{Arrival, Arrivals};
use crate::faults::feed::Load;
use crate::faults::proxy::dynamodb::{Tally, Troubles};
use crate::faults::trial::{PATIENCE, RECOVERS, Trial, Worker};
use crate::faults::{Failure, Finding, Settings};
use crate::pipelines::{Tallies, TickKey};

/// So many requests each share must have met.
const FELT: u64 = 3;
/// A write may be sent so often within the first second or so, its pauses doubling from ten milliseconds to two seconds, each
/// shorter by up to its half; later on, once a second. Whoever does not pause sends it as often as the tables answer.
const TRIES: u64 = 10;
/// Tiles with something to write that a worker may hold beside those that are on their way. A worker that can write nothing
/// has as many of each before long, and reads no further.
const TILES: usize = 40;
/// Events with keys of their own: more tiles than these.
const SINGLE_KEYS: usize = 180;
/// So many events come with each share at most, sixty at a time, and so many are kept back for what comes after all of them.
const PER_SHARE: usize = 1_200;
const FOR_THE_REST: usize = 3_000;
/// How much more memory a worker may need when it is throttled. Its tiles are small; what grew with what waits, or with each
/// try, would soon be more.
const MEMORY: u64 = 32 << 20;

pub(super) async fn throttled(settings: Settings) -> Result<Finding, Failure> {
    const FIRST: usize = 600;
    let load = Load { events: 8_000, single_keys: FIRST..FIRST + SINGLE_KEYS, ..Load::default() };
    let mut trial = Trial::new(&settings, "f12", load).await?;
    trial.hold_feed(FIRST);
    trial.feed()?;
    let worker = trial.spawn(Worker::named().with(&[&format!("--flush-tiles={TILES}")]))?;
    trial.until(PATIENCE, |trial| trial.committed() >= FIRST as u64).await?;
    let memory = trial.worker(worker).most_memory()?;
    let waits = stops_reading(&mut trial, worker).await?;
    let (mut storm, mut passes) = (Duration::ZERO, 0);
    // By all of it longest, so that one and the same write is tried for a while.
    let mut shares =
        [("throttled_at_30", 0.3, 1_200, 0), ("throttled_at_100", 1.0, 3_000, 0), ("throttled_at_60", 0.6, 1_200, 0)];
    let is_long = settings.length.is_some();
    let of_a_pass = (shares.len() * PER_SHARE + FOR_THE_REST) as u64;
    while passes == 0 || is_long && trial.let_so_far() + of_a_pass < trial.oracle.sent() {
        for (_, share, millis, felt) in &mut shares {
            // Where everything is throttled it may be a record that the worker cannot get past.
            let count = |tally: &Tally| if *share < 1.0 { tally.throttled_tiles } else { tally.throttled };
            let (began, before) = (Instant::now(), count(&trial.dynamo.tally()));
            trial.dynamo.set(Troubles { throttled: *share, ..Troubles::default() });
            let met = |trial: &Trial| count(&trial.dynamo.tally()) - before;
            // There is something to write as long as it lasts.
            let mut left = PER_SHARE / 60;
            while began.elapsed() < Duration::from_millis(*millis) || met(&trial) < FELT && began.elapsed() < PATIENCE {
                trial.let_feed(if left > 0 { 60 } else { 0 });
                left = left.saturating_sub(1);
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
    let went_on = trial.until(RECOVERS, |trial| trial.committed() >= sent).await?;
    let caught_up = healed.elapsed();
    let (resent, ambiguous) = (trial.worker(worker).figure("resent"), trial.worker(worker).figure("ambiguous"));
    let tally = trial.dynamo.tally();
    let narrow = narrow(&mut trial).await?;
    let more_memory = trial.worker(worker).most_memory()?.saturating_sub(memory);
    let reads = throttled_reads(&mut trial, worker).await?;
    trial.figures.extend(shares.map(|(name, .., felt)| (name, felt)));
    // What was carried out, and is sent again all the same, is refused.
    trial.figures.push(("carried_out_twice", tally.refused));
    trial.figures.push(("storm_ms", storm.as_millis() as u64));
    trial.figures.push(("catch_up_ms", caught_up.as_millis() as u64));
    trial.figures.push(("one_write_throttled", tally.most_of_one));
    trial.figures.push(("waiting_unread", waits.unwrap_or(0)));
    trial.figures.push(("memory_mib", memory >> 20));
    trial.figures.push(("more_memory_mib", more_memory >> 20));
    trial.figures.push(("requests_for_100_writes", narrow.map_or(0, Narrow::requests_for_100_writes)));
    trial.figures.push(("writes_where_narrow", narrow.map_or(0, |narrow| narrow.writes)));
    trial.figures.push(("keys_left_out", trial.dynamo.tally().left_out));
    let most = TRIES + storm.as_secs();
    Ok(trial
        .finish()
        .await?
        .also(waits.is_some(), || "it read on though nothing could be written".to_owned())
        .also(went_on, || format!("it did not catch up within {RECOVERS:?} when the throttling had ended"))
        .also(shares.iter().all(|(.., felt)| *felt >= FELT), || format!("too few requests were throttled: {shares:?}"))
        .also(resent > 0, || "nothing was sent again".to_owned())
        .also(tally.refused <= ambiguous, || {
            format!("{} writes were sent again that had been answered, or nobody knows why", tally.refused)
        })
        .also(tally.most_of_one <= most, || {
            format!("a write was throttled {} times within {storm:?}: it did not back off", tally.most_of_one)
        })
        .also(more_memory <= MEMORY, || format!("it needed {} MiB more when it was throttled", more_memory >> 20))
        .also(narrow.is_some_and(|narrow| narrow.requests_for_100_writes() <= REQUESTS), || match narrow {
            Some(Narrow { writes, refused }) => {
                format!("{refused} requests were refused beside {writes} where tables take less than is to be written")
            }
            None => "nothing was refused where tables take less than is to be written".to_owned(),
        })
        .also(reads.is_none(), || reads.unwrap_or_default()))
}

/// Let the worker have new keys while nothing can be written, until it reads no further; how many events it leaves where
/// they are, `None` when it reads all of them.
async fn stops_reading(trial: &mut Trial, worker: usize) -> Result<Option<u64>, Failure> {
    const STEP: usize = 30;
    const STILL: Duration = Duration::from_secs(2);
    // Reads are not throttled: it is not for want of them that it stops.
    trial.dynamo.set(Troubles { capacity: Some(0.0), ..Troubles::default() });
    let mut waits = None;
    for _ in 0..SINGLE_KEYS / STEP {
        trial.let_feed(STEP);
        let sent = trial.let_so_far();
        if !trial.until(STILL, |trial| trial.worker(worker).figure("read") >= sent).await? {
            waits = Some(sent.saturating_sub(trial.worker(worker).figure("read")));
            break;
        }
    }
    trial.dynamo.set(Troubles::default());
    let sent = trial.let_so_far();
    trial.until(RECOVERS, |trial| trial.committed() >= sent).await?;
    Ok(waits)
}

/// Write units a second of [`narrow`], fewer than a flush wants; with an aggregate of each kind, whose values are large.
const CAPACITY: f64 = 50.0;
const CAPACITY_OF_KINDS: f64 = 300.0;
/// Most requests for a hundred writes there: some are refused until it is known what the tables take. Without a rate it is
/// five and more for each.
const REQUESTS: u64 = 500;

/// What tables that take so much in a second did with requests.
#[derive(Clone, Copy)]
struct Narrow {
    writes: u64,
    refused: u64,
}

impl Narrow {
    fn requests_for_100_writes(self) -> u64 {
        (self.writes + self.refused) * 100 / self.writes.max(1)
    }
}

/// Tables that take so much in a second and no more, as those of DynamoDB do; `None` when nothing was too much.
async fn narrow(trial: &mut Trial) -> Result<Option<Narrow>, Failure> {
    let units = if trial.settings.kinds { CAPACITY_OF_KINDS } else { CAPACITY };
    let (began, before) = (Instant::now(), trial.dynamo.tally());
    trial.dynamo.set(Troubles { capacity: Some(units), ..Troubles::default() });
    let met = |trial: &Trial| trial.dynamo.tally().throttled > before.throttled;
    while began.elapsed() < Duration::from_secs(1) || !met(trial) && began.elapsed() < PATIENCE {
        trial.let_feed(60);
        trial.pass(Duration::from_millis(100)).await?;
    }
    let sent = trial.let_so_far();
    trial.until(PATIENCE, |trial| trial.committed() >= sent).await?;
    trial.dynamo.set(Troubles::default());
    let after = trial.dynamo.tally();
    // Records are not limited, and do not count: each takes a unit.
    let records = |tally: &Tally| tally.units_by_key.get("#record").copied().unwrap_or(0.0) as u64;
    let writes = after.writes - before.writes - (records(&after) - records(&before));
    let refused = after.throttled - before.throttled;
    Ok((refused > 0).then_some(Narrow { writes, refused }))
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

/// By how many flush intervals events of other keys may be later, of a hundred all but one, while the hot key waits. A flush
/// that leaves it behind has tried it for a tenth of a second before, and a busy machine needs some time too.
const INTERVALS: u32 = 3;
const INTERVAL: Duration = Duration::from_millis(500);

pub(super) async fn hot_key(settings: Settings) -> Result<Finding, Failure> {
    let (units, of_one) = if settings.kinds { (UNITS_OF_KINDS, OF_ONE_OF_KINDS) } else { (UNITS, OF_ONE) };
    let load = Load { hot: 0.9, ..Load::default() };
    let mut trial = Trial::new(&settings, "f13", load).await?;
    trial.hold_feed(0);
    trial.feed()?;
    let worker = trial.spawn(Worker::named().with(&[&format!("--flush-interval={}ms", INTERVAL.as_millis())]))?;
    let mut arrivals = trial.oracle.arrivals();
    // Once without any limit, to compare with.
    trial.let_feed(1_000);
    let (began_well, mut calm) = all_arrive(&mut trial, &mut arrivals).await?;
    trial.dynamo.set(Troubles { units: Some(("hot".to_owned(), units)), ..Troubles::default() });
    let (began, used) = (Instant::now(), units_of_hot(&trial));
    let (mut rounds, mut alone, mut stuck, mut longest, mut waited) = (0, 0, None, Duration::ZERO, Vec::new());
    while stuck.is_none() && trial.let_so_far() < trial.oracle.sent() {
        let before = trial.dynamo.tally();
        trial.let_feed(1_000);
        let released = Instant::now();
        // The key is at its limit, others are written while it waits, and all of it is committed.
        let limited = |trial: &Trial| trial.dynamo.tally().throttled > before.throttled;
        let beside = |trial: &Trial| trial.dynamo.tally().beside > before.beside;
        let (went_on, mut ages) = all_arrive(&mut trial, &mut arrivals).await?;
        if !went_on {
            stuck = Some("the commits did not go on".to_owned());
        }
        alone += u64::from(limited(&trial) && !beside(&trial));
        waited.append(&mut ages);
        longest = longest.max(released.elapsed());
        rounds += u64::from(limited(&trial));
    }
    let per = began.elapsed();
    let is_said = trial.worker(worker).errors().contains("a key is written more often");
    let (tally, hot) = (trial.dynamo.tally(), units_of_hot(&trial) - used);
    let most = units * (per.as_secs_f64() + 1.0) + DEBT * of_one;
    let (calm, waited) = (all_but_one_percent(&mut calm), all_but_one_percent(&mut waited));
    let allowed = calm + INTERVAL * INTERVALS;
    trial.figures.push(("units_of_the_hot_key", hot as u64));
    trial.figures.push(("seconds", per.as_secs()));
    trial.figures.push(("throttled", tally.throttled));
    trial.figures.push(("written_beside", tally.beside));
    trial.figures.push(("rounds_at_the_limit", rounds));
    trial.figures.push(("longest_round_ms", longest.as_millis() as u64));
    trial.figures.push(("others_p99_ms", waited.as_millis() as u64));
    trial.figures.push(("others_p99_without_limit_ms", calm.as_millis() as u64));
    Ok(trial
        .finish()
        .await?
        .also(began_well, || "nothing was committed while there was no limit".to_owned())
        .also(stuck.is_none(), || stuck.unwrap_or_default())
        .also(rounds > 0, || "the hot key did not come to its limit".to_owned())
        // All others of a round may be written before the hot key is refused.
        .also(alone * 10 <= rounds, || {
            format!("in {alone} of {rounds} rounds the hot key waited, and no other was written meanwhile")
        })
        .also(is_said, || "nobody says that a key is too hot".to_owned())
        .also(hot <= most, || format!("the hot key used {hot} units in {per:?}"))
        .also(waited <= allowed, || {
            format!("events of other keys took {waited:?}, all but one of a hundred, and {allowed:?} are allowed")
        }))
}

/// Wait until all that may be sent is committed: whether it was, and how long events of other keys than the hot one took from
/// being sent until they were seen in the tables.
async fn all_arrive(trial: &mut Trial, arrivals: &mut Arrivals) -> Result<(bool, Vec<Duration>), Failure> {
    let (sent, began, mut ages) = (trial.let_so_far(), Instant::now(), Vec::new());
    loop {
        let is_over = trial.committed() >= sent;
        for Arrival { partition, offset, .. } in
            arrivals.look().await?.into_iter().filter(|new| !new.key.contains("hot"))
        {
            ages.extend(trial.sent_at(partition, offset).map(|at| at.elapsed()));
        }
        if is_over || began.elapsed() > PATIENCE {
            return Ok((is_over, ages));
        }
        trial.pass(Duration::from_millis(50)).await?;
    }
}

fn units_of_hot(trial: &Trial) -> f64 {
    trial.dynamo.tally().units_by_key.get("=hot").copied().unwrap_or(0.0)
}

/// The longest of them without one in a hundred.
fn all_but_one_percent(ages: &mut [Duration]) -> Duration {
    ages.sort_unstable();
    ages.get(ages.len() * 99 / 100).copied().unwrap_or_default()
}
