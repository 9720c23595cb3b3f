//! Messages in bodies. gRPC, gRPC-Web and Connect's streams frame them alike:
//!
//! ```text
//! 1 byte   flags
//! 4 bytes  length of the message, big-endian
//! n bytes  the message
//! ```

use std::time::Duration;

use bytes::{Buf, BufMut, Bytes};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use tonic::Status;
use tonic::body::Body;

use super::super::refusal::Reason;
use super::compression::{Compression, Wanted};

/// Bytes before a message.
pub(in crate::grpc) const HEADER: usize = 5;
/// The flag of a compressed message.
const COMPRESSED: u8 = 1;

/// A message in its frame: written behind room for the head, so that nobody has to copy it to put one before it.
#[derive(Debug, Clone)]
pub(in crate::grpc) struct Framed(Bytes);

impl Framed {
    /// For a message of about so many bytes: a buffer with room before it.
    pub(in crate::grpc) fn room(bytes: usize) -> Vec<u8> {
        let mut buffer = Vec::with_capacity(HEADER + bytes);
        buffer.extend_from_slice(&[0; HEADER]);
        buffer
    }

    /// Such a buffer, once the message is in it.
    pub(in crate::grpc) fn close(mut buffer: Vec<u8>) -> Self {
        let length = buffer.len().saturating_sub(HEADER) as u32;
        if let Some(([_, head @ ..], _)) = buffer.split_first_chunk_mut::<HEADER>() {
            *head = length.to_be_bytes();
        }
        Self(buffer.into())
    }

    /// Of a message that is there already.
    pub(in crate::grpc) fn of(message: &[u8]) -> Self {
        let mut buffer = Self::room(message.len());
        buffer.extend_from_slice(message);
        Self::close(buffer)
    }

    /// The message alone.
    pub(in crate::grpc) fn message(&self) -> &[u8] {
        &self.0[HEADER..]
    }

    /// The message alone, without its frame.
    pub(in crate::grpc) fn into_message(mut self) -> Bytes {
        self.0.advance(HEADER);
        self.0
    }

    /// As a reply to a caller, compressed where that is worth it.
    pub(in crate::grpc) fn reply(self, wanted: Wanted) -> Bytes {
        if !wanted.is_of(self.message().len()) {
            return self.0;
        }
        match wanted.compress(self.0.slice(HEADER..)) {
            (Compression::Identity, _) => self.0,
            (_, compressed) => frame(COMPRESSED, &compressed),
        }
    }
}

impl Default for Framed {
    fn default() -> Self {
        Self::of(&[])
    }
}

/// A frame: its flags, and its message.
pub(in crate::grpc) fn frame(flags: u8, message: &[u8]) -> Bytes {
    let mut framed = Vec::with_capacity(HEADER + message.len());
    framed.put_u8(flags);
    framed.put_u32(message.len() as u32);
    framed.put_slice(message);
    framed.into()
}

/// The whole body, if it has at most `most` bytes.
pub(in crate::grpc) async fn whole(mut body: Body, most: usize) -> Result<Bytes, Status> {
    match Limited::new(&mut body, most).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => {
            discard(body).await;
            Err(too_large(most))
        }
        Err(_) => Err(Status::cancelled("the request's body was cut off")),
    }
}

/// Read a body that is not wanted, if it is not long: over HTTP/1.1 whoever is still sending one when its answer comes sees a
/// connection that breaks, and not the answer.
pub(in crate::grpc) async fn discard(body: Body) {
    const PATIENCE: Duration = Duration::from_secs(1);
    const MOST: usize = 1 << 20;
    let mut body = Limited::new(body, MOST);
    // Frame by frame, and nothing is kept. What cannot be read so is left to that.
    let read = async { while let Some(Ok(_)) = body.frame().await {} };
    drop(tokio::time::timeout(PATIENCE, read).await);
}

/// The one message of a framed body, decompressed.
pub(in crate::grpc) fn single(mut body: Bytes, compression: Compression, most: usize) -> Result<Bytes, Status> {
    if body.is_empty() {
        return Err(Status::unimplemented("the request's body has no message, and this method takes one"));
    }
    if body.len() < HEADER {
        return Err(Status::invalid_argument("the request's body is cut off"));
    }
    let flags = body.get_u8();
    let length = body.get_u32() as usize;
    if flags & !COMPRESSED != 0 {
        return Err(Status::invalid_argument(format!("a request's message cannot have the flags {flags:#04x}")));
    }
    if length > most {
        return Err(too_large(most));
    }
    if length > body.len() {
        return Err(Status::invalid_argument("the request's body is cut off"));
    }
    let message = body.split_to(length);
    if !body.is_empty() {
        return Err(Status::unimplemented("the request's body has more than one message, and this method takes one"));
    }
    match (flags & COMPRESSED != 0, compression) {
        (false, _) => Ok(message),
        // The code that gRPC wants, though the caller is to blame.
        (true, Compression::Identity) => {
            Err(Reason::COMPRESSION_UNNAMED.bare("the message is compressed, and no header says by what"))
        }
        (true, compression) => compression.decompress(message, most),
    }
}

pub(in crate::grpc) fn too_large(most: usize) -> Status {
    Status::resource_exhausted(format!("the request has more than {most} bytes; split it"))
}
