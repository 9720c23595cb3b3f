//! Which protocol a request speaks, and who answers it.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::future::{BoxFuture, FutureExt};
use futures_util::stream::{self, StreamExt};
use http::header::CONTENT_TYPE;
use http::{Request, Response};
use tokio::sync::watch;
use tokio::time::Instant;
use tonic::Status;
use tonic::body::Body;
use tonic::service::Routes;
use tonic_web::{GrpcWebLayer, GrpcWebService};
use tower::{Layer, Service, ServiceExt};

use super::json::Transcoder;
use super::pages::Pages;
use super::rpc::{Replies, Rpc, split_path};
use super::{connect, deadline, native};

/// All services of a server.
pub(super) struct Services {
    /// Ours, by name.
    pub(super) rpcs: HashMap<String, Arc<dyn Rpc>>,
    /// Those of tonic: health and reflection.
    pub(super) others: Routes,
    pub(super) transcoder: Transcoder,
    pub(super) pages: Pages,
    pub(super) drain: Drain,
}

/// Answers every request of a server, whatever it speaks.
#[derive(Clone)]
pub(super) struct Router {
    services: Arc<Services>,
    web: GrpcWebService<Grpc>,
}

impl Router {
    pub(super) fn new(services: Services) -> Self {
        let services = Arc::new(services);
        Self { web: GrpcWebLayer::new().layer(Grpc(services.clone())), services }
    }

    /// Answer a request, within the trace of its caller.
    pub(super) async fn answer(self, request: Request<Body>) -> Response<Body> {
        #[cfg(feature = "otlp")]
        let trace = super::trace::of(request.headers());
        let answered = self.dispatch(request);
        #[cfg(feature = "otlp")]
        let answered = opentelemetry::context::FutureExt::with_context(answered, trace);
        answered.await
    }

    async fn dispatch(self, request: Request<Body>) -> Response<Body> {
        let kind = request.headers().get(CONTENT_TYPE).map_or(&b""[..], |kind| kind.as_bytes());
        let answered = if kind.starts_with(b"application/grpc-web") {
            self.web.oneshot(request).await
        } else if kind.starts_with(b"application/grpc") {
            Grpc(self.services).oneshot(request).await
        } else {
            Ok(connect::answer(&self.services, request).await)
        };
        match answered {
            Ok(response) => response,
            Err(never) => match never {},
        }
    }
}

/// The part that speaks gRPC.
#[derive(Clone)]
struct Grpc(Arc<Services>);

impl Service<Request<Body>> for Grpc {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let services = self.0.clone();
        async move {
            let path = request.uri().path().to_owned();
            if let Some((service, method)) = split_path(&path)
                && let Some(rpc) = services.rpcs.get(service)
            {
                return Ok(native::answer(rpc.clone(), method, request, services.drain.clone()).await);
            }
            services.others.clone().oneshot(request).await
        }
        .boxed()
    }
}

/// Knows when a server is stopping: calls with one reply finish, streams end.
#[derive(Debug, Clone)]
pub(super) struct Drain(Option<watch::Receiver<bool>>);

impl Drain {
    /// Of a server that has no drain of its own.
    pub(super) fn never() -> Self {
        Self(None)
    }

    pub(super) fn new(stopping: watch::Receiver<bool>) -> Self {
        Self(Some(stopping))
    }

    /// The replies, until the deadline passes or the server stops.
    pub(super) fn guard(&self, replies: Replies, at: Option<Instant>) -> Replies {
        let state = Some((replies, self.clone()));
        stream::unfold(state, move |state| async move {
            let (mut replies, mut drain) = state?;
            let end = tokio::select! {
                biased;
                () = drain.stopping() => Status::unavailable("the server is shutting down; call again"),
                () = sleep_until(at) => deadline::passed(),
                reply = replies.next() => {
                    let reply = reply?;
                    let rest = reply.is_ok().then_some((replies, drain));
                    return Some((reply, rest));
                }
            };
            Some((Err(end), None))
        })
        .boxed()
    }

    async fn stopping(&mut self) {
        match &mut self.0 {
            // An error: the server itself is gone.
            Some(stopping) => drop(stopping.wait_for(|stopping| *stopping).await),
            None => std::future::pending().await,
        }
    }
}

async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}
