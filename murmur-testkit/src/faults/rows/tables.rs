//! What tables can answer that is not as it was written.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use murmur::aggregate::Number;
use murmur::engine::{Clock, SystemClock};
use murmur::key::Mark;
use murmur::pipeline::{Emissions, Pipeline};
use murmur::query::Reader;
use murmur::source::{Offset, PartitionId};
use murmur::store::{Applied, Consistency, DynamoConfig, DynamoStore, Outcome, Store, Table, TileId, Write};
use murmur::{Error, ErrorKind};

use crate::faults::feed::Load;
use crate::faults::proxy::dynamodb::Troubles;
use crate::faults::trial::{PATIENCE, Trial, Worker};
use crate::faults::{Failure, Finding, Settings};
use crate::oracle::Verdict;
use crate::pipelines::{Tallies, Tally, Tick, TickKey, Trails};

pub(super) async fn denied(settings: Settings) -> Result<Finding, Failure> {
    let mut trial = Trial::new(&settings, "f38", Load::default()).await?;
    trial.hold_feed(600);
    trial.feed()?;
    let worker = trial.spawn(Worker::named())?;
    trial.until(PATIENCE, |trial| trial.worker(worker).figure("flushes") > 0).await?;
    // There is something to write each time, however long it took to come here.
    let slice = settings.length.map_or(600, |_| 2_000);
    let (mut silent, mut rounds) = (None, 0);
    while silent.is_none() && trial.goes_on(rounds >= 2) {
        let name = ["ExpiredTokenException", "AccessDeniedException"][rounds % 2];
        trial.dynamo.set(Troubles { denied: Some(name), ..Troubles::default() });
        trial.let_feed(slice);
        let says = |trial: &mut Trial| trial.worker(worker).errors().contains(name);
        let said = trial.until(PATIENCE, says).await?;
        // One that is started meanwhile waits too.
        trial.kill(worker)?;
        if !said || !trial.until(PATIENCE, says).await? {
            silent = Some(name);
        }
        trial.pass(Duration::from_secs(1)).await?;
        trial.dynamo.set(Troubles::default());
        let sent = trial.let_so_far();
        trial.until(PATIENCE, |trial| trial.committed() >= sent).await?;
        rounds += 1;
    }
    let (refused, restarts, rounds) = (trial.dynamo.tally().denied, trial.restarts(), rounds as u64);
    trial.figures.push(("denied", refused));
    trial.figures.push(("killed", rounds));
    Ok(trial
        .finish()
        .await?
        .also(silent.is_none(), || format!("the worker did not say `{}`", silent.unwrap_or_default()))
        .also(restarts == rounds, || format!("{restarts} starts after {rounds} kills: it does not wait"))
        .also(refused < 250 * rounds, || format!("{refused} requests were sent while none was let in")))
}

/// A store through the proxy of a trial, on tables of its own.
async fn own_store(trial: &Trial) -> Result<Arc<DynamoStore>, Failure> {
    let prefix = format!("{}-own-", trial.topic);
    let config = DynamoConfig { prefix, endpoint: Some(trial.endpoint.clone()), ..DynamoConfig::new() };
    let store = Arc::new(DynamoStore::open(&config).await?);
    store.ensure(&Table::new(Tallies::SPEC.name, 1).shelf(), &[]).await?;
    Ok(store)
}

/// What a writer of a key finds that reads it after each of these of its writes: answers that were behind by the default
/// way of reading; the error says what was wrong.
async fn read_own_writes(store: &Arc<DynamoStore>, rounds: Range<u64>) -> murmur::Result<Result<u64, String>> {
    let now = SystemClock.now();
    let tick = Tick { key: "own".to_owned(), at: now, amount: 1 };
    let mut emissions = Emissions::<Tally>::default();
    Tallies::apply(&tick, &mut emissions);
    let (tile, slot) = Tallies::tiling().locate(now);
    let id = TileId { key: emissions.key(0).into(), tile, part: None };
    let (key, table) = (TickKey { key: tick.key }, Table::new(Tallies::SPEC.name, 1));
    let column = |part| murmur::store::Column { field: 0, part };
    let mut behind = 0;
    for round in rounds {
        let offset = Offset::from_u64(round);
        let write = Write::Add {
            id: id.clone(),
            numbers: vec![((slot, column(0)), Number::Int(1)), ((slot, column(1)), Number::Int(1))],
            applied: vec![Applied { partition: PartitionId::new("own"), first: offset, last: offset }],
            expires: None,
        };
        if store.write(&table, [write].into()).await.remove(0)? != Outcome::Applied {
            return Ok(Err(format!("write {round} was refused")));
        }
        let count = async |consistency| {
            // Another one each time: readers share what is under way.
            let reader = Reader::<Tallies>::new(store.clone(), 1);
            Ok::<u64, Error>(reader.get(&key, consistency).await?.value)
        };
        let strong = count(Consistency::Strong).await?;
        if strong != round {
            return Ok(Err(format!("a strong read saw {strong} of {round} writes")));
        }
        let eventual = count(Consistency::Eventual).await?;
        if eventual > round {
            return Ok(Err(format!("a read saw {eventual} of {round} writes")));
        }
        behind += u64::from(eventual < round);
    }
    Ok(Ok(behind))
}

