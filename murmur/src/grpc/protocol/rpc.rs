//! The one shape that all protocols call: a message and its metadata in, messages and their metadata out.

use std::borrow::Cow;
use std::ops::Deref;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::stream::{BoxStream, StreamExt, TryStreamExt};
use http::request::Parts;
use http::{Extensions, HeaderMap};
use metrics::Histogram;
use tokio::time::Instant;
use tonic::Status;
use tracing::Instrument;

use super::super::access::standing::Standing;
use super::super::access::{Access, Caller};
use super::super::drain::Until;
use super::super::refusal::{Reason, shown};
use super::Terms;
use super::codec::Codec;
use super::connect;
use super::deadline::{Deadline, within};
use super::frame::Framed;
use crate::metrics::catalogue::QUERY_DURATION;
use crate::wire;

/// Most bytes of a reply message.
pub(in crate::grpc) const MAX_REPLY: usize = 4 << 20;

/// A service as every protocol sees it.
pub(in crate::grpc) trait Rpc: Send + Sync + 'static {
    /// `package.Service`.
    fn name(&self) -> &str;

    /// What it offers.
    fn methods(&self) -> &[Method];

    /// Who may call it.
    fn reads(&self) -> Reads<'_>;

    /// Whether all its methods are here; of a service that is hosted, some may be known to tonic alone.
    fn is_ours(&self) -> bool {
        true
    }

    /// The pipeline that a call is about, where only its message says that.
    fn about(&self, call: &Call) -> Option<String> {
        let _ = call;
        None
    }

    /// Whether it answers a client that says this of itself.
    fn fits(&self, headers: &HeaderMap) -> Result<(), Status> {
        let _ = headers;
        Ok(())
    }

    /// A status that goes to a caller, with what the service wants to say beside its text. Those that the layer of the protocols
    /// makes come bare.
    fn explain(&self, status: Status) -> Status;

    /// Call a method with one reply. `at` is a place in [`methods`](Self::methods).
    fn unary(&self, at: usize, call: Call) -> BoxFuture<'_, Result<Reply, Status>>;

    /// Call a method with a stream of replies. `at` is a place in [`methods`](Self::methods).
    fn stream(&self, at: usize, call: Call) -> BoxFuture<'_, Result<Replies, Status>>;
}

/// What a caller gets to know by a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::grpc) enum Reads<'a> {
    /// What everybody may know, strangers too.
    Health,
    /// Nothing that belongs to one pipeline, or the service itself looks at the [`Caller`] in the extensions.
    Nothing,
    /// What a pipeline has counted.
    Pipeline(&'a str),
}

/// What a method is called with.
#[derive(Debug)]
pub(in crate::grpc) struct Call {
    pub(in crate::grpc) message: Bytes,
    /// Those of the request, with the protocol's own ones among them.
    pub(in crate::grpc) headers: HeaderMap,
    pub(in crate::grpc) deadline: Deadline,
    /// What else a service may want to know of the request: [`ConnectGet`](super::connect::ConnectGet), and what the server's layers
    /// have added.
    pub(in crate::grpc) extensions: Extensions,
}

/// A reply, and what stands beside it.
#[derive(Debug, Default)]
pub(in crate::grpc) struct Reply {
    pub(in crate::grpc) message: Framed,
    pub(in crate::grpc) headers: HeaderMap,
    pub(in crate::grpc) trailers: HeaderMap,
}

impl Reply {
    /// A message alone, if it is not too large.
    pub(in crate::grpc) fn of(message: &impl prost::Message) -> Result<Self, Status> {
        let mut buffer = Framed::room(length(message)?);
        message.encode_raw(&mut buffer);
        Ok(Self { message: Framed::close(buffer), ..Self::default() })
    }

    /// A message that was written behind [room](Framed::room) for its frame, if it is not too large.
    pub(in crate::grpc) fn written(buffer: Vec<u8>) -> Result<Self, Status> {
        let message = Framed::close(buffer);
        check_length(message.message().len())?;
        Ok(Self { message, ..Self::default() })
    }
}

/// The replies of a streaming method.
pub(in crate::grpc) struct Replies {
    pub(in crate::grpc) headers: HeaderMap,
    /// An error is the last one, and so are trailers.
    pub(in crate::grpc) parts: BoxStream<'static, Result<Part, Status>>,
}

