//! The services as a function.

use std::convert::Infallible;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::future::{BoxFuture, FutureExt};
use http::{Request, Response};
use tonic::body::Body;
use tower::Service;

use super::router::Router;

/// The services of a [`Server`](super::Server) as a function from a request to its response. Clones are cheap.
#[derive(Clone)]
pub struct InProcess(pub(super) Router);

impl std::fmt::Debug for InProcess {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("InProcess")
    }
}

#[cfg(any(test, feature = "fuzzing"))]
impl InProcess {
    /// Serve a connection that somebody else has made, to its end.
    pub(crate) async fn connection<I>(self, io: I)
    where
        I: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
    {
        // That the other side does not speak HTTP is its own business.
        let (life, limits) = (super::lifetime::Life::new(), super::limits::Limits::default());
        drop(super::port::connection(&limits, io, self.0, http::Extensions::new(), life).await);
    }
}

impl<B> Service<Request<B>> for InProcess
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let router = self.0.clone();
        async move { Ok(router.answer(request.map(Body::new)).await) }.boxed()
    }
}
