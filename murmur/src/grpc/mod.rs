//! The typed query service: gRPC, gRPC-Web, Connect and plain HTTP/JSON on one port.
//!
//! ```text
//!               +-- application/grpc ----------------+
//! connection ---+-- application/grpc-web (tonic-web) +--> Rpc: bytes in, bytes out --> Reader<P>
//!               +-- application/proto, /json (Connect)
//! ```
//!
//! One generic [`PipelineService`] serves every pipeline; nothing is generated for the server. All protocols meet in
//! one trait that takes the bytes of a request message and gives the bytes of a reply, so that each limit, deadline
//! and error exists once. JSON is transcoded by the descriptors that the build step emits.
//!
//! | protocol | path | body |
//! |---|---|---|
//! | gRPC, HTTP/2 | `POST /<package>.<Service>/<Method>` | framed protobuf |
//! | gRPC-Web, HTTP/1.1 or 2 | the same | framed protobuf, trailers in the body |
//! | Connect, HTTP/1.1 or 2 | the same; `GET ...?connect=v1&encoding=..&message=..` for reads | protobuf or JSON |
//! | plain HTTP | `POST` as Connect; `GET /` lists what there is | JSON |
//! | health | `grpc.health.v1` per service; `GET /healthz`: it lives; `GET /readyz`: it serves, or 503 with the reasons | JSON |

mod client;
mod connect;
mod deadline;
mod frame;
mod handler;
mod health;
mod interval;
mod json;
pub mod messages;
mod native;
mod pages;
mod query_service;
mod router;
mod rpc;
mod server;
mod service;
mod sets;
mod status;
#[cfg(test)]
pub(crate) mod tests;
#[cfg(feature = "otlp")]
mod trace;
mod truth;
mod watch;

pub use client::Client;
pub use server::{InProcess, Server, ServerBuilder};
pub use service::PipelineService;
pub use watch::Watching;
