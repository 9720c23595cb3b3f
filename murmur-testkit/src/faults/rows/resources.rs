//! What a worker needs of its machine.

use std::time::Instant;

use crate::faults::feed::Load;
use crate::faults::proxy::tcp::{Cut, Tcp};
use crate::faults::trial::{PATIENCE, RECOVERS, Trial, Worker};
use crate::faults::{Failure, Finding, Settings};

pub(super) async fn no_descriptors(settings: Settings) -> Result<Finding, Failure> {
    let mut trial = Trial::new(&settings, "f39", Load { events: 7_000, rate: 700, ..Load::default() }).await?;
    let tables = Tcp::start(&trial.dynamo.address.to_string(), trial.rng.u64(..)).await?;
    let broker = Tcp::kafka(&trial.brokers, trial.rng.u64(..)).await?;
    trial.endpoint = format!("http://{}", tables.address);
    trial.brokers = broker.address.to_string();
    trial.feed()?;
    let worker = trial.spawn(Worker::named())?;
    trial.until(PATIENCE, |trial| trial.worker(worker).figure("flushes") > 2).await?;
    let (mut times, mut felt) = (0, false);
    while trial.goes_on(times >= 2) {
        // Nothing above the three that every process has, so that nothing that is cut off can be opened again.
        trial.worker(worker).limit_descriptors(Some(3))?;
        tables.cut(Cut::Reset);
        if times % 2 == 1 {
            broker.cut(Cut::Reset);
        }
        trial.pass_between(1_500, 3_000).await?;
        // librdkafka says so; the store asks again without a word for some seconds.
        felt |= trial.worker(worker).errors().contains("Too many open files");
        trial.worker(worker).limit_descriptors(None)?;
        times += 1;
        trial.pass_between(500, 1_500).await?;
    }
    let lifted = Instant::now();
    let sent = trial.oracle.sent();
    let recovered = trial.until(RECOVERS, |trial| trial.committed() >= sent).await?;
    trial.figures.push(("times_without", times));
    trial.figures.push(("recovery_ms", lifted.elapsed().as_millis() as u64));
    Ok(trial
        .finish()
        .await?
        .also(recovered, || format!("it did not recover within {RECOVERS:?}"))
        .also(felt, || "it did not miss any".to_owned()))
}
