use std::backtrace::{Backtrace, BacktraceStatus};
use std::io::IsTerminal;
use std::panic::{self, PanicHookInfo};
use std::sync::Once;
use std::thread;

use clap::ValueEnum;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, fmt, registry};

use super::cli::LogArgs;
use crate::{Error, ErrorKind, Result};

/// The form of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum LogFormat {
    /// Lines for people
    Text,
    /// One JSON object a line
    Json,
}

/// Send the log to standard error, and spans where the environment says. A subscriber that the program has set up before
/// stays.
pub(super) fn start(args: &LogArgs, program: &'static str) -> Result<()> {
    let filter = EnvFilter::try_new(&args.log).map_err(|error| {
        let context = format!("`--log {}` is not a filter; write `info`, or `warn,murmur=debug`", args.log);
        Error::new(ErrorKind::InvalidArgument, context).with_source(error)
    })?;
    let lines = fmt::layer().with_writer(std::io::stderr).with_ansi(std::io::stderr().is_terminal());
    let lines = match args.log_format {
        LogFormat::Text => lines.boxed(),
        LogFormat::Json => lines.json().boxed(),
    };
    let subscriber = registry().with(lines.with_filter(filter));
    #[cfg(feature = "otlp")]
    let subscriber = subscriber.with(super::otlp::layer(program)?);
    #[cfg(not(feature = "otlp"))]
    let _ = program;
    // An error says that there is a subscriber already.
    let _ = subscriber.try_init();
    // A test says by its panic what is wrong.
    if !cfg!(test) {
        keep_panics_silent();
    }
    Ok(())
}

/// The message of a panic may quote an event or a key: one of the user's own code nearly always does. The log says where it was, and how it
/// came to be there where `RUST_BACKTRACE` asks for that.
fn keep_panics_silent() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| panic::set_hook(Box::new(report)));
}

fn report(panic: &PanicHookInfo<'_>) {
    let thread = thread::current();
    let at = panic.location().map(ToString::to_string);
    let trace = Backtrace::capture();
    let trace = (trace.status() == BacktraceStatus::Captured).then(|| trace.to_string());
    tracing::error!(
        thread = thread.name(),
        at,
        trace,
        "a panic; its message may quote an event or a key, and is not logged: that of a worker is in the dead letters"
    );
}

/// Send what is left.
pub(super) fn finish() {
    #[cfg(feature = "otlp")]
    super::otlp::flush();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::tests::lines::Lines;

    #[test]
    fn a_panic_is_logged_with_its_place_and_without_its_words_whatever_thread_it_is_on() {
        const HERE: &str = "a thread of this test";
        let other = panic::take_hook();
        // Other tests of this process have something to say.
        panic::set_hook(Box::new(move |panic| match thread::current().name() {
            Some(HERE) => report(panic),
            _ => other(panic),
        }));
        let work = || {
            let lines = Lines::keep();
            let panicked = panic::catch_unwind(|| panic!("at hunter2"));
            (lines.text(), panicked.is_err())
        };
        let (log, panicked) = thread::Builder::new().name(HERE.to_owned()).spawn(work).unwrap().join().unwrap();
        assert!(panicked && log.contains("logs.rs:") && log.contains(HERE) && !log.contains("hunter2"), "{log}");
    }
}
