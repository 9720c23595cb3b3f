//! The floor: a server of tonic that greets, as its generator would have made it.

use std::convert::Infallible;
use std::task::{Context, Poll};

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Ready, ready};
use tokio::net::TcpListener;
use tonic::body::Body;
use tonic::codegen::http::{Request, Response};
use tonic::server::{Grpc, NamedService, UnaryService};
use tonic::transport::server::TcpIncoming;
use tonic::{Status, transport};
use tonic_prost::ProstCodec;
use tower::Service;

pub(super) const PATH: &str = "/bench.Greeter/SayHello";

/// What whoever is called so is greeted with.
pub(super) fn greeting(name: &str) -> String {
    format!("Hello {name}!")
}

/// Greets. Its messages are texts as field 1, which is how prost writes a `String`.
#[derive(Clone)]
struct Greeter;

impl UnaryService<String> for Greeter {
    type Response = String;
    type Future = Ready<Result<tonic::Response<String>, Status>>;

    fn call(&mut self, request: tonic::Request<String>) -> Self::Future {
        ready(Ok(tonic::Response::new(greeting(request.get_ref()))))
    }
}

impl Service<Request<Body>> for Greeter {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        async move {
            if request.uri().path() != PATH {
                return Ok(Status::unimplemented("there is nothing but greetings").into_http());
            }
            Ok(Grpc::new(ProstCodec::<String, String>::default()).unary(Self, request).await)
        }
        .boxed()
    }
}

impl NamedService for Greeter {
    const NAME: &'static str = "bench.Greeter";
}

pub(super) async fn serve(listener: TcpListener, stop: impl Future<Output = ()>) -> Result<(), String> {
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    let server = transport::Server::builder().add_service(Greeter);
    server.serve_with_incoming_shutdown(incoming, stop).await.map_err(|error| error.to_string())
}
