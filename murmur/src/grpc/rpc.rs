//! The one shape that all protocols call: bytes of a message in, bytes of a message out.

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use tokio::time::Instant;
use tonic::Status;
use tracing::Instrument;

use super::connect;
use super::deadline::{Deadline, within};
use crate::metrics::catalogue::QUERY_DURATION;

/// Most bytes of a request message.
pub(super) const MAX_REQUEST: usize = 1 << 20;
/// Most bytes of a reply message.
pub(super) const MAX_REPLY: usize = 4 << 20;

/// A service as every protocol sees it.
pub(super) trait Rpc: Send + Sync + 'static {
    /// `package.Service`.
    fn name(&self) -> &str;

    /// What it offers.
    fn methods(&self) -> &'static [Method];

    /// Call a method with one reply. `at` is a place in [`methods`](Self::methods).
    fn unary(&self, at: usize, request: Bytes) -> BoxFuture<'_, Result<Vec<u8>, Status>>;

    /// Call a method with a stream of replies. `at` is a place in [`methods`](Self::methods).
    fn stream(&self, at: usize, request: Bytes) -> Result<Replies, Status>;
}

/// The replies of a streaming method; an error is the last one.
pub(super) type Replies = BoxStream<'static, Result<Vec<u8>, Status>>;

/// A method of an [`Rpc`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Method {
    pub(super) name: &'static str,
    /// Whether it answers with a stream.
    pub(super) streams: bool,
}

impl Method {
    pub(super) const fn unary(name: &'static str) -> Self {
        Self { name, streams: false }
    }

    pub(super) const fn streaming(name: &'static str) -> Self {
        Self { name, streams: true }
    }
}

/// The place of a method by its name.
pub(super) fn find(rpc: &dyn Rpc, method: &str) -> Option<(usize, Method)> {
    rpc.methods().iter().copied().enumerate().find(|(_, known)| known.name == method)
}

/// Call a method with one reply, within its time; measured.
pub(super) async fn unary(
    rpc: &dyn Rpc,
    at: usize,
    method: Method,
    request: Bytes,
    deadline: Deadline,
) -> Result<Vec<u8>, Status> {
    let name = format!("{}/{}", rpc.name(), method.name);
    let span = tracing::info_span!("query", rpc = name, code = tracing::field::Empty);
    let began = Instant::now();
    let reply = within(deadline.unary(), rpc.unary(at, request)).instrument(span.clone()).await;
    let code = reply.as_ref().map_or_else(|status| connect::code(status.code()).0, |_| "ok");
    span.record("code", code);
    QUERY_DURATION.histogram([name, code.to_owned()]).record(began.elapsed());
    reply
}

/// `(service, method)` of a path `/<service>/<method>`.
pub(super) fn split_path(path: &str) -> Option<(&str, &str)> {
    let (service, method) = path.strip_prefix('/')?.split_once('/')?;
    (!service.is_empty() && !method.is_empty() && !method.contains('/')).then_some((service, method))
}

/// Read a request message.
pub(super) fn decode<M: prost::Message + Default>(bytes: Bytes) -> Result<M, Status> {
    M::decode(bytes).map_err(|error| Status::invalid_argument(error.to_string()))
}

/// Write a reply message, if it is not too large.
pub(super) fn encode(message: &impl prost::Message) -> Result<Vec<u8>, Status> {
    let length = message.encoded_len();
    if length > MAX_REPLY {
        return Err(Status::resource_exhausted(format!(
            "the reply has {length} bytes, and at most {MAX_REPLY} are possible; ask for fewer keys or a longer step"
        )));
    }
    Ok(message.encode_to_vec())
}
