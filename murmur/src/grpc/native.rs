//! gRPC itself: one framed message in, framed messages and a status in the trailers out. gRPC-Web arrives here too,
//! turned into this by `tonic-web`.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream::{self, StreamExt};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Method as Verb, Request, Response, StatusCode};
use http_body::Frame;
use http_body_util::StreamBody;
use tonic::Status;
use tonic::body::Body;

use super::deadline::{Deadline, within};
use super::frame;
use super::router::Drain;
use super::rpc::{self, Rpc};

/// Answer a call of a method by its name.
pub(super) async fn answer(rpc: Arc<dyn Rpc>, method: &str, request: Request<Body>, drain: Drain) -> Response<Body> {
    if request.method() != Verb::POST {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
        return response;
    }
    let Some((at, method)) = rpc::find(&*rpc, method) else {
        return Status::unimplemented(format!("`{}` has no method `{method}`", rpc.name())).into_http();
    };
    let (head, body) = request.into_parts();
    let answered = async {
        let deadline = Deadline::of(&head.headers)?;
        let message = within(deadline.unary(), frame::single(body)).await?;
        if method.streams {
            return Ok(streaming(drain.guard(rpc.stream(at, message)?, deadline.stream())));
        }
        let reply = rpc::unary(&*rpc, at, method, message, deadline).await?;
        Ok(unary(&reply))
    };
    answered.await.unwrap_or_else(|status: Status| status.into_http())
}

fn unary(reply: &[u8]) -> Response<Body> {
    let frames = [Ok(Frame::data(frame::frame(0, reply))), Ok(Frame::trailers(trailers(&Status::ok(""))))];
    respond(StreamBody::new(stream::iter(frames)))
}

fn streaming(replies: rpc::Replies) -> Response<Body> {
    // The status goes out once, after the first error or after the last reply.
    let frames = stream::unfold(Some(replies), |replies| async move {
        let mut replies = replies?;
        Some(match replies.next().await {
            Some(Ok(reply)) => (Ok(Frame::data(frame::frame(0, &reply))), Some(replies)),
            Some(Err(status)) => (Ok(Frame::trailers(trailers(&status))), None),
            None => (Ok(Frame::trailers(trailers(&Status::ok("")))), None),
        })
    });
    respond(StreamBody::new(frames))
}

fn trailers(status: &Status) -> HeaderMap {
    let mut trailers = HeaderMap::new();
    if status.add_header(&mut trailers).is_err() {
        // Only metadata could be refused, and ours has none.
        trailers.insert("grpc-status", HeaderValue::from_static("13"));
    }
    trailers
}

fn respond<B>(body: B) -> Response<Body>
where
    B: http_body::Body<Data = Bytes, Error = Status> + Send + 'static,
{
    let mut response = Response::new(Body::new(body));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    response
}
