//! How questions are answered at an address, and by whom.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;
use clap::builder::BoolishValueParser;

use super::{at_least_a_kibibyte, at_least_one, some_time};
use crate::grpc::host::Exposure;
use crate::grpc::limits::Limits;
use crate::grpc::{Compress, Origin, Watching};
use crate::location::ByteSize;
use crate::query;
use crate::time::Span;

/// Where a server listens.
const LISTEN: &str = "127.0.0.1:50051";

#[derive(Debug, Args)]
pub(in crate::app) struct ListenArgs {
    /// Address to answer questions at; port 0 takes a free one
    #[arg(long, env = "MURMUR_LISTEN", default_value = LISTEN, value_name = "ADDRESS")]
    pub(in crate::app) listen: SocketAddr,
    #[command(flatten)]
    pub(in crate::app) port: PortArgs,
}

/// How questions are answered at an address.
#[derive(Debug, Clone, Args)]
pub(in crate::app) struct PortArgs {
    #[command(flatten)]
    pub(in crate::app) exposure: ExposureArgs,
    #[command(flatten)]
    pub(in crate::app) tls: TlsArgs,
    #[command(flatten)]
    pub(in crate::app) cache: CacheArgs,
    #[command(flatten)]
    pub(in crate::app) limits: PortLimitArgs,
    #[command(flatten)]
    pub(in crate::app) reads: ReadLimitArgs,
    /// How often watched keys are looked at, from 100ms to 1h; those that a worker of this process writes are looked at then, too
    #[arg(long, env = "MURMUR_WATCH_INTERVAL", default_value_t = Watching::INTERVAL.into(), value_name = "SPAN", value_parser = watch_interval)]
    pub(in crate::app) watch_interval: Span,
    /// Compress replies of this size or more, for callers who understand that; `off` compresses none
    #[arg(long, env = "MURMUR_COMPRESS", default_value = "1KiB", value_name = "SIZE")]
    pub(in crate::app) compress: Compress,
    /// Let pages of this origin ask, by a browser: https://shop.example; may be given several times
    #[arg(long, env = "MURMUR_CORS_ORIGIN", value_delimiter = ',', value_name = "ORIGIN")]
    pub(in crate::app) cors_origin: Vec<Origin>,
}

impl PortArgs {
    /// Whom it is opened to.
    pub(in crate::app) fn exposure(&self) -> Exposure {
        let knows_callers = self.exposure.access.is_some() || self.tls.tls_client_ca.is_some();
        Exposure { knows_callers, any_host: self.exposure.insecure_no_auth }
    }
}

/// What a port takes at most.
#[derive(Debug, Clone, Copy, Args)]
pub(in crate::app) struct PortLimitArgs {
    /// Largest message of a request, decompressed
    #[arg(long, env = "MURMUR_MAX_REQUEST", default_value_t = ByteSize(Limits::default().request), value_name = "SIZE", value_parser = at_least_a_kibibyte)]
    max_request: ByteSize,
    /// Largest headers of a request: names and values, and 32 bytes for each
    #[arg(long, env = "MURMUR_MAX_HEADERS", default_value_t = ByteSize(Limits::default().headers), value_name = "SIZE", value_parser = at_least_a_kibibyte)]
    max_headers: ByteSize,
    /// Streams that a connection by HTTP/2 may have open
    #[arg(long, env = "MURMUR_MAX_STREAMS", default_value_t = Limits::default().streams, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    max_streams: u32,
    /// Connections at a time; more wait
    #[arg(long, env = "MURMUR_MAX_CONNECTIONS", default_value_t = Limits::default().connections, value_name = "N", value_parser = at_least_one)]
    max_connections: usize,
    /// Calls that are answered at the same time, of a caller that is known half as many; more wait, and are refused at their deadline
    #[arg(long, env = "MURMUR_MAX_CALLS", default_value_t = Limits::default().calls, value_name = "N", value_parser = at_least_one)]
    max_calls: usize,
    /// Keys that are watched at a time, each as often as streams watch it, and once more for each KiB of the elements that are looked up of it; more are refused, and a caller that is known has no more than it leaves free
    #[arg(long, env = "MURMUR_MAX_WATCHED", default_value_t = Limits::default().watched, value_name = "N", value_parser = at_least_one)]
    max_watched: usize,
    /// Bytes of watched keys and their answers that are kept, each once for all who watch it; about three times as much memory. More are refused, and a caller that is known has no more than it leaves free
    #[arg(long, env = "MURMUR_MAX_WATCHED_BYTES", default_value_t = ByteSize(Limits::default().watched_bytes), value_name = "SIZE", value_parser = at_least_a_kibibyte)]
    max_watched_bytes: ByteSize,
    /// How long a stream stands whose reader takes nothing of what there is for it; then it ends, and can be resumed
    #[arg(long, env = "MURMUR_MAX_STREAM_STALL", default_value_t = Limits::default().stall.into(), value_name = "SPAN", value_parser = some_time)]
    max_stream_stall: Span,
    /// Age at which a client begins another connection, give or take a tenth; as old as it likes without
    #[arg(long, env = "MURMUR_MAX_CONNECTION_AGE", value_name = "SPAN", value_parser = some_time)]
    max_connection_age: Option<Span>,
    /// How long a connection is there that nothing is asked by
    #[arg(long, env = "MURMUR_MAX_CONNECTION_IDLE", default_value_t = Limits::default().idle.into(), value_name = "SPAN", value_parser = some_time)]
    max_connection_idle: Span,
}

