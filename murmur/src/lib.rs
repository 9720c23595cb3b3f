//! Streaming aggregation from one annotated definition.
//!
//! Annotate an event and an aggregate function; from that one definition come the live worker, exact windows, the
//! typed query service and the contracts. The floors of the crate, each using only those above it:
//!
//! | module | what |
//! |---|---|
//! | [`aggregate`] | the [`Monoid`](aggregate::Monoid) trait, every monoid, the laws |
//! | [`time`] | timestamps, windows, tiles, slots, retention |
//! | [`event`], [`mod@key`], [`pipeline`], [`wire`] | the traits that the macros implement |
//! | [`source`] | where events come from, and positions in it |
//! | [`store`] | where tiles live, and the conditional writes that make counting exact |
//! | [`engine`] | from a source to tiles: fold, flush, commit, catch up, rewind |
//! | [`query`] | from a question to tiles to an answer: plan, read, fold |
//! | `grpc` | the typed service and client: gRPC, gRPC-Web, Connect and JSON on one port |
//! | `app` | `murmur::main!`: verbs, configuration, signals |

pub mod aggregate;
#[cfg(feature = "app")]
pub mod app;
pub mod engine;
pub mod error;
pub mod event;
#[cfg(feature = "grpc")]
pub mod grpc;
pub mod key;
pub mod location;
pub mod pipeline;
pub mod query;
pub mod source;
pub mod store;
pub mod time;
pub mod wire;

pub use error::{Error, ErrorKind, Result};

/// What macro output names. Not for people: it changes with every release.
#[doc(hidden)]
pub mod __private {
    pub use bytes::{Buf, BufMut};
    pub use prost;
    pub use prost::encoding::{DecodeContext, WireType, skip_field};
}
