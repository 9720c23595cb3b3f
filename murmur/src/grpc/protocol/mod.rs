//! The protocols of the port: from a request of HTTP to a call, and from its replies to a response. Nothing in here knows
//! what is called: a service is a [`Rpc`](rpc::Rpc), of messages and metadata.
//!
//! | part | what it knows |
//! |---|---|
//! | [`native`] | gRPC, and gRPC-Web through [`web`] |
//! | [`connect`] | Connect, and plain JSON with it |
//! | [`frame`] | how messages stand in a body |
//! | [`compression`] | gzip and zstd, of messages and of bodies |
//! | [`codec`] | JSON in place of protobuf |
//! | [`deadline`] | how long a call may take |
//! | [`metadata`] | which headers are the caller's, and which the protocol's |

pub(super) mod codec;
pub(super) mod compression;
pub(super) mod connect;
pub(super) mod deadline;
pub(super) mod frame;
pub(super) mod metadata;
pub(super) mod native;
pub(super) mod rpc;
mod web;

use codec::Transcoder;

use super::access::Access;
use super::router::Drain;

/// What every call of a server goes through.
#[derive(Clone)]
pub(super) struct Terms {
    /// For messages in JSON; `None` where nobody gave descriptors, and protobuf is all that is spoken.
    pub(super) transcoder: Option<Transcoder>,
    pub(super) drain: Drain,
    /// Who may call; everybody where nothing says who.
    pub(super) access: Option<Access>,
    /// Most bytes of a request's message, decompressed.
    pub(super) most: usize,
}

impl Terms {
    /// Of a service that somebody else serves.
    pub(super) fn alone() -> Self {
        Self { transcoder: None, drain: Drain::never(), access: None, most: rpc::MAX_REQUEST }
    }
}
