//! Everything together.

use std::time::{Duration, Instant};

use crate::faults::feed::Load;
use crate::faults::proxy::dynamodb::Troubles;
use crate::faults::proxy::tcp::{Cut, Tcp, Toxics};
use crate::faults::trial::{Trial, Worker};
use crate::faults::{Failure, Finding, Settings};

/// After the faults have ended, everything is counted within this time.
const LIVENESS: Duration = Duration::from_secs(60);

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
    let broker = Tcp::kafka(&trial.brokers, trial.rng.u64(..)).await?;
    let tables = Tcp::start(&trial.dynamo.address.to_string(), trial.rng.u64(..)).await?;
    trial.brokers = broker.address.to_string();
    trial.endpoint = format!("http://{}", tables.address);
    trial.feed()?;
    for at in 0..3 {
        trial.spawn(Worker { named: at == 0, ..Worker::default() })?;
    }
    let mut acts = 0;
    while !trial.is_fed() {
        trial.pass_between(200, 1_500).await?;
        act(&mut trial, &broker, &tables).await?;
        acts += 1;
    }
    // Everything heals.
    broker.set(Toxics::default());
    tables.set(Toxics::default());
    trial.dynamo.set(Troubles::default());
    trial.fail_points.clear();
    let healed = Instant::now();
    let sent = trial.oracle.sent();
    let alive = trial.until(LIVENESS, |trial| trial.committed() >= sent).await?;
    trial.figures.push(("acts", acts));
    trial.figures.push(("recovery_ms", healed.elapsed().as_millis() as u64));
    Ok(trial.finish().await?.also(alive, || format!("not everything was counted {LIVENESS:?} after the faults ended")))
}

/// One fault, or the end of one.
async fn act(trial: &mut Trial, broker: &Tcp, tables: &Tcp) -> Result<(), Failure> {
    let at = trial.rng.usize(..trial.workers());
    let short = Duration::from_millis(trial.rng.u64(100..2_500));
    match trial.rng.u32(..100) {
        0..18 => trial.kill(at)?,
        18..28 => {
            let points = ["before_store_write", "mid_flush", "after_store_write", "before_commit", "in_revoke"];
            let point = points[trial.rng.usize(..points.len())];
            let times = trial.rng.u32(1..6);
            trial.fail_points.push_back(format!("{point}:{times}"));
            trial.kill(at)?;
        }
        28..38 => {
            trial.stop(at);
            trial.restart(at)?;
        }
        38..50 => {
            trial.worker(at).pause();
            // Now and then for longer than its session lasts.
            let pause = if trial.rng.u8(..4) == 0 { Duration::from_secs(8) } else { short };
            trial.pass(pause).await?;
            trial.worker(at).go_on();
        }
        50..62 => {
            let toxics = match trial.rng.u8(..4) {
                0 => Toxics { hold_requests: true, ..Toxics::default() },
                1 => Toxics { hold_replies: true, ..Toxics::default() },
                2 => Toxics { down: true, ..Toxics::default() },
                _ => Toxics { latency: Duration::from_millis(100), ..Toxics::default() },
            };
            let proxy = if trial.rng.bool() { broker } else { tables };
            proxy.set(toxics);
            trial.pass(short).await?;
            proxy.set(Toxics::default());
        }
        62..70 => {
            let how = if trial.rng.bool() { Cut::Reset } else { Cut::HalfOpen };
            let proxy = if trial.rng.bool() { broker } else { tables };
            proxy.cut(how);
        }
        70..92 => {
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
        _ => trial.dynamo.set(Troubles::default()),
    }
    Ok(())
}
