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
pub(super) fn start(args: &LogArgs, program: &'static str, on_panic: Option<OnPanic>) -> Result<()> {
    let filter = EnvFilter::try_new(&args.log).map_err(|error| {
        let context = format!("`--log {}` is not a filter; write `info`, or `warn,murmur=debug`", args.log);
        Error::new(ErrorKind::InvalidArgument, context).with_source(error)
    })?;
    let lines = fmt::layer().with_writer(std::io::stderr).with_ansi(std::io::stderr().is_terminal());
    let lines = match args.log_format {
        LogFormat::Text => lines.boxed(),
        #[cfg(not(feature = "otlp"))]
        LogFormat::Json => lines.json().boxed(),
        #[cfg(feature = "otlp")]
        LogFormat::Json => lines.json().map_event_format(super::otlp::Traced).boxed(),
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
        static ONCE: Once = Once::new();
        ONCE.call_once(|| panic::set_hook(Box::new(hook(on_panic))));
    }
    Ok(())
}

/// What a program does at a panic, after the log has its line.
pub type OnPanic = fn(&PanicHookInfo<'_>);

/// The message of a panic may quote an event or a key: one of the user's own code nearly always does. The log says where it was, and how it
/// came to be there where `RUST_BACKTRACE` asks for that. The hook that was there before is not called: it cannot be told from that of the
/// standard library, which writes the message.
fn hook(then: Option<OnPanic>) -> impl Fn(&PanicHookInfo<'_>) {
    move |panic| {
        report(panic);
        if let Some(then) = then {
            then(panic);
        }
    }
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
        "a panic; its message may quote an event or a key, and is not logged: where it cost an event, the dead letter has it"
    );
}

/// Send what is left.
pub(super) fn finish() {
    #[cfg(feature = "otlp")]
    super::otlp::flush();
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::metrics::tests::lines::Lines;

    #[test]
    fn a_panic_is_logged_with_its_place_and_without_its_words_on_any_thread_and_the_program_is_told() {
        const HERE: &str = "a thread of this test";
        static TOLD: Mutex<Option<String>> = Mutex::new(None);
        let ours = hook(Some(|panic| *TOLD.lock().unwrap() = panic.payload_as_str().map(str::to_owned)));
        let other = panic::take_hook();
        // Other tests of this process have something to say.
        panic::set_hook(Box::new(move |panic| match thread::current().name() {
            Some(HERE) => ours(panic),
            _ => other(panic),
        }));
        let work = || {
            let lines = Lines::keep();
            let panicked = panic::catch_unwind(|| panic!("at hunter2"));
            (lines.text(), panicked.is_err())
        };
        let (log, panicked) = thread::Builder::new().name(HERE.to_owned()).spawn(work).unwrap().join().unwrap();
        assert!(panicked && log.contains("logs.rs:") && log.contains(HERE) && !log.contains("hunter2"), "{log}");
        assert_eq!(TOLD.lock().unwrap().as_deref(), Some("at hunter2"));
    }
}