/// One of a stream of replies, or what comes after all of them.
#[derive(Debug)]
pub(in crate::grpc) enum Part {
    Message(Bytes),
    Trailers(HeaderMap),
}

/// A method of an [`Rpc`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::grpc) struct Method {
    pub(in crate::grpc) name: Cow<'static, str>,
    /// Whether it answers with a stream.
    pub(in crate::grpc) streams: bool,
    /// Whether it has no side effects, so that a `GET` may call it.
    pub(in crate::grpc) reads: bool,
}

impl Method {
    pub(in crate::grpc) const fn unary(name: &'static str) -> Self {
        Self { name: Cow::Borrowed(name), streams: false, reads: true }
    }

    pub(in crate::grpc) const fn streaming(name: &'static str) -> Self {
        Self { name: Cow::Borrowed(name), streams: true, reads: true }
    }
}

/// A service as a server calls it: with what its calls are measured by.
#[derive(Clone)]
pub(in crate::grpc) struct Served {
    rpc: Arc<dyn Rpc>,
    /// Of each method, at its place.
    measures: Arc<[Measure]>,
}

/// What the calls of a method are called, and how long those took that ended well: looked up in the recorder once.
struct Measure {
    name: String,
    ok: OnceLock<Histogram>,
}

impl Measure {
    /// Measure a call that ends with this, or a stream that begins with it; its code.
    fn record<T>(&self, began: Instant, result: &Result<T, Status>) -> &'static str {
        let code = result.as_ref().map_or_else(|status| connect::code(status.code()).0, |_| "ok");
        let histogram = || QUERY_DURATION.histogram([self.name.clone(), code.to_owned()]);
        let took = began.elapsed();
        match result {
            Ok(_) => self.ok.get_or_init(histogram).record(took),
            Err(_) => histogram().record(took),
        }
        code
    }
}

impl Served {
    pub(in crate::grpc) fn new(rpc: Arc<dyn Rpc>) -> Self {
        let name = |method: &Method| format!("{}/{}", rpc.name(), method.name);
        let measure = |method: &Method| Measure { name: name(method), ok: OnceLock::new() };
        let measures = rpc.methods().iter().map(measure).collect();
        Self { rpc, measures }
    }

    /// The place of a method by its name.
    pub(in crate::grpc) fn find(&self, method: &str) -> Option<(usize, &Method)> {
        self.methods().iter().enumerate().find(|(_, known)| known.name == method)
    }

    /// The place of a method that is called by its name since then.
    ///
    /// Errors: there is none; measured, and for the caller as it is.
    pub(in crate::grpc) fn called(&self, method: &str, began: Instant) -> Result<(usize, &Method), Status> {
        self.find(method).ok_or_else(|| {
            let known: Vec<String> = self.methods().iter().map(|known| format!("`{}`", known.name)).collect();
            let what = format!("`{}` has no method `{}`; it has {}", self.name(), shown(method), known.join(", "));
            self.explain(absent(began, what))
        })
    }

    /// Call a method with one reply, within its time, and write that as its caller wants it; measured.
    pub(in crate::grpc) async fn unary(&self, at: usize, call: Call, codec: &Codec) -> Result<Reply, Status> {
        let span = tracing::debug_span!("query", rpc = self.measures[at].name, code = tracing::field::Empty);
        let began = Instant::now();
        let reply = within(call.deadline.unary(), self.rpc.unary(at, call)).instrument(span.clone()).await;
        let reply = reply.and_then(|reply| Ok(Reply { message: codec.reply(reply.message)?, ..reply }));
        span.record("code", self.measures[at].record(began, &reply));
        reply
    }

