//! Lines of the log, kept.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use tracing::Dispatch;
use tracing::subscriber::DefaultGuard;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::{fmt, registry};

/// What is logged on this thread at any level, as long as it lives.
pub(crate) struct Lines {
    kept: Kept,
    _other: Dispatch,
    _here: DefaultGuard,
}

/// What was written, by any of its clones.
#[derive(Clone, Default)]
pub(crate) struct Kept(Arc<Mutex<Vec<u8>>>);

impl Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Kept {
    /// All of it so far.
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Lines {
    /// From now on.
    pub(crate) fn keep() -> Self {
        let kept = Kept::default();
        // As for spans: with one subscriber alone, `tracing` remembers what a thread without one has said.
        let other = Dispatch::new(registry());
        let writer = kept.clone();
        let lines = fmt::layer().with_writer(move || writer.clone()).with_ansi(false);
        let here = tracing::subscriber::set_default(registry().with(lines));
        Self { kept, _other: other, _here: here }
    }

    /// All of them so far.
    pub(crate) fn text(&self) -> String {
        self.kept.text()
    }
}
