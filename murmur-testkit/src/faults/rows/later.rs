//! What was true when a worker began, and is not any more: the hour, and the definition.

use std::sync::Arc;

use murmur::engine::{Clock, SystemClock};
use murmur::query::Reader;
use murmur::store::{Consistency, DynamoConfig, DynamoStore, Store};
use murmur::time::{TimeRange, Timestamp};

use crate::faults::feed::Load;
use crate::faults::proxy::dynamodb::Troubles;
use crate::faults::trial::{PATIENCE, Trial, Worker};
use crate::faults::{Failure, Finding, Settings};
use crate::oracle::{read, scan};
use crate::pipelines::{EditionsNext, Tallies, TickKey};

/// The tables of a trial, without what stands between them and its workers.
async fn undisturbed(trial: &Trial) -> Result<Arc<DynamoStore>, Failure> {
    let config = DynamoConfig { prefix: trial.prefix(), endpoint: Some(trial.endpoint.clone()), ..DynamoConfig::new() };
    Ok(Arc::new(DynamoStore::open(&config).await?))
}

/// It is later by so many seconds.
struct Later(i64);

impl Clock for Later {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(SystemClock.now().as_micros() + self.0 * 1_000_000)
    }
}

/// A key that is answered for the hours of which everything has expired; none, as it should be.
async fn answered(trial: &Trial, later: i64) -> Result<Option<String>, Failure> {
    let store: Arc<dyn Store> = undisturbed(trial).await?;
    let reader = Reader::<Tallies>::new(store, 1).clock(Arc::new(Later(later)));
    let now = SystemClock.now();
    let ago = |hours: i64| Timestamp::from_micros(now.as_micros() - hours * 3_600_000_000);
    for key in (0..trial.load.keys).map(|key| format!("k{key}")) {
        let range = TimeRange::new(ago(21), ago(19));
        let answer = reader.range(&TickKey { key: key.clone() }, range, Consistency::Strong).await?;
        if answer.is_present() || answer.value != 0 {
            return Ok(Some(format!("`{key}` is answered with {} events that have expired", answer.value)));
        }
    }
    Ok(None)
}

pub(super) async fn expired_on_the_way(settings: Settings) -> Result<Finding, Failure> {
    // The tiles of 20 hours ago expire within five hours, all others in twenty.
    const LATER: i64 = 6 * 3_600;
    let mut trial = Trial::new(&settings, "f24", Load { partitions: 4, late: 0.5, ..Load::default() }).await?;
    let slice = trial.load.events / 4;
    trial.hold_feed(slice);
    trial.feed()?;
    let sleeper = trial.spawn(Worker::default())?;
    let so_far = trial.let_so_far();
    let began = trial.until(PATIENCE, |trial| trial.committed() >= so_far).await?;
    // Much waits when it begins again, so that its first flush has tiles of both kinds.
    trial.stop(sleeper);
    trial.let_feed(slice);
    let so_far = trial.let_so_far();
    trial.until(PATIENCE, |trial| trial.sent_so_far() >= so_far).await?;
    let held = trial.dynamo.hold();
    trial.restart(sleeper)?;
    let many = trial.until(PATIENCE, |_| held.len() >= 16).await?;
    trial.worker(sleeper).pause();
    let on_their_way = held.len();
    trial.dynamo.pass();

    // It is later for the one that goes on, and for the table, which removes what has expired.
    let by = Later(LATER).now();
    trial.oracle = trial.oracle.at(by);
    let heir = trial.spawn(Worker { clock_ahead: LATER, ..Worker::default() })?;
    let taken = trial.until(PATIENCE, |trial| trial.committed() >= so_far).await?;
    trial.dynamo.set(Troubles { removed_by: Some(by.as_micros() / 1_000_000), ..Troubles::default() });
    held.release();
    let landed = trial.until(PATIENCE, |_| held.is_empty()).await?;
    let removed = trial.dynamo.tally().removed;
    trial.dynamo.set(Troubles::default());
    let after = trial.oracle.leftovers().await?;
    trial.turn_clock(sleeper, LATER);
    trial.kill(sleeper)?;
    trial.let_feed(trial.load.events);
    let sent = trial.oracle.sent();
    let went_on = trial.until(trial.load.length() + PATIENCE, |trial| trial.committed() >= sent).await?;
    let expired = trial.worker(heir).figure("expired");
    let untouched = trial.oracle.leftovers().await? == after;
    // Without the cut by the clock there would be something to answer.
    let there_is = answered(&trial, 0).await?.is_some();
    let answered = answered(&trial, LATER).await?;
    trial.figures.push(("expired", expired));
    trial.figures.push(("on_their_way", on_their_way));
    trial.figures.push(("removed", removed));
    Ok(trial
        .finish()
        .await?
        .also(began && taken && went_on, || format!("it does not go on: {began}, {taken}, {went_on}"))
        .also(many && there_is && !after.is_empty(), || {
            format!("too little was there to expire: {many}, {there_is}, {} leftovers", after.len())
        })
        .also(landed && removed > 0, || format!("nothing landed in a tile that had expired ({landed}, {removed})"))
        .also(expired > 0, || "no event is said to have expired".to_owned())
        .also(untouched, || "something was added to a tile that had expired by then".to_owned())
        .also(answered.is_none(), || answered.unwrap_or_default()))
}