/// What one request reads at most, of all its keys or sets together.
#[derive(Debug, Clone, Copy, Args)]
pub(in crate::app) struct ReadLimitArgs {
    /// Stored items that one request reads, and points of one series; more are refused
    #[arg(long, env = "MURMUR_MAX_READ_ITEMS", default_value_t = query::Limits::default().items, value_name = "N", value_parser = at_least_one)]
    max_read_items: usize,
    /// Tiles and ranges of tiles that one request looks up, whether anything is there or not; more are refused
    #[arg(long, env = "MURMUR_MAX_READ_LOOKUPS", default_value_t = query::Limits::default().lookups, value_name = "N", value_parser = at_least_one)]
    max_read_lookups: usize,
    /// Bytes in memory of the items that one request reads, which calls that are answered at the same time hold at the same time; more are refused
    #[arg(long, env = "MURMUR_MAX_READ_BYTES", default_value_t = ByteSize(query::Limits::default().bytes), value_name = "SIZE", value_parser = at_least_a_kibibyte)]
    max_read_bytes: ByteSize,
}

impl ReadLimitArgs {
    pub(in crate::app) fn limits(self) -> query::Limits {
        let Self { max_read_items: items, max_read_lookups: lookups, max_read_bytes: ByteSize(bytes) } = self;
        query::Limits { items, lookups, bytes, ..query::Limits::default() }
    }
}

/// Neither so short that a server does nothing else, nor so long that nothing seems to change.
fn watch_interval(text: &str) -> Result<Span, String> {
    let span: Span = text.parse()?;
    let bounds = Span::from_millis(100)..=Span::from_seconds(3_600);
    if bounds.contains(&span) { Ok(span) } else { Err("write a time from 100ms to 1h".to_owned()) }
}

impl PortLimitArgs {
    pub(in crate::app) fn limits(self) -> Limits {
        let Self { max_request: ByteSize(request), max_headers: ByteSize(headers), .. } = self;
        let Self { max_watched_bytes: ByteSize(watched_bytes), .. } = self;
        let Self { max_streams: streams, max_connections: connections, max_calls: calls, max_watched: watched, .. } =
            self;
        let Self { max_stream_stall: stall, max_connection_age: age, max_connection_idle: idle, .. } = self;
        let (stall, age, idle) = (stall.to_std(), age.map(Span::to_std), idle.to_std());
        // Frames say a length of four bytes.
        let request = request.min(u32::MAX as usize);
        Limits { request, headers, streams, connections, calls, watched, watched_bytes, stall, age, idle }
    }
}

/// Certificates of a port. New ones are taken from the files while it serves.
#[derive(Debug, Clone, Args)]
pub(in crate::app) struct TlsArgs {
    /// Answer by TLS only, with this certificate and those between it and its authority behind it, in PEM
    #[arg(long, env = "MURMUR_TLS_CERT", value_name = "FILE", requires = "tls_key")]
    pub(in crate::app) tls_cert: Option<PathBuf>,
    /// The private key of --tls-cert, in PEM
    #[arg(long, env = "MURMUR_TLS_KEY", value_name = "FILE", requires = "tls_cert")]
    pub(in crate::app) tls_key: Option<PathBuf>,
    /// Answer only those who have a certificate by one of these authorities, in PEM
    #[arg(long, env = "MURMUR_TLS_CLIENT_CA", value_name = "FILE", requires = "tls_cert")]
    pub(in crate::app) tls_client_ca: Option<PathBuf>,
}

impl TlsArgs {
    pub(in crate::app) fn is_asked_for(&self) -> bool {
        self.tls_cert.is_some()
    }
}

#[derive(Debug, Clone, Copy, Args)]
pub(in crate::app) struct CacheArgs {
    /// Memory for tiles that cannot change any more, so that answers need not read them again; 0 keeps none
    #[arg(long, env = "MURMUR_TILE_CACHE", default_value_t = ByteSize(64 << 20), value_name = "SIZE")]
    pub(in crate::app) tile_cache: ByteSize,
}

#[derive(Debug, Clone, Args)]
pub(in crate::app) struct ExposureArgs {
    /// Answer only those whom this file names, each what it may read: tokens, certificates, an issuer of JWT (docs/access.md)
    #[arg(long, env = "MURMUR_ACCESS", value_name = "FILE", conflicts_with = "insecure_no_auth")]
    pub(in crate::app) access: Option<PathBuf>,
    /// Listen on an address that other machines can reach, and answer to any name, though everyone there can ask everything
    #[arg(long, env = "MURMUR_INSECURE_NO_AUTH", value_parser = BoolishValueParser::new())]
    pub(in crate::app) insecure_no_auth: bool,
}