/// Writes of [`stale`] before each kill, with a read after each of them.
const WRITES: u64 = 20;

pub(super) async fn stale(settings: Settings) -> Result<Finding, Failure> {
    let mut trial = Trial::new(&settings, "f21", Load { events: 3_000, ..Load::default() }).await?;
    trial.dynamo.set(Troubles { stale: 0.9, ..Troubles::default() });
    trial.feed()?;
    let worker = trial.spawn(Worker::named())?;
    let store = own_store(&trial).await?;
    let (mut rounds, mut behind, mut wrong) = (0, 0, None);
    while wrong.is_none() && trial.goes_on(rounds >= 2) {
        let from = rounds * WRITES + 1;
        match read_own_writes(&store, from..from + WRITES).await? {
            Ok(of_round) => behind += of_round,
            Err(what) => wrong = Some(what),
        }
        // What an earlier process has written is compared with what is read.
        trial.pass_between(400, 900).await?;
        trial.kill(worker)?;
        rounds += 1;
    }
    trial.figures.push(("own_writes", rounds * WRITES));
    trial.figures.push(("default_reads_behind", behind));
    trial.figures.push(("killed", rounds));
    Ok(trial
        .finish()
        .await?
        .also(wrong.is_none(), || wrong.unwrap_or_default())
        .also(behind > 0, || "no read was stale".to_owned()))
}

pub(super) async fn damaged(settings: Settings) -> Result<Finding, Failure> {
    let mut trial = Trial::new(&settings, "f42", Load::default()).await?;
    trial.feed()?;
    let worker = trial.spawn(Worker::named())?;
    trial.until(PATIENCE, |trial| trial.committed() > 1_000).await?;
    trial.dynamo.set(Troubles { damaged: Some("k5".to_owned()), ..Troubles::default() });
    trial.kill(worker)?;
    trial.leave(worker);
    let ended = trial.worker(worker).wait(PATIENCE);
    let errors = trial.worker(worker).errors();
    // Trails has some events under a second key, and either of the two may be read first.
    let marks = ["=k5", "=k5+"].map(|key| Mark::of(key).to_string());
    let is_named = |said: &str| marks.iter().any(|mark| said.contains(mark)) && !said.contains("k5");
    let named = is_named(&errors) && errors.contains("checksum");
    let refused = ended.is_some_and(|ended| ended.code() == Some(1)) && named;
    let config = DynamoConfig { prefix: trial.prefix(), endpoint: Some(trial.endpoint.clone()), ..DynamoConfig::new() };
    let reader = Reader::<Trails>::new(Arc::new(DynamoStore::open(&config).await?), 1);
    let answer = reader.get(&TickKey { key: "k5".to_owned() }, Consistency::Strong).await;
    let is_told =
        answer.as_ref().is_err_and(|error| error.kind() == ErrorKind::Corrupt && is_named(&error.to_string()));
    let damaged = trial.dynamo.tally().damaged;
    // As it was: nothing was put in the place of what could not be read.
    trial.dynamo.set(Troubles::default());
    trial.restart(worker)?;
    trial.figures.push(("damaged_values", damaged));
    let mut finding = trial.finish().await?;
    if finding.verdict == Verdict::Exact {
        finding.verdict =
            if refused { Verdict::Refused } else { Verdict::Broken(format!("it ended with {ended:?}: {errors}")) };
    }
    Ok(finding
        .also(is_told, || format!("a query was answered with {:?}", answer.map(|answer| answer.value)))
        .also(damaged > 0, || "nothing was damaged".to_owned()))
}