    /// The replies of a streaming method: they begin within the time of a call with one reply, and end with the deadline, the standing
    /// of their caller, a reader that takes nothing, or the server. What is measured is how they begin.
    pub(in crate::grpc) async fn stream(
        &self,
        at: usize,
        call: Call,
        standing: Option<Standing>,
        terms: &Terms,
    ) -> Result<Replies, Status> {
        let (began, deadline) = (Instant::now(), call.deadline);
        let drain = terms.drain.of(&call.extensions);
        let standing = standing.map(|standing| standing.about(self.rpc.about(&call)));
        let replies = within(deadline.unary(), self.rpc.stream(at, call)).await;
        self.measures[at].record(began, &replies);
        let Replies { headers, parts } = replies?;
        let parts = drain.guard(parts, Until { deadline: deadline.stream(), standing, stall: terms.limits.stall });
        let rpc = self.rpc.clone();
        Ok(Replies { headers, parts: parts.map_err(move |status| rpc.explain(status)).boxed() })
    }
}

impl Deref for Served {
    type Target = dyn Rpc;

    fn deref(&self) -> &Self::Target {
        &*self.rpc
    }
}

/// Whether a caller that is known may call a method, before anything of the message is read; and what a stream of it needs to end
/// in time.
pub(in crate::grpc) fn permit(
    rpc: &dyn Rpc,
    method: &Method,
    head: &Parts,
    access: Option<&Access>,
) -> Result<Option<Standing>, Status> {
    let known = access.zip(head.extensions.get::<Caller>());
    if let (Some((_, caller)), Reads::Pipeline(pipeline)) = (known, rpc.reads()) {
        caller.may_read(pipeline)?;
    }
    rpc.fits(&head.headers)?;
    let standing = |(access, caller)| Standing::new(access, &head.headers, &head.extensions, rpc.reads(), caller);
    Ok(known.filter(|_| method.streams).map(standing))
}

/// What metrics call the method of a path that leads to none: whoever asks for paths that there are not makes no labels by that.
const NONE: &str = "none";

/// Measure a request that was refused before anything was called: for the method at a place of a service, where it is known
/// which one it was to be.
pub(in crate::grpc) fn refused(called: Option<(&Served, usize)>, began: Instant, status: &Status) {
    let rpc = called.map_or(NONE, |(rpc, at)| &rpc.measures[at].name);
    let code = connect::code(status.code()).0;
    QUERY_DURATION.histogram([rpc.to_owned(), code.to_owned()]).record(began.elapsed());
}

/// The status of a request for something that is not there; measured.
pub(in crate::grpc) fn absent(began: Instant, what: String) -> Status {
    let status = Status::unimplemented(what);
    refused(None, began, &status);
    status
}

/// `(service, method)` of a path `/<service>/<method>`.
pub(in crate::grpc) fn split_path(path: &str) -> Option<(&str, &str)> {
    let (service, method) = path.strip_prefix('/')?.split_once('/')?;
    (!service.is_empty() && !method.is_empty() && !method.contains('/')).then_some((service, method))
}

/// Read a request message.
pub(in crate::grpc) fn decode<M: prost::Message + Default>(bytes: Bytes) -> Result<M, Status> {
    M::decode(bytes).map_err(|error| match wire::refusal(&error) {
        Some((field, why)) => {
            let text = format!("`{field}`: {why}");
            Reason::FIELD_INVALID.of_field(field, text)
        }
        None => Status::invalid_argument(error.to_string()),
    })
}

/// Bytes of a reply message that is not too large.
fn length(message: &impl prost::Message) -> Result<usize, Status> {
    let length = message.encoded_len();
    check_length(length).map(|()| length)
}

/// Refuse to send a reply message of so many bytes, if it is too large.
pub(in crate::grpc) fn check_length(length: usize) -> Result<(), Status> {
    if length > MAX_REPLY {
        return Err(Reason::REPLY_TOO_LARGE.status(format!(
            "the reply has {length} bytes, and at most {MAX_REPLY} are possible; ask for fewer keys or a longer step"
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_of_four_mebibytes_is_sent_and_one_byte_more_is_not() {
        // As a message of one field: its tag, and four bytes of a length, before it.
        let reply = |bytes: usize| vec![7u8; bytes - 5];
        assert_eq!(Reply::of(&reply(4 << 20)).unwrap().message.message().len(), 4 << 20);
        let refused = Reply::of(&reply((4 << 20) + 1)).unwrap_err();
        assert_eq!(refused.code(), tonic::Code::ResourceExhausted);
        assert!(refused.message().contains("ask for fewer keys or a longer step"), "{refused}");
    }
}
