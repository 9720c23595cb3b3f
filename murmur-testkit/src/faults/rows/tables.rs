//! What tables can answer that is not as it was written.

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
use crate::faults::{Failure, Finding, Settings, Verdict};
use crate::pipelines::{Tallies, Tally, Tick, TickKey, Trails};

pub(super) async fn denied(settings: Settings) -> Result<Finding, Failure> {
    let mut trial = Trial::new(&settings, "f38", Load::default()).await?;
    trial.hold_feed(600);
    trial.feed()?;
    let worker = trial.spawn(Worker::named())?;
    trial.until(PATIENCE, |trial| trial.worker(worker).figure("flushes") > 0).await?;
    let mut silent = None;
    for name in ["ExpiredTokenException", "AccessDeniedException"] {
        trial.dynamo.set(Troubles { denied: Some(name), ..Troubles::default() });
        // There is something to write, however long it took to come here.
        trial.let_feed(600);
        let says = |trial: &mut Trial| trial.worker(worker).errors().contains(name);
        if !trial.until(PATIENCE, says).await? {
            silent = Some(name);
        }
        // One that is started meanwhile waits too.
        trial.kill(worker)?;
        trial.until(PATIENCE, says).await?;
        trial.pass(settings.length.map_or(Duration::from_secs(1), |length| length / 8)).await?;
        trial.dynamo.set(Troubles::default());
        let sent = trial.let_so_far();
        trial.until(PATIENCE, |trial| trial.committed() >= sent).await?;
    }
    let (refused, restarts) = (trial.dynamo.tally().denied, trial.restarts());
    trial.figures.push(("denied", refused));
    Ok(trial
        .finish()
        .await?
        .also(silent.is_none(), || format!("the worker did not say `{}`", silent.unwrap_or_default()))
        .also(restarts == 2, || format!("{restarts} starts after 2 kills: it does not wait"))
        .also(refused < 500, || format!("{refused} requests were sent while none was let in")))
}

/// A store through the proxy of a trial, on tables of its own.
async fn own_store(trial: &Trial) -> Result<Arc<DynamoStore>, Failure> {
    let prefix = format!("{}-own-", trial.topic);
    let config = DynamoConfig { prefix, endpoint: Some(trial.endpoint.clone()), ..DynamoConfig::new() };
    let store = Arc::new(DynamoStore::open(&config).await?);
    store.ensure(&Table::new(Tallies::SPEC.name, 1).shelf(), &[]).await?;
    Ok(store)
}

/// What a writer of a key finds that reads it after each of its writes: answers that were behind by the default way of
/// reading; the error says what was wrong.
async fn read_own_writes(store: Arc<DynamoStore>, rounds: u64) -> murmur::Result<Result<u64, String>> {
    let now = SystemClock.now();
    let tick = Tick { key: "own".to_owned(), at: now, amount: 1 };
    let mut emissions = Emissions::<Tally>::default();
    Tallies::apply(&tick, &mut emissions);
    let (tile, slot) = Tallies::tiling().locate(now);
    let id = TileId { key: emissions.key(0).into(), tile, part: None };
    let (key, table) = (TickKey { key: tick.key }, Table::new(Tallies::SPEC.name, 1));
    let column = |part| murmur::store::Column { field: 0, part };
    let mut behind = 0;
    for round in 1..=rounds {
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

pub(super) async fn stale(settings: Settings) -> Result<Finding, Failure> {
    let mut trial = Trial::new(&settings, "f21", Load { events: 3_000, ..Load::default() }).await?;
    trial.dynamo.set(Troubles { stale: 0.9, ..Troubles::default() });
    trial.feed()?;
    let worker = trial.spawn(Worker::named())?;
    let store = own_store(&trial).await?;
    let own = read_own_writes(store, 40).await?;
    // What an earlier process has written is compared with what is read.
    for _ in 0..2 {
        trial.pass_between(400, 900).await?;
        trial.kill(worker)?;
    }
    let behind = own.as_ref().copied().unwrap_or(0);
    trial.figures.push(("default_reads_behind", behind));
    Ok(trial
        .finish()
        .await?
        .also(own.is_ok(), || own.err().unwrap_or_default())
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
    let mark = Mark::of("=k5").to_string();
    let is_named = |said: &str| said.contains(&mark) && !said.contains("k5");
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
