//! A service of tonic's, hosted: called by every protocol, though it knows only gRPC.

use bytes::{Buf, Bytes, BytesMut};
use futures_util::future::{BoxFuture, FutureExt};
use futures_util::stream::{self, StreamExt};
use http::header::{CONTENT_TYPE, TE};
use http::{HeaderMap, HeaderValue, Method as Verb, Request, Response, StatusCode};
use http_body_util::BodyExt;
use tonic::body::Body;
use tonic::metadata::MetadataMap;
use tonic::service::Routes;
use tonic::{Code, Status};
use tower::ServiceExt;

use super::protocol::frame::{self, Framed};
use super::protocol::metadata;
use super::protocol::rpc::{Call, Method, Part, Reads, Replies, Reply, Rpc};
use super::refusal::{self, Reason};
use super::server::HEALTH;

/// Metadata behind the reply of a service of tonic: trailers, where a protocol has them. tonic knows none for a method with one reply, so
/// a port takes them from the extensions of the response; they are added to those that a stream has by its last status.
///
/// ```
/// # use murmur::grpc::Trailers;
/// let mut reply = tonic::Response::new(());
/// let mut trailers = Trailers::default();
/// trailers.0.insert("cost", "7".parse()?);
/// reply.extensions_mut().insert(trailers);
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct Trailers(pub MetadataMap);

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
        if let Some(left) = if method.streams { call.deadline.left() } else { call.deadline.left_of_unary() } {
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
    let (mut head, body) = response.into_parts();
    let behind = head.extensions.remove().unwrap_or_default();
    let pieces = |trailers| Pieces { body, buffered: BytesMut::new(), trailers, behind };
    match Status::from_header_map(&head.headers) {
        Some(status) if status.code() != Code::Ok => Err(status),
        // No reply, and nothing behind it.
        Some(_) => Ok((HeaderMap::new(), pieces(Some(head.headers)))),
        None if !head.status.is_success() => Err(without_status(head.status)),
        None => Ok((head.headers, pieces(None))),
    }
}

/// What gRPC makes of an answer by HTTP alone: somebody in front of the service has given it.
/// See [its table](https://github.com/grpc/grpc/blob/master/doc/http-grpc-status-mapping.md).
fn without_status(http: StatusCode) -> Status {
    let code = match http {
        StatusCode::BAD_REQUEST => Code::Internal,
        StatusCode::UNAUTHORIZED => Code::Unauthenticated,
        StatusCode::FORBIDDEN => Code::PermissionDenied,
        StatusCode::NOT_FOUND => Code::Unimplemented,
        StatusCode::TOO_MANY_REQUESTS
        | StatusCode::BAD_GATEWAY
        | StatusCode::SERVICE_UNAVAILABLE
        | StatusCode::GATEWAY_TIMEOUT => Code::Unavailable,
        _ => Code::Unknown,
    };
    Status::new(code, format!("a service answered with the HTTP status {}", http.as_u16()))
}

/// A body, message by message.
struct Pieces {
    body: Body,
    buffered: BytesMut,
    trailers: Option<HeaderMap>,
    /// What the service adds to them.
    behind: Trailers,
}

