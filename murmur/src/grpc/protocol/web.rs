//! [gRPC-Web](https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-WEB.md): gRPC whose trailers are the last frame of
//! the body, and which may be base64 all through, for clients that cannot read bytes.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::HeaderMap;
use tonic::Status;

use super::frame;

/// The flag of the frame that holds the trailers.
const TRAILERS: u8 = 0x80;

/// The last frame: trailers as a block of HTTP/1 headers.
pub(super) fn trailers(trailers: &HeaderMap) -> Bytes {
    let mut block = Vec::new();
    for (name, value) in trailers {
        for part in [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"] {
            block.extend_from_slice(part);
        }
    }
    frame::frame(TRAILERS, &block)
}

/// Text of a piece of a body; pieces may stand one after the other, each with its own padding.
pub(super) fn text(bytes: &[u8]) -> Bytes {
    STANDARD.encode(bytes).into()
}

/// The bytes of a body in text, which may be several padded pieces.
pub(super) fn bytes(text: &[u8]) -> Result<Bytes, Status> {
    let refused = || Status::invalid_argument("the request's body is not base64, as its `content-type` says");
    let text: Vec<u8> = text.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    // Padding ends a piece, and a piece is whole groups of four.
    let mut begin = 0;
    for (group, four) in text.chunks(4).enumerate() {
        let end = group * 4 + four.len();
        if four.last() == Some(&b'=') || end == text.len() {
            STANDARD.decode_vec(&text[begin..end], &mut bytes).map_err(|_| refused())?;
            begin = end;
        }
    }
    Ok(bytes.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_of_text_read_as_one() {
        let pieces = [text(b"a"), text(b"bc"), text(b"def"), text(b"")].concat();
        assert_eq!(bytes(&pieces).unwrap(), "abcdef");
        assert_eq!(bytes(b"YWJj\r\nZGVm").unwrap(), "abcdef");
        for wrong in [&b"YQ"[..], b"YQ==Y", b"*===", b"===="] {
            assert!(bytes(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn trailers_are_a_block_of_headers() {
        let headers =
            [("grpc-status", "0"), ("a", "b")].map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
        let framed = trailers(&HeaderMap::from_iter(headers));
        assert_eq!(&framed[..5], [0x80, 0, 0, 0, 22]);
        assert_eq!(&framed[5..], b"grpc-status: 0\r\na: b\r\n");
    }
}
