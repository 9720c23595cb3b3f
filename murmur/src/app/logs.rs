use std::io::IsTerminal;

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
    Ok(())
}

/// Send what is left.
pub(super) fn finish() {
    #[cfg(feature = "otlp")]
    super::otlp::flush();
}
