//! What a process shows of itself.

use std::sync::OnceLock;
use std::time::Duration;

use super::App;
use crate::metrics::{Prometheus, describe};
use crate::{ErrorKind, Result};

/// The recorder of this process, for as many verbs as it carries out; `None` when the program has one of its own.
static METRICS: OnceLock<Option<Prometheus>> = OnceLock::new();

/// Between two times that the recorder is tidied.
const TIDY: Duration = Duration::from_secs(5);

/// Begin to measure. Comes before workers and servers are made.
pub(super) fn start(app: &App) -> Result<()> {
    if METRICS.get().is_none() {
        #[cfg(feature = "otlp")]
        let page = super::otlp::install(app.name);
        #[cfg(not(feature = "otlp"))]
        let page = Prometheus::install();
        let installed = match page {
            Ok(page) => Some(page),
            Err(error) if error.kind() == ErrorKind::Conflict => None,
            Err(error) => return Err(error),
        };
        // Verbs run one after the other, so nobody was faster.
        let _ = METRICS.set(installed);
        describe(app.name);
    }
    if let Some(page) = page() {
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(TIDY).await;
                page.tidy();
            }
        });
    }
    Ok(())
}

/// The page of metrics, if this process has one.
pub(super) fn page() -> Option<&'static Prometheus> {
    METRICS.get().and_then(Option::as_ref)
}
