//! A service of tonic's, hosted: called by every protocol, though it knows only gRPC.

use bytes::{Buf, Bytes, BytesMut};
use futures_util::future::{BoxFuture, FutureExt};
use futures_util::stream::{self, StreamExt};
use http::header::{CONTENT_TYPE, TE};
use http::{HeaderMap, HeaderValue, Method as Verb, Request, Response};
use http_body_util::BodyExt;
use tonic::body::Body;
use tonic::service::Routes;
use tonic::{Code, Status};
use tower::ServiceExt;

use super::protocol::compression::Compression;
use super::protocol::rpc::{Call, Method, Part, Replies, Reply, Rpc};
use super::protocol::{frame, metadata};

/// A service behind its routes.
pub(super) struct Hosted {
    pub(super) name: String,
    pub(super) methods: Vec<Method>,
    pub(super) routes: Routes,
}

impl Hosted {
    /// Call the service as a client of gRPC would.
    async fn call(&self, at: usize, call: Call) -> Result<(HeaderMap, Pieces), Status> {
        let method = self.methods.get(at).ok_or_else(|| Status::unimplemented("there is no such method"))?;
        let mut request = Request::new(Body::new(http_body_util::Full::new(frame::frame(0, &call.message))));
        *request.method_mut() = Verb::POST;
        let path = format!("/{}/{}", self.name, method.name);
        *request.uri_mut() = path.parse().map_err(|_| Status::internal(format!("`{path}` is not a path")))?;
        let headers = request.headers_mut();
        metadata::add(headers, &call.headers);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        headers.insert(TE, HeaderValue::from_static("trailers"));
        if let Some(left) = call.deadline.left() {
            // At most eight digits are allowed: 27 hours in milliseconds.
            let millis = left.as_millis().min(99_999_999);
            if let Ok(timeout) = HeaderValue::try_from(format!("{millis}m")) {
                headers.insert("grpc-timeout", timeout);
            }
        }
        *request.extensions_mut() = call.extensions;
        let Ok(response) = self.routes.clone().oneshot(request).await;
        opened(response)
    }
}

/// What is there of a response before its body is read.
fn opened(response: Response<Body>) -> Result<(HeaderMap, Pieces), Status> {
    let (head, body) = response.into_parts();
    match Status::from_header_map(&head.headers) {
        Some(status) if status.code() != Code::Ok => Err(status),
        _ => Ok((head.headers, Pieces { body, buffered: BytesMut::new(), trailers: None })),
    }
}

/// A body, message by message.
struct Pieces {
    body: Body,
    buffered: BytesMut,
    trailers: Option<HeaderMap>,
}

impl Pieces {
    /// The next message, or the trailers behind the last one.
    async fn next(&mut self) -> Result<Part, Status> {
        loop {
            if let Some(message) = self.message()? {
                return Ok(Part::Message(message));
            }
            if let Some(trailers) = self.trailers.take() {
                return match Status::from_header_map(&trailers) {
                    Some(status) if status.code() != Code::Ok => Err(status),
                    _ => Ok(Part::Trailers(trailers)),
                };
            }
            match self.body.frame().await {
                None => self.trailers = Some(HeaderMap::new()),
                Some(Err(error)) => return Err(error),
                Some(Ok(piece)) => match piece.into_data() {
                    Ok(data) => self.buffered.extend_from_slice(&data),
                    Err(other) => self.trailers = other.into_trailers().ok(),
                },
            }
        }
    }

    fn message(&mut self) -> Result<Option<Bytes>, Status> {
        let Some((head, rest)) = self.buffered.split_first_chunk::<{ frame::HEADER }>() else { return Ok(None) };
        let [flags, length @ ..] = *head;
        let length = u32::from_be_bytes(length) as usize;
        if rest.len() < length {
            return Ok(None);
        }
        self.buffered.advance(frame::HEADER);
        let message = self.buffered.split_to(length).freeze();
        // Nobody has told the service that compressed replies are understood.
        if flags != 0 {
            return Err(Status::internal(format!(
                "a service compressed its reply beyond `{}`",
                Compression::Identity.name()
            )));
        }
        Ok(Some(message))
    }
}

impl Rpc for Hosted {
    fn name(&self) -> &str {
        &self.name
    }

    fn methods(&self) -> &[Method] {
        &self.methods
    }

    fn unary(&self, at: usize, call: Call) -> BoxFuture<'_, Result<Reply, Status>> {
        async move {
            let (headers, mut pieces) = self.call(at, call).await?;
            let Part::Message(message) = pieces.next().await? else {
                return Err(Status::internal("a service ended a call without a reply"));
            };
            let Part::Trailers(trailers) = pieces.next().await? else {
                return Err(Status::internal("a service gave two replies where one is allowed"));
            };
            Ok(Reply { message, headers, trailers })
        }
        .boxed()
    }

    fn stream(&self, at: usize, call: Call) -> BoxFuture<'_, Result<Replies, Status>> {
        async move {
            let (headers, pieces) = self.call(at, call).await?;
            let parts = stream::unfold(Some(pieces), |pieces| async move {
                let mut pieces = pieces?;
                let part = pieces.next().await;
                let rest = matches!(part, Ok(Part::Message(_))).then_some(pieces);
                Some((part, rest))
            });
            Ok(Replies { headers, parts: parts.boxed() })
        }
        .boxed()
    }
}
