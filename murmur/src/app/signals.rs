//! SIGTERM and Ctrl-C ask for an orderly end. A second one does not wait for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::Result;

/// The request to stop.
#[derive(Debug, Clone)]
pub(super) struct Stop {
    asked: watch::Receiver<bool>,
    interrupted: Arc<AtomicBool>,
}

impl Stop {
    /// Listen for signals from now on.
    pub(super) fn listen() -> Result<Self> {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let (ask, asked) = watch::channel(false);
        let interrupted = Arc::new(AtomicBool::new(false));
        let by_person = interrupted.clone();
        tokio::spawn(async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => by_person.store(true, Ordering::Relaxed),
            }
            ask.send_replace(true);
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            std::process::exit(130);
        });
        Ok(Self { asked, interrupted })
    }

    /// Becomes true when the process is to stop.
    pub(super) fn watch(&self) -> watch::Receiver<bool> {
        self.asked.clone()
    }

    /// Completes when the process is to stop.
    pub(super) async fn asked(&self) {
        // An error means that nobody can ask any more; then nobody does.
        if self.asked.clone().wait_for(|asked| *asked).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Whether it was Ctrl-C.
    pub(super) fn was_interrupt(&self) -> bool {
        self.interrupted.load(Ordering::Relaxed)
    }
}
