//! The protocols of the port: from a request of HTTP to a call, and from its replies to a response. Nothing in here knows
//! what is called: a service is a [`Rpc`](rpc::Rpc), of messages and metadata.
//!
//! | part | what it knows |
//! |---|---|
//! | [`native`] | gRPC, and gRPC-Web through [`web`] |
//! | [`connect`] | Connect, and plain JSON with it |
//! | [`frame`] | how messages stand in a body |
//! | [`compression`] | gzip and zstd, of messages and of bodies |
//! | [`codec`] | JSON in place of protobuf, replies through [`json`] |
//! | [`deadline`] | how long a call may take |
//! | [`place`] | how many calls are answered at a time |
//! | [`written`] | an answer until its caller has taken it |
//! | [`metadata`] | which headers are the caller's, and which the protocol's |

pub(super) mod codec;
pub(super) mod compression;
pub(super) mod connect;
pub(super) mod deadline;
pub(super) mod frame;
mod json;
pub(super) mod metadata;
pub(super) mod native;
pub(super) mod place;
pub(super) mod rpc;
mod web;
pub(super) mod written;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use codec::Transcoder;
use compression::{Compress, Compression, Wanted};
use deadline::{Deadline, within};
use http::request::Parts;
use http::{HeaderMap, HeaderName};
use tonic::Status;
use tonic::body::Body;

use place::{Place, Places};
use rpc::{Method, Reads, Rpc};

use super::access::standing::Standing;
use super::access::{Access, Caller};
use super::drain::Drain;
use super::limits::Limits;
use super::refusal::Reason;

/// Most bytes of the message of a call that anybody may make, and how long its body may take.
const OF_A_STRANGER: (usize, Duration) = (1 << 10, Duration::from_secs(1));

/// How long the body of any other call may take: it has its place by then.
const BODY: Duration = Duration::from_secs(10);

/// What every call of a server goes through.
#[derive(Clone)]
pub(super) struct Terms {
    /// For messages in JSON; `None` where nobody gave descriptors, and protobuf is all that is spoken.
    pub(super) transcoder: Option<Transcoder>,
    pub(super) drain: Drain,
    /// Who may call; everybody where nothing says who.
    pub(super) access: Option<Access>,
    pub(super) limits: Limits,
    pub(super) compress: Compress,
    /// For calls that are answered; `None` where somebody else counts them.
    pub(super) places: Option<Arc<Places>>,
}

/// A call that has begun: when it has to end, and its place among those that are answered.
pub(super) struct Begun {
    pub(super) deadline: Deadline,
    /// Of the caller of a stream, where one has to be known.
    pub(super) standing: Option<Standing>,
    /// Until the reply is [written](written::body), or the stream has begun.
    pub(super) place: Option<Place>,
}

/// A call with the whole body of its request.
pub(super) struct Read {
    pub(super) begun: Begun,
    pub(super) body: Bytes,
}

impl Terms {
    /// Of a service that somebody else serves.
    pub(super) fn alone() -> Self {
        Self {
            transcoder: None,
            drain: Drain::never(),
            access: None,
            limits: Limits::default(),
            compress: Compress::default(),
            places: None,
        }
    }

    /// Most bytes of the message of a call.
    fn most(&self, rpc: &dyn Rpc) -> usize {
        match rpc.reads() {
            Reads::Health => self.limits.request.min(OF_A_STRANGER.0),
            Reads::Nothing | Reads::Pipeline(_) => self.limits.request,
        }
    }

    /// Begin a call of whoever may call, when there is a place for it. One that strangers may make needs none, so that they cannot take
    /// those of others.
    async fn begin(&self, rpc: &dyn Rpc, method: &Method, head: &mut Parts) -> Result<Begun, Status> {
        // That of a caller who had to be known runs since then.
        let deadline = head.extensions.remove().map_or_else(|| Deadline::of(&head.headers), Ok)?;
        let standing = rpc::permit(rpc, method, head, self.access.as_ref())?;
        let places = self.places.as_ref().filter(|_| rpc.reads() != Reads::Health);
        let Some(places) = places else { return Ok(Begun { deadline, standing, place: None }) };
        let caller = head.extensions.get::<Caller>().map(|caller| &caller.name);
        match tokio::time::timeout_at(deadline.unary(), places.take(caller)).await {
            Ok(place) => Ok(Begun { deadline, standing, place: Some(place) }),
            Err(_) => {
                let calls = self.limits.calls;
                Err(Reason::SERVER_BUSY.status(format!(
                    "the server answers {calls} calls already, or half as many of this caller, and takes no more; call again"
                )))
            }
        }
    }

    /// Begin a call and read its body. Whatever is wrong with the rest of the request, this comes first: see
    /// [`frame::discard`].
    async fn read(
        &self,
        rpc: &dyn Rpc,
        method: &Method,
        head: &mut Parts,
        body: Body,
        most: usize,
    ) -> Result<Read, Status> {
        match self.begin(rpc, method, head).await {
            Ok(begun) => {
                let patience = if rpc.reads() == Reads::Health { OF_A_STRANGER.1 } else { BODY };
                let body = within(begun.deadline.unary(), frame::whole(body, most));
                let body = tokio::time::timeout(patience, body).await.unwrap_or_else(|_| {
                    let seconds = patience.as_secs();
                    Err(Status::deadline_exceeded(format!("the body of the request was not there within {seconds} s")))
                })?;
                Ok(Read { begun, body })
            }
            Err(status) => {
                frame::discard(body).await;
                Err(status)
            }
        }
    }

    /// How replies are compressed for a caller who names in this header what is understood.
    fn wanted(&self, headers: &HeaderMap, header: &HeaderName) -> Wanted {
        match self.compress {
            Compress::Off => Wanted { by: Compression::Identity, least: 0 },
            Compress::From(least) => Wanted { by: Compression::wanted(headers, header), least },
        }
    }
}
