//! Layers of the user's own, in front of all that a port answers.

use std::convert::Infallible;

use bytes::Bytes;
use http::{Request, Response};
use tonic::body::Body;
use tower::util::BoxCloneSyncService;
use tower::{Layer, Service, ServiceExt};

use super::ServerBuilder;

/// All that a port answers, as a [layer](ServerBuilder::layer) finds it.
pub type PortService = BoxCloneSyncService<Request<Body>, Response<Body>, Infallible>;

/// Puts a layer in front of what is there.
pub(super) type PutInFront = Box<dyn FnOnce(PortService) -> PortService + Send>;

impl ServerBuilder {
    /// Put a layer of `tower` in front of all that the port answers: each protocol, health, pages, and what
    /// [`service`](Self::service) hosts. Of several, the last one is the first to see a request.
    ///
    /// It sees requests as they come, before it is known who asks: what it puts into their extensions is there for an
    /// [`Identify`](super::Identify) and for hosted services. Only what is no request to anybody does not reach it: headers over
    /// [`max_headers`](Self::max_headers). To refuse, answer with a status of HTTP, which every protocol has a meaning for: by gRPC
    /// 401 is `UNAUTHENTICATED`, 403 `PERMISSION_DENIED`, 429 and 503 `UNAVAILABLE`. What it refuses is not in the metrics of calls.
    ///
    /// ```
    /// use http::{HeaderValue, Response, StatusCode};
    /// use murmur::grpc::{PortService, ServerBuilder};
    /// use tower::{ServiceExt, layer::layer_fn, service_fn, util::MapResponseLayer};
    ///
    /// /// Only requests of one tenant, and the name of this machine on every answer.
    /// fn layered(server: ServerBuilder) -> ServerBuilder {
    ///     let of_our_tenant = layer_fn(|port: PortService| {
    ///         service_fn(move |request: http::Request<tonic::body::Body>| {
    ///             let port = port.clone();
    ///             async move {
    ///                 if request.headers().get("tenant").is_none_or(|tenant| tenant != "blue") {
    ///                     let mut refused = Response::new(tonic::body::Body::empty());
    ///                     *refused.status_mut() = StatusCode::FORBIDDEN;
    ///                     return Ok(refused);
    ///                 }
    ///                 port.oneshot(request).await
    ///             }
    ///         })
    ///     });
    ///     let named = MapResponseLayer::new(|mut answer: Response<tonic::body::Body>| {
    ///         answer.headers_mut().insert("server", HeaderValue::from_static("counts-1"));
    ///         answer
    ///     });
    ///     server.layer(of_our_tenant).layer(named)
    /// }
    /// # let _ = layered;
    /// ```
    #[must_use]
    pub fn layer<L, B>(mut self, layer: L) -> Self
    where
        L: Layer<PortService> + Send + 'static,
        L::Service: Service<Request<Body>, Response = Response<B>, Error: Into<Infallible>, Future: Send>
            + Clone
            + Send
            + Sync
            + 'static,
        B: http_body::Body<Data = Bytes, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + Send + 'static,
    {
        self.layers.push(Box::new(move |port| {
            let layered = layer.layer(port).map_err(Into::into);
            PortService::new(layered.map_response(|response: Response<B>| response.map(Body::new)))
        }));
        self
    }
}
