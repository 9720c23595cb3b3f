//! Everything together.

use std::time::{Duration, Instant};

use crate::faults::feed::Load;
use crate::faults::proxy::dynamodb::Troubles;
use crate::faults::proxy::tcp::{Cut, Tcp, Toxics};
use crate::faults::trial::{RECOVERS, Trial, Worker};
use crate::faults::{Failure, Finding, Settings};

pub(super) async fn random(settings: Settings) -> Result<Finding, Failure> {
    let load = Load {
        events: 12_000,
        rate: 600,
        partitions: 5,
        hot: 0.3,
        malformed: 0.003,
        refused: 0.003,
        panics: 0.002,
        odd_keys: 0.01,
        long_keys: 0.001,
        late: 0.02,
        expired: 0.01,
        future: 0.01,
        repeated: 0.05,
        ..Load::default()
    };
    let mut trial = Trial::new(&settings, "f43", load).await?;
    let ways = Ways {
        broker: Tcp::kafka(&trial.brokers, trial.rng.u64(..)).await?,
        tables: Tcp::start(&trial.dynamo.address.to_string(), trial.rng.u64(..)).await?,
        letters: Tcp::kafka(&trial.letter_brokers, trial.rng.u64(..)).await?,
    };
    trial.brokers = ways.broker.address.to_string();
    trial.endpoint = format!("http://{}", ways.tables.address);
    trial.letter_brokers = ways.letters.address.to_string();
    trial.feed()?;
    for at in 0..3 {
        trial.spawn(Worker { named: at == 0, ..Worker::default() })?;
    }
    let (mut deck, mut acts) = (Vec::new(), 0);
    while !trial.is_fed() {
        trial.pass_between(200, 1_200).await?;
        // Each act comes once before any comes again.
        if deck.is_empty() {
            deck.extend(ACTS);
            trial.rng.shuffle(&mut deck);
        }
        if let Some(next) = deck.pop() {
            act(next, &mut trial, &ways).await?;
            acts += 1;
        }
    }
    // Everything heals.
    for way in [&ways.broker, &ways.tables, &ways.letters] {
        way.set(Toxics::default());
    }
    trial.dynamo.set(Troubles::default());
    trial.fail_points.clear();
    let healed = Instant::now();
    let sent = trial.oracle.sent();
    let alive = trial.until(RECOVERS, |trial| trial.committed() >= sent).await?;
    trial.figures.push(("acts", acts));
    trial.figures.push(("kinds_of_acts", acts.min(ACTS.len() as u64)));
    trial.figures.push(("recovery_ms", healed.elapsed().as_millis() as u64));
    Ok(trial.finish().await?.also(alive, || format!("not everything was counted {RECOVERS:?} after the faults ended")))
}

/// What workers reach through proxies.
struct Ways {
    broker: Tcp,
    tables: Tcp,
    letters: Tcp,
}

/// One fault, or the end of those that last.
#[derive(Clone, Copy)]
enum Act {
    Kill,
    /// At one of the points.
    Die,
    Restart,
    /// For a while there is one worker less.
    StayAway,
    /// From now on there is one more.
    Join,
    Pause,
    /// Now and then for longer than its session lasts.
    PauseLong,
    /// Nothing comes through in one direction.
    OneWay,
    BlackHole,
    Down,
    Delay,
    /// Connections break.
    Cut,
    LettersAway,
    /// Some requests are throttled, fail, lose their answers, or are answered late.
    Troubles,
    Throttle,
    Deny,
    SlowKey,
    Calm,
}

const ACTS: [Act; 18] = [
    Act::Kill,
    Act::Die,
    Act::Restart,
    Act::StayAway,
    Act::Join,
    Act::Pause,
    Act::PauseLong,
    Act::OneWay,
    Act::BlackHole,
    Act::Down,
    Act::Delay,
    Act::Cut,
    Act::LettersAway,
    Act::Troubles,
    Act::Throttle,
    Act::Deny,
    Act::SlowKey,
    Act::Calm,
];
/// More workers than these do not join.
const MOST: usize = 5;

