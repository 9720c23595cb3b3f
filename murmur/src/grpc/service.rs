//! One pipeline as a `tower` service, for a `tonic` server of one's own.

use std::convert::Infallible;
use std::marker::PhantomData;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::future::{BoxFuture, FutureExt};
use http::{Request, Response};
use tonic::Status;
use tonic::body::Body;
use tonic::server::NamedService;
use tower::Service;

use super::Watching;
use super::drain::Drain;
use super::handler::Handler;
use super::limits::Limits;
use super::protocol::rpc::{Served, split_path};
use super::protocol::{Terms, native};
use super::refusal::explained;
use super::watch::Shared;
use crate::pipeline::{Pipeline, Spec};
use crate::query::Reader;

/// The typed query service of a pipeline over gRPC and gRPC-Web.
///
/// [`Server`](super::Server) serves it with all protocols, reflection and health; this is for adding it to a server
/// that exists already: `tonic::transport::Server::builder().add_service(PipelineService::new(reader))`.
pub struct PipelineService<P> {
    served: Served,
    pipeline: PhantomData<fn() -> P>,
}

impl<P: Pipeline> Clone for PipelineService<P> {
    fn clone(&self) -> Self {
        Self { served: self.served.clone(), pipeline: PhantomData }
    }
}

impl<P: Pipeline> PipelineService<P> {
    /// The service of a reader's pipeline.
    pub fn new(reader: Reader<P>) -> Self {
        Self::watching(reader, Watching::default())
    }

    /// The same, with the watched keys looked at differently.
    pub fn watching(reader: Reader<P>, watching: Watching) -> Self {
        let shared = Shared::new(watching, &Limits::default(), Drain::never());
        Self { served: Served::new(Arc::new(Handler::new(reader, shared))), pipeline: PhantomData }
    }
}

impl<P: Pipeline, B> Service<Request<B>> for PipelineService<P>
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let served = self.served.clone();
        async move {
            let request = request.map(Body::new);
            let path = request.uri().path().to_owned();
            Ok(match (split_path(&path), native::Kind::of(request.headers())) {
                (Some((_, method)), Some(Ok(kind))) => {
                    native::answer(&served, method, kind, request, &Terms::alone()).await
                }
                (Some(_), Some(Err(status))) => native::refuse_plainly(&explained(status)),
                (Some(_), None) => {
                    explained(Status::unimplemented("this service speaks gRPC and gRPC-Web")).into_http()
                }
                (None, _) => explained(Status::unimplemented("the path is not `/<service>/<method>`")).into_http(),
            })
        }
        .boxed()
    }
}

impl<P: Pipeline> NamedService for PipelineService<P> {
    const NAME: &'static str = Name::<P>::TEXT;
}

/// `package.Service` at compile time: constants of a generic type cannot be concatenated otherwise.
struct Name<P>(PhantomData<P>);

/// Longest full name of a service.
const LONGEST: usize = 512;

impl<P: Pipeline> Name<P> {
    const JOINED: ([u8; LONGEST], usize) = join(&P::SPEC);

    const TEXT: &'static str = {
        let (bytes, length) = &Self::JOINED;
        match std::str::from_utf8(bytes.split_at(*length).0) {
            Ok(text) => text,
            Err(_) => panic!("two texts and a dot are a text"),
        }
    };
}

const fn join(spec: &Spec) -> ([u8; LONGEST], usize) {
    let parts = [spec.package.as_bytes(), b".", spec.service.as_bytes()];
    let mut joined = [0; LONGEST];
    let mut length = 0;
    let mut part = 0;
    while part < parts.len() {
        let mut at = 0;
        while at < parts[part].len() {
            assert!(length < LONGEST, "the full name of a service has at most 512 bytes");
            joined[length] = parts[part][at];
            length += 1;
            at += 1;
        }
        part += 1;
    }
    (joined, length)
}
