//! Messages in bodies. gRPC, gRPC-Web and Connect's streams frame them alike:
//!
//! ```text
//! 1 byte   flags
//! 4 bytes  length of the message, big-endian
//! n bytes  the message
//! ```

use bytes::{Buf, BufMut, Bytes};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use tonic::Status;
use tonic::body::Body;

use super::rpc::MAX_REQUEST;

/// Bytes before a message.
const HEADER: usize = 5;

/// A message of a frame: its flags, and its bytes.
pub(super) fn frame(flags: u8, message: &[u8]) -> Bytes {
    let mut framed = Vec::with_capacity(HEADER + message.len());
    framed.put_u8(flags);
    framed.put_u32(message.len() as u32);
    framed.put_slice(message);
    framed.into()
}

/// The whole body, if it has at most `limit` bytes.
pub(super) async fn whole(body: Body, limit: usize) -> Result<Bytes, Status> {
    match Limited::new(body, limit).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(too_large()),
        Err(_) => Err(Status::cancelled("the request's body was cut off")),
    }
}

/// The one message of a framed body.
pub(super) async fn single(body: Body) -> Result<Bytes, Status> {
    let mut body = whole(body, HEADER + MAX_REQUEST).await?;
    if body.len() < HEADER {
        return Err(Status::invalid_argument("the request's body has no message"));
    }
    let flags = body.get_u8();
    let length = body.get_u32() as usize;
    if flags & 1 != 0 {
        return Err(Status::unimplemented("compressed messages are not accepted; send them plain"));
    }
    if flags != 0 {
        return Err(Status::invalid_argument(format!("a request's message cannot have the flags {flags:#04x}")));
    }
    if length > MAX_REQUEST {
        return Err(too_large());
    }
    if length != body.len() {
        return Err(Status::invalid_argument("the request's body is not one whole message"));
    }
    Ok(body)
}

pub(super) fn too_large() -> Status {
    Status::resource_exhausted(format!("the request has more than {MAX_REQUEST} bytes; split it"))
}
