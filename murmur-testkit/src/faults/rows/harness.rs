//! Whether the harness would see it: tables that do wrong.

use std::time::Duration;

use crate::faults::feed::Load;
use crate::faults::proxy::dynamodb::Troubles;
use crate::faults::trial::{Trial, Worker};
use crate::faults::{Failure, Finding, Settings};

async fn on_bad_tables(settings: Settings, hint: &str, troubles: Troubles) -> Result<Finding, Failure> {
    let mut trial = Trial::new(&settings, hint, Load { events: 2_000, ..Load::default() }).await?;
    trial.dynamo.set(troubles);
    trial.feed()?;
    trial.spawn(Worker::named())?;
    trial.pass(Duration::from_secs(1)).await?;
    trial.finish().await
}

pub(super) async fn loss(settings: Settings) -> Result<Finding, Failure> {
    on_bad_tables(settings, "h01", Troubles { pretended: 0.3, ..Troubles::default() }).await
}

pub(super) async fn doubling(settings: Settings) -> Result<Finding, Failure> {
    on_bad_tables(settings, "h02", Troubles { doubled: 0.3, ..Troubles::default() }).await
}