/// Events that the next version has counted.
async fn since(store: &DynamoStore) -> Result<u64, Failure> {
    let items = scan::<EditionsNext>(store).await?;
    let kept = read::<EditionsNext>(&items, Clone::clone).map_err(Failure::new)?;
    Ok(kept.values().map(|counted| counted.since()).sum())
}

pub(super) async fn another_definition(settings: Settings) -> Result<Finding, Failure> {
    const OF: &str = "editions";
    let load = Load { events: 6_000, partitions: 4, editions: true, ..Load::default() };
    let mut trial = Trial::new(&settings, "f25", load).await?;
    let (slice, next) = (trial.load.events / 5, trial.with_edition(OF, "editions-next"));
    trial.hold_feed(slice);
    trial.feed()?;
    let workers = [trial.spawn(Worker::default())?, trial.spawn(Worker::default())?];
    let [first, second] = workers;
    let all_committed = |trial: &mut Trial| trial.committed() >= trial.let_so_far();
    let mut goes_on = trial.settle().await?.is_some() && trial.until(PATIENCE, all_committed).await?;

    // The next version comes while there is something to do, and works beside the first.
    trial.let_feed(slice);
    trial.stop(first);
    trial.also_with(first, &[&next]);
    trial.restart(first)?;
    goes_on &= trial.settle().await?.is_some() && trial.until(PATIENCE, all_committed).await?;
    let before = workers.map(|at| trial.worker(at).figure("read"));
    trial.let_feed(slice);
    goes_on &= trial.until(PATIENCE, all_committed).await?;
    let after = workers.map(|at| trial.worker(at).figure("read"));
    let beside = [0, 1].map(|at| after[at].saturating_sub(before[at]));

    // From now on neither the first one may start, nor one that keeps something else in a field.
    let mut wrong = None;
    for (edition, why) in [(OF, "field 3 (`Count`)"), ("editions-other", "field 2 was `Membership<")] {
        let mut stranger = trial.stranger(&Worker::default().with(&[&trial.with_edition(OF, edition)]))?;
        let (ended, errors) = (stranger.wait(PATIENCE), stranger.errors());
        if ended.and_then(|ended| ended.code()) != Some(3) || !errors.contains(why) || !errors.contains("another store")
        {
            wrong = Some(format!("`{edition}` ended with {ended:?}: {errors}"));
        }
    }

    // One of the first version that still runs, and gets tiles of the next, stops rather than to leave the field out.
    trial.stop(first);
    trial.leave(second);
    trial.let_feed(slice);
    let ended = trial.worker(second).wait(PATIENCE);
    let errors = trial.worker(second).errors();
    if ended.and_then(|ended| ended.code()) != Some(1) || !errors.contains("it was written by a later version") {
        wrong = wrong.or(Some(format!("the first version ended with {ended:?}: {errors}")));
    }
    trial.also_with(second, &[&next]);
    for at in workers {
        trial.restart(at)?;
    }
    goes_on &= trial.settle().await?.is_some() && trial.until(PATIENCE, all_committed).await?;
    let store = undisturbed(&trial).await?;
    let (counted, of) = (since(&store).await?, trial.let_so_far());
    trial.let_feed(trial.load.events);
    let longest = trial.load.length() + PATIENCE;
    goes_on &= trial.until(longest, |trial| trial.committed() >= trial.oracle.sent()).await?;
    let (more, sent) = (since(&store).await? - counted, trial.oracle.sent() - of);
    trial.figures.push(("read_by_the_first", beside[1]));
    trial.figures.push(("read_by_the_next", beside[0]));
    trial.figures.push(("of_the_new_field", more));
    Ok(trial
        .finish()
        .await?
        .also(goes_on, || "it does not go on".to_owned())
        .also(beside.iter().all(|read| *read > 0), || format!("they did not work side by side: {beside:?}"))
        .also(wrong.is_none(), || wrong.unwrap_or_default())
        .also(more == sent && sent > 0, || format!("the new field has {more} of {sent} events")))
}
