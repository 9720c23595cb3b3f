use std::io::IsTerminal;
use std::sync::Once;
use std::{panic, thread};

use clap::ValueEnum;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, fmt, registry};

use super::cli::LogArgs;
use super::team;
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
    keep_panics_of_workers_silent();
    Ok(())
}

/// A panic on the thread of a worker is nearly always one of the user's function, and its message may quote the event. It is
/// in the dead letter; the log says where it was.
fn keep_panics_of_workers_silent() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let other = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            let thread = thread::current();
            match thread.name().filter(|name| name.starts_with(team::NAME)) {
                Some(thread) => {
                    let at = panic.location().map(ToString::to_string);
                    tracing::error!(thread, at, "a panic; its message may quote an event, and is in the dead letters");
                }
                None => other(panic),
            }
        }));
    });
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
    fn a_panic_on_the_thread_of_a_worker_is_logged_with_its_place_and_without_its_words() {
        keep_panics_of_workers_silent();
        let work = || {
            let lines = Lines::keep();
            let panicked = panic::catch_unwind(|| panic!("at hunter2"));
            (lines.text(), panicked.is_err())
        };
        let worker = thread::Builder::new().name(format!("{}7", team::NAME)).spawn(work).unwrap();
        let (log, panicked) = worker.join().unwrap();
        assert!(panicked && log.contains("logs.rs:") && !log.contains("hunter2"), "{log}");
    }
}
