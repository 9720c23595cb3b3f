//! Questions.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::{at_least_one, instant};
use crate::app::call::PATIENCE;
use crate::app::print::Output;
use crate::app::units::{Step, Units};
use crate::location::Location;
use crate::time::{Span, Timestamp, Zone};

/// Where a query looks for a server.
const AT: &str = "http://127.0.0.1:50051";

#[derive(Debug, Args)]
pub(in crate::app) struct QueryArgs {
    /// The pipeline
    pub(in crate::app) pipeline: String,
    /// The fields of the key, in their order, or as name=value; none for a rollup of everything
    #[arg(allow_negative_numbers = true)]
    pub(in crate::app) key: Vec<String>,
    #[command(flatten)]
    pub(in crate::app) interval: IntervalArgs,
    #[command(flatten)]
    pub(in crate::app) question: QuestionArgs,
    /// Say what was read for the answer, and what that cost
    #[arg(long, conflicts_with = "top")]
    pub(in crate::app) explain: bool,
    #[command(flatten)]
    pub(in crate::app) sets: SetArgs,
    /// One value per step of this length, or per day, week or month of the calendar: 1h, day
    #[arg(long, value_name = "STEP", conflicts_with = "top")]
    pub(in crate::app) series: Option<Step>,
    /// The N largest keys instead of one; looks at the whole store
    #[arg(long, value_name = "N", conflicts_with = "key", value_parser = at_least_one)]
    pub(in crate::app) top: Option<usize>,
    /// What the largest are largest by; the first number when not given
    #[arg(long, value_name = "FIELD", requires = "top")]
    pub(in crate::app) by: Option<String>,
    /// How long the answer may take; a server stops at 30s, whatever was asked
    #[arg(long, default_value_t = PATIENCE, value_name = "SPAN")]
    pub(in crate::app) timeout: Span,
    #[command(flatten)]
    pub(in crate::app) place: PlaceArgs,
    /// The form of the answer
    #[arg(short, long, env = "MURMUR_OUTPUT", default_value = "table", value_name = "FORM")]
    pub(in crate::app) output: Output,
}

#[derive(Debug, Args)]
pub(in crate::app) struct IntervalArgs {
    /// The last stretch of time, such as 7d
    #[arg(long, value_name = "SPAN", conflicts_with_all = ["calendar", "from", "to"])]
    pub(in crate::app) window: Option<Span>,
    /// The last days, weeks or months of the calendar, the current one up to now among them: 7d, 4w, 3mo, day, month
    #[arg(long, value_name = "UNITS", conflicts_with_all = ["from", "to"])]
    pub(in crate::app) calendar: Option<Units>,
    /// Only days, weeks or months that are over
    #[arg(long, requires = "calendar")]
    pub(in crate::app) whole: bool,
    /// Whose calendar, by its name in the IANA database: Europe/Berlin; UTC when not given
    #[arg(long, value_name = "ZONE")]
    pub(in crate::app) zone: Option<Zone>,
    /// Beginning of the interval: 2026-05-16 or 2026-05-16T12:00:00Z
    #[arg(long, value_name = "TIME", value_parser = instant)]
    pub(in crate::app) from: Option<Timestamp>,
    /// End of the interval, itself outside; now when not given
    #[arg(long, value_name = "TIME", value_parser = instant, requires = "from")]
    pub(in crate::app) to: Option<Timestamp>,
    /// How the sides of the interval are cut; the answer says where they lie
    #[arg(long, default_value = "exact", value_name = "EDGES", conflicts_with = "calendar")]
    pub(in crate::app) edges: CutAt,
}

/// How the sides of an interval are cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(in crate::app) enum CutAt {
    /// At slots
    #[default]
    Exact,
    /// At whole minutes, hours or days of UTC, whatever the interval has twelve of, for the fewest reads
    Sawtooth,
}

/// Set algebra with the sets of other keys or intervals.
#[derive(Debug, Args)]
pub(in crate::app) struct SetArgs {
    /// Count the elements of this set too; a key, a JSON list of its fields, or JSON with an interval of its own:
    /// {"key": {"page_id": "/home"}, "window": "86400s"}; may be given several times
    #[arg(long, value_name = "SET", conflicts_with_all = ["intersect", "except", "top", "series"])]
    pub(in crate::app) unite: Vec<String>,
    /// Count only elements that are in this set too; written as for --unite; may be given several times
    #[arg(long, value_name = "SET", conflicts_with_all = ["except", "top", "series"])]
    pub(in crate::app) intersect: Vec<String>,
    /// Count only elements that are not in this set; written as for --unite; may be given several times
    #[arg(long, value_name = "SET", conflicts_with_all = ["top", "series"])]
    pub(in crate::app) except: Vec<String>,
    /// Which field is the set, where there are several
    #[arg(long, value_name = "FIELD")]
    pub(in crate::app) field: Option<String>,
}

/// What is asked of the estimates in a value.
#[derive(Debug, Args)]
pub(in crate::app) struct QuestionArgs {
    /// A quantile of `Quantiles`, from 0 to 1, such as 0.99; may be given several times
    #[arg(long, value_name = "SHARE", allow_negative_numbers = true)]
    pub(in crate::app) quantile: Vec<f64>,
    /// A value whose rank to tell: the share of all values that do not exceed it; may be given several times
    #[arg(long, value_name = "VALUE", allow_negative_numbers = true)]
    pub(in crate::app) rank: Vec<f64>,
    /// An element to look up; what reads as a whole number is one, unless written as text:7; may be given several times
    #[arg(long, value_name = "ELEMENT", allow_negative_numbers = true)]
    pub(in crate::app) element: Vec<String>,
}

#[derive(Debug, Args)]
pub(in crate::app) struct PlaceArgs {
    /// A running server; `https://` for one with TLS
    #[arg(long, env = "MURMUR_AT", default_value = AT, value_name = "URL")]
    pub(in crate::app) at: String,
    #[command(flatten)]
    pub(in crate::app) tls: ClientTlsArgs,
    /// A file with the token to show to the server; without one, the variable MURMUR_TOKEN
    #[arg(long, env = "MURMUR_TOKEN_FILE", value_name = "FILE")]
    pub(in crate::app) token_file: Option<PathBuf>,
    /// A store that no other process has open, instead of a server
    #[arg(long, env = "MURMUR_STORE", value_name = "URL")]
    pub(in crate::app) store: Option<Location>,
}

/// Certificates of who asks a server.
#[derive(Debug, Args)]
pub(in crate::app) struct ClientTlsArgs {
    /// Authorities of a server with TLS, in PEM, instead of those that this machine knows
    #[arg(long, env = "MURMUR_TLS_CA", value_name = "FILE")]
    pub(in crate::app) tls_ca: Option<PathBuf>,
    /// A certificate to show to a server that asks for one, in PEM
    #[arg(long, env = "MURMUR_CLIENT_CERT", value_name = "FILE", requires = "client_key")]
    pub(in crate::app) client_cert: Option<PathBuf>,
    /// The private key of --client-cert, in PEM
    #[arg(long, env = "MURMUR_CLIENT_KEY", value_name = "FILE", requires = "client_cert")]
    pub(in crate::app) client_key: Option<PathBuf>,
}
