use clap::ValueEnum;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt;

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

/// Send the log to standard error. A subscriber that the program has set up before stays.
pub(super) fn start(args: &LogArgs) -> Result<()> {
    let filter = EnvFilter::try_new(&args.log).map_err(|error| {
        let context = format!("`--log {}` is not a filter; write `info`, or `warn,murmur=debug`", args.log);
        Error::new(ErrorKind::InvalidArgument, context).with_source(error)
    })?;
    let log = fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // An error says that there is a subscriber already.
    let _ = match args.log_format {
        LogFormat::Text => log.try_init(),
        LogFormat::Json => log.json().try_init(),
    };
    Ok(())
}