async fn act(act: Act, trial: &mut Trial, ways: &Ways) -> Result<(), Failure> {
    let at = trial.rng.usize(..trial.workers());
    let short = Duration::from_millis(trial.rng.u64(100..2_500));
    let way = if trial.rng.bool() { &ways.broker } else { &ways.tables };
    match act {
        Act::Kill => trial.kill(at)?,
        Act::Die => {
            let points = ["before_store_write", "mid_flush", "after_store_write", "before_commit", "in_revoke"];
            let point = points[trial.rng.usize(..points.len())];
            let times = trial.rng.u32(1..6);
            trial.fail_points.push_back(format!("{point}:{times}"));
            trial.kill(at)?;
        }
        Act::Restart => {
            trial.stop(at);
            trial.restart(at)?;
        }
        Act::StayAway => {
            trial.stop(at);
            trial.pass(short).await?;
            trial.restart(at)?;
        }
        Act::Join => {
            if trial.workers() < MOST {
                trial.spawn(Worker::default())?;
            }
        }
        Act::Pause => pause(trial, at, short).await?,
        Act::PauseLong => {
            let long = if trial.rng.bool() { Duration::from_secs(8) } else { short };
            pause(trial, at, long).await?;
        }
        Act::OneWay => {
            let hold_requests = trial.rng.bool();
            spoil(trial, way, Toxics { hold_requests, hold_replies: !hold_requests, ..Toxics::default() }, short)
                .await?;
        }
        Act::BlackHole => {
            spoil(trial, way, Toxics { hold_requests: true, hold_replies: true, ..Toxics::default() }, short).await?;
        }
        Act::Down => spoil(trial, way, Toxics { down: true, ..Toxics::default() }, short).await?,
        Act::Delay => {
            spoil(trial, way, Toxics { latency: Duration::from_millis(100), ..Toxics::default() }, short).await?;
        }
        Act::Cut => way.cut(if trial.rng.bool() { Cut::Reset } else { Cut::HalfOpen }),
        Act::LettersAway => spoil(trial, &ways.letters, Toxics { down: true, ..Toxics::default() }, short).await?,
        Act::Troubles => {
            let mut share = |most: f32| if trial.rng.bool() { trial.rng.f32() * most } else { 0.0 };
            let troubles = Troubles {
                throttled: share(0.3),
                failed: share(0.1),
                unanswered: share(0.1),
                dropped: share(0.1),
                unprocessed: share(0.5),
                stale: share(0.5),
                ..Troubles::default()
            };
            trial.dynamo.set(troubles);
        }
        Act::Throttle => {
            trial.dynamo.set(Troubles { throttled: 1.0, ..Troubles::default() });
            trial.pass(short).await?;
            trial.dynamo.set(Troubles::default());
        }
        Act::Deny => {
            trial.dynamo.set(Troubles { denied: Some("ExpiredTokenException"), ..Troubles::default() });
            trial.pass(short).await?;
            trial.dynamo.set(Troubles::default());
        }
        Act::SlowKey => {
            let slow = Some(("k3".to_owned(), Duration::from_millis(900)));
            trial.dynamo.set(Troubles { slow, ..Troubles::default() });
        }
        Act::Calm => trial.dynamo.set(Troubles::default()),
    }
    Ok(())
}

async fn pause(trial: &mut Trial, at: usize, time: Duration) -> Result<(), Failure> {
    trial.worker(at).pause();
    trial.pass(time).await?;
    trial.worker(at).go_on();
    Ok(())
}

async fn spoil(trial: &mut Trial, way: &Tcp, toxics: Toxics, time: Duration) -> Result<(), Failure> {
    way.set(toxics);
    trial.pass(time).await?;
    way.set(Toxics::default());
    Ok(())
}