impl Pieces {
    /// The next message, or the trailers behind the last one.
    async fn next(&mut self) -> Result<Part, Status> {
        loop {
            if let Some(message) = self.message()? {
                return Ok(Part::Message(message));
            }
            if let Some(mut trailers) = self.trailers.take() {
                return match Status::from_header_map(&trailers) {
                    Some(status) if status.code() != Code::Ok => Err(status),
                    Some(_) if self.buffered.is_empty() => {
                        let Trailers(behind) = std::mem::take(&mut self.behind);
                        metadata::add(&mut trailers, &behind.into_headers());
                        Ok(Part::Trailers(trailers))
                    }
                    Some(_) => Err(Status::internal("a service ended in the midst of a message")),
                    None => Err(Status::unknown("a service ended without a status")),
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
            return Err(Status::internal("a service compressed its reply, which nobody asked for"));
        }
        Ok(Some(message))
    }
}

impl Rpc for Hosted {
    fn name(&self) -> &str {
        &self.name
    }

    fn is_ours(&self) -> bool {
        false
    }

    fn reads(&self) -> Reads<'_> {
        if self.name == HEALTH { Reads::Health } else { Reads::Nothing }
    }

    /// What a service says is passed on as it is, and nothing is added to it; that of health is one of ours.
    fn explain(&self, status: Status) -> Status {
        match status.code() {
            _ if self.name != HEALTH => status,
            Code::NotFound if status.details().is_empty() => Reason::SERVICE_UNKNOWN
                .status("there is no service of this name; ask without one for the health of the server as a whole"),
            _ => refusal::explained(status),
        }
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
            Ok(Reply { message: Framed::of(&message), headers, trailers })
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

#[cfg(test)]
mod tests {
    use http_body::Frame;
    use http_body_util::StreamBody;

    use super::*;

    type Said = Result<Frame<Bytes>, Status>;

    /// What comes of a service's answer: its messages, and how it ended.
    async fn read(status: u16, headers: &[(&str, &str)], body: Vec<Said>) -> (usize, Result<HeaderMap, Status>) {
        let mut response = Response::builder().status(status);
        for (name, value) in headers {
            response = response.header(*name, *value);
        }
        let mut pieces = match opened(response.body(Body::new(StreamBody::new(stream::iter(body)))).unwrap()) {
            Ok((_, pieces)) => pieces,
            Err(status) => return (0, Err(status)),
        };
        let mut messages = 0;
        loop {
            match pieces.next().await {
                Ok(Part::Message(_)) => messages += 1,
                Ok(Part::Trailers(trailers)) => return (messages, Ok(trailers)),
                Err(status) => return (messages, Err(status)),
            }
        }
    }

    fn message(text: &str) -> Said {
        Ok(Frame::data(frame::frame(0, text.as_bytes())))
    }

    fn trailers(status: &'static str) -> Said {
        let named = [("grpc-status", status), ("a", "b")];
        Ok(Frame::trailers(
            named.map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).into_iter().collect(),
        ))
    }

    #[tokio::test]
    async fn replies_come_with_what_stands_behind_them() {
        let (messages, ended) = read(200, &[], vec![message("one"), message("two"), trailers("0")]).await;
        assert_eq!((messages, &ended.unwrap()["a"]), (2, &HeaderValue::from_static("b")));
        let (messages, ended) = read(200, &[("grpc-status", "0")], vec![]).await;
        assert!(messages == 0 && ended.is_ok());
        let (messages, ended) = read(200, &[], vec![message("one"), trailers("8")]).await;
        assert_eq!((messages, ended.unwrap_err().code()), (1, Code::ResourceExhausted));
    }

    /// What our layer says of this in `docs/decisions/the-protocols-are-ours.md`: when tonic has learnt it, this fails.
    #[tokio::test]
    async fn tonic_sets_nothing_behind_a_reply_of_its_own_and_a_port_what_it_is_told() {
        let metadata = || {
            let mut metadata = MetadataMap::new();
            metadata.insert("a", "b".parse().unwrap());
            metadata
        };
        let request = || Request::new(Body::new(http_body_util::Full::new(frame::frame(0, b""))));
        let mut grpc = tonic::server::Grpc::new(tonic_prost::ProstCodec::<(), ()>::default());
        let trailers = async |response| {
            let (headers, mut pieces) = opened(response).unwrap();
            assert!(matches!(pieces.next().await.unwrap(), Part::Message(_)));
            let Part::Trailers(trailers) = pieces.next().await.unwrap() else { panic!("there are two replies") };
            (headers.contains_key("a"), trailers.contains_key("a"))
        };
        let alone = tower::service_fn(|_: tonic::Request<()>| async {
            let mut reply = tonic::Response::new(());
            *reply.metadata_mut() = metadata();
            Ok::<_, Status>(reply)
        });
        assert_eq!(trailers(grpc.unary(alone, request()).await).await, (true, false));
        let told = tower::service_fn(|_: tonic::Request<()>| async {
            let mut reply = tonic::Response::new(());
            reply.extensions_mut().insert(Trailers(metadata()));
            Ok::<_, Status>(reply)
        });
        assert_eq!(trailers(grpc.unary(told, request()).await).await, (false, true));
        let stream = tower::service_fn(|_: tonic::Request<()>| async {
            let end = Status::with_metadata(Code::Ok, "", metadata());
            Ok::<_, Status>(tonic::Response::new(stream::iter([Ok(()), Err(end)])))
        });
        assert_eq!(trailers(grpc.server_streaming(stream, request()).await).await, (false, true));
    }

    #[tokio::test]
    async fn an_answer_that_is_not_whole_is_no_success() {
        let code =
            async |status, headers: &[(&str, &str)], body| read(status, headers, body).await.1.unwrap_err().code();
        assert_eq!(code(503, &[], vec![]).await, Code::Unavailable);
        assert_eq!(code(401, &[("content-type", "text/html")], vec![]).await, Code::Unauthenticated);
        assert_eq!(code(200, &[("grpc-status", "7")], vec![]).await, Code::PermissionDenied);
        assert_eq!(code(200, &[], vec![]).await, Code::Unknown);
        assert_eq!(code(200, &[], vec![message("one")]).await, Code::Unknown);
        let half = Ok(Frame::data(frame::frame(0, b"half").slice(..7)));
        assert_eq!(code(200, &[], vec![half, trailers("0")]).await, Code::Internal);
        assert_eq!(code(200, &[], vec![Ok(Frame::data(frame::frame(1, b"?"))), trailers("0")]).await, Code::Internal);
        assert_eq!(code(200, &[], vec![message("one"), Err(Status::aborted("cut"))]).await, Code::Aborted);
    }
}
