//! The typed query service: gRPC, gRPC-Web, Connect and plain HTTP/JSON on one port.
//!
//! ```text
//!               +-- application/grpc -----+                         +--> Reader<P>
//! connection ---+-- application/grpc-web -+--> Rpc: a message in, --+
//!               +-- application/proto ----+    messages out         +--> any service of tonic
//!               +-- application/json -----+
//! ```
//!
//! One generic [`PipelineService`] serves every pipeline; nothing is generated for the server. All protocols meet in
//! one trait that takes the bytes of a request message and gives the bytes of a reply, so that each limit, deadline
//! and error exists once. JSON is transcoded by the descriptors that the build step emits. A service of tonic that has
//! nothing to do with Murmur is hosted in the same way ([`ServerBuilder::service`]).
//!
//! | protocol | path | body |
//! |---|---|---|
//! | gRPC, HTTP/2 only | `POST /<package>.<Service>/<Method>` | framed protobuf or JSON |
//! | gRPC-Web, HTTP/1.1 or 2 | the same | the same, or base64 of it, with trailers in the body |
//! | Connect, HTTP/1.1 or 2 | the same; `GET ...?connect=v1&encoding=..&message=..` for reads | protobuf or JSON |
//! | plain HTTP | `POST` as Connect; `GET /` lists what there is | JSON |
//! | health | `grpc.health.v1` per service; `GET /healthz`: it lives; `GET /readyz`: it serves, or 503 with the reasons, to strangers without | JSON |

mod access;
pub(crate) mod channel;
mod client;
mod client_absence;
mod client_token;
pub(crate) mod contract;
mod cors;
mod drain;
mod entries;
mod handler;
mod health;
pub(crate) mod host;
mod hosted;
mod in_process;
mod interval;
mod layer;
mod lifetime;
pub(crate) mod limits;
pub mod messages;
mod opening;
mod pages;
mod port;
mod probe;
mod protocol;
mod query_service;
mod refusal;
mod router;
mod server;
mod service;
mod sets;
pub(crate) mod status;
#[cfg(test)]
pub(crate) mod tests;
#[cfg(feature = "tls")]
mod tls;
#[cfg(feature = "otlp")]
mod trace;
mod truth;
mod watch;

pub use access::{Access, Caller, Identify, Pipelines, Rate, bearer, expired, unfit};
pub use channel::ClientTls;
pub use client::Client;
pub use client_token::Token;
pub use contract::Contracts;
pub use cors::Origin;
pub use hosted::Trailers;
pub use in_process::InProcess;
pub use layer::PortService;
pub use protocol::compression::Compress;
pub use protocol::connect::ConnectGet;
pub use server::{Server, ServerBuilder};
pub use service::PipelineService;
#[cfg(feature = "tls")]
pub use tls::{ClientCertificate, Tls};
pub use watch::Watching;
