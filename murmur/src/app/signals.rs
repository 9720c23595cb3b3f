//! SIGTERM, Ctrl-C and the end of the terminal (SIGHUP) ask for an orderly end. A second one does not wait for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

use super::exit::Exit;
use crate::Result;

/// The request to stop.
#[derive(Debug, Clone)]
pub(super) struct Stop {
    asked: watch::Receiver<bool>,
    /// The number of the signal; 0 before there was one.
    by: Arc<AtomicU8>,
}

impl Stop {
    /// Listen for signals from now on.
    pub(super) fn listen() -> Result<Self> {
        let mut signals = Signals::new()?;
        let (ask, asked) = watch::channel(false);
        let by = Arc::new(AtomicU8::new(0));
        let first = by.clone();
        tokio::spawn(async move {
            first.store(signals.next().await, Ordering::Relaxed);
            ask.send_replace(true);
            let second = signals.next().await;
            std::process::exit(Exit::Signal(second).code().into());
        });
        Ok(Self { asked, by })
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

    /// The number of the signal that asked for it.
    pub(super) fn signal(&self) -> Option<u8> {
        Some(self.by.load(Ordering::Relaxed)).filter(|number| *number != 0)
    }
}

/// Their numbers are those of POSIX.
const HANGUP: u8 = 1;
const INTERRUPT: u8 = 2;
const TERMINATE: u8 = 15;

struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Option<Signal>,
}

impl Signals {
    fn new() -> Result<Self> {
        let listen = |number: u8| signal(SignalKind::from_raw(number.into()));
        let hangup = if hangup_is_ignored() { None } else { Some(listen(HANGUP)?) };
        Ok(Self { terminate: listen(TERMINATE)?, interrupt: listen(INTERRUPT)?, hangup })
    }

    /// The number of the next one.
    async fn next(&mut self) -> u8 {
        let hangup = async {
            match &mut self.hangup {
                Some(hangup) => hangup.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = self.terminate.recv() => TERMINATE,
            _ = self.interrupt.recv() => INTERRUPT,
            _ = hangup => HANGUP,
        }
    }
}

/// Whether the process was started by `nohup`: then it is to outlive its terminal. Elsewhere than on Linux nobody says.
fn hangup_is_ignored() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| u64::from_str_radix(line.strip_prefix("SigIgn:")?.trim(), 16).ok());
    ignored.is_some_and(|mask| mask & 1 << (HANGUP - 1) != 0)
}
