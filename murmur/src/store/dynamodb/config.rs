use std::net::IpAddr;

use http::Uri;

use crate::location::Location;
use crate::time::Span;
use crate::{Error, ErrorKind, Result};

/// Where the tables are, and how hard the store may be worked.
#[derive(Debug, Clone)]
pub struct DynamoConfig {
    /// What stands before the names of all tables: `<prefix><pipeline>_v<generation>`.
    pub prefix: String,
    /// The AWS region; from the environment or the profile when `None`.
    pub region: Option<String>,
    /// Another server than that of the region, as `http://127.0.0.1:8000`.
    pub endpoint: Option<String>,
    /// Most requests at the same time. Throttling lowers it for a while.
    pub in_flight: usize,
    /// How long a request may take before it counts as lost.
    pub timeout: Span,
}

/// Longest name of a table that DynamoDB takes.
const NAME_BYTES: usize = 255;

impl DynamoConfig {
    /// The tables of the region that the environment names, without a prefix.
    pub fn new() -> Self {
        Self { prefix: String::new(), region: None, endpoint: None, in_flight: 64, timeout: Span::from_seconds(5) }
    }

    /// From `dynamodb://[PREFIX]?region=NAME&endpoint=URL&in_flight=N&timeout=SPAN`.
    pub fn parse(url: &str) -> Result<Self> {
        let bad = |what: &str| Error::new(ErrorKind::Configuration, format!("`{url}`: {what}"));
        let options =
            url.parse::<Location>()?.take_bare("dynamodb", &["region", "endpoint", "in_flight", "timeout"])?;
        let config = Self::new();
        let config = Self {
            region: options.get_option("region")?,
            endpoint: options.get_option("endpoint")?,
            in_flight: options.get("in_flight", config.in_flight)?,
            timeout: options.get("timeout", config.timeout)?,
            prefix: options.path,
        };
        if config.endpoint.as_deref().is_some_and(|endpoint| !is_address(endpoint)) {
            return Err(bad("option `endpoint` is the address of a server, such as `endpoint=http://127.0.0.1:8000`"));
        }
        if config.in_flight == 0 {
            return Err(bad("option `in_flight` is 1 or more"));
        }
        if config.timeout == Span::ZERO {
            return Err(bad("option `timeout` is longer than nothing"));
        }
        let is_possible = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
        if config.prefix.len() >= NAME_BYTES || !config.prefix.bytes().all(is_possible) {
            return Err(bad("names of tables, and so their prefix, are made of letters, digits, `_`, `-` and `.`"));
        }
        Ok(config)
    }

    /// Whether the server is on this machine, which is never AWS.
    pub(super) fn is_loopback(&self) -> bool {
        let Some(rest) = self.endpoint.as_deref().and_then(|endpoint| endpoint.split_once("://")) else { return false };
        let authority = rest.1.split(['/', '?']).next().unwrap_or_default();
        let host = authority.strip_prefix('[').and_then(|host| host.split(']').next());
        let host = host.or_else(|| authority.split(':').next()).unwrap_or_default();
        host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
    }
}

fn is_address(endpoint: &str) -> bool {
    let uri = endpoint.parse::<Uri>();
    uri.is_ok_and(|uri| {
        matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some_and(|host| !host.is_empty())
    })
}

impl Default for DynamoConfig {
    fn default() -> Self {
        Self::new()
    }
}
