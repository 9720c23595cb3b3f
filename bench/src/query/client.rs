//! Clients that cost little: requests are bytes that were made before, and replies are looked at as bytes.

use bytes::{Bytes, BytesMut};
use h2::client::SendRequest;
use http::Request;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{Protocol, Result, text};

/// Somebody who makes one call after the other.
pub(super) enum Client {
    /// A stream at a time of a connection by HTTP/2, which it shares with others.
    Http2(SendRequest<Bytes>, Request<()>),
    /// A connection by HTTP/1.1.
    Http1(TcpStream, BytesMut, String),
}

/// Connections by HTTP/2, and how many calls each of them carries at the same time.
const HTTP2: (usize, usize) = (4, 32);
/// Connections by HTTP/1.1, one call at a time.
const HTTP1: usize = 32;
/// More than all replies take that are under way.
const ROOM: u32 = 16 << 20;

impl Client {
    /// All that call at the same time.
    pub(super) async fn connect(port: u16, protocol: Protocol, path: &str) -> Result<Vec<Self>> {
        let mut clients = Vec::new();
        match protocol {
            Protocol::Grpc => {
                let request = Request::post(format!("http://127.0.0.1:{port}{path}"))
                    .header("content-type", "application/grpc")
                    .header("te", "trailers")
                    .body(())
                    .map_err(text)?;
                let mut connections = Vec::new();
                for _ in 0..HTTP2.0 {
                    let mut builder = h2::client::Builder::new();
                    builder.initial_window_size(ROOM).initial_connection_window_size(ROOM);
                    let (calls, connection) = builder.handshake(socket(port).await?).await.map_err(text)?;
                    // An error of the connection is one of its calls as well.
                    tokio::spawn(async move { drop(connection.await) });
                    connections.push(calls);
                }
                let turns = connections.iter().cycle().take(HTTP2.0 * HTTP2.1);
                clients.extend(turns.map(|calls| Self::Http2(calls.clone(), request.clone())));
            }
            Protocol::Json => {
                let head = format!(
                    "POST {path} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\ncontent-type: application/json\r\n\
                     content-length: "
                );
                for _ in 0..HTTP1 {
                    clients.push(Self::Http1(socket(port).await?, BytesMut::new(), head.clone()));
                }
            }
        }
        Ok(clients)
    }

    /// The message of the reply to a request, which is a frame of gRPC, or JSON.
    pub(super) async fn call(&mut self, request: &Bytes) -> Result<Bytes> {
        match self {
            Self::Http2(calls, head) => {
                let mut ready = calls.clone().ready().await.map_err(text)?;
                let (response, mut body) = ready.send_request(head.clone(), false).map_err(text)?;
                body.send_data(request.clone(), true).map_err(text)?;
                framed(response.await.map_err(text)?).await
            }
            Self::Http1(socket, buffer, head) => {
                let mut bytes = Vec::with_capacity(head.len() + 8 + request.len());
                bytes.extend_from_slice(head.as_bytes());
                bytes.extend_from_slice(request.len().to_string().as_bytes());
                bytes.extend_from_slice(b"\r\n\r\n");
                bytes.extend_from_slice(request);
                socket.write_all(&bytes).await.map_err(text)?;
                plain(socket, buffer).await
            }
        }
    }
}

async fn socket(port: u16) -> Result<TcpStream> {
    let socket = TcpStream::connect(("127.0.0.1", port)).await.map_err(text)?;
    socket.set_nodelay(true).map_err(text)?;
    Ok(socket)
}

/// The one message of a response by gRPC, which has to end well.
async fn framed(response: http::Response<h2::RecvStream>) -> Result<Bytes> {
    let mut body = response.into_body();
    let mut whole = Bytes::new();
    while let Some(data) = body.data().await {
        let data = data.map_err(text)?;
        body.flow_control().release_capacity(data.len()).map_err(text)?;
        whole = if whole.is_empty() { data } else { [whole, data].concat().into() };
    }
    let trailers = body.trailers().await.map_err(text)?.ok_or("a reply without trailers")?;
    if trailers.get("grpc-status").is_none_or(|status| status != "0") {
        return Err(format!("a call failed: {trailers:?}"));
    }
    let length = whole.get(1..5).and_then(|length| length.try_into().ok()).map(u32::from_be_bytes);
    if length.is_none_or(|length| length as usize != whole.len() - 5) || whole[0] != 0 {
        return Err("a reply that is not one message".to_owned());
    }
    Ok(whole.slice(5..))
}

/// The body of a response by HTTP/1.1.
async fn plain(socket: &mut TcpStream, buffer: &mut BytesMut) -> Result<Bytes> {
    const END: &[u8] = b"\r\n\r\n";
    buffer.clear();
    let (start, length) = loop {
        if let Some(at) = buffer.windows(END.len()).position(|bytes| bytes == END) {
            break (at + END.len(), length(&buffer[..at])?);
        }
        more(socket, buffer).await?;
    };
    while buffer.len() < start + length {
        more(socket, buffer).await?;
    }
    Ok(buffer.split_to(start + length).freeze().slice(start..))
}

/// What a head says about the length of its body, if it is one of success.
fn length(head: &[u8]) -> Result<usize> {
    let head = str::from_utf8(head).map_err(text)?;
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    let length = length.filter(|_| head.starts_with("HTTP/1.1 200"));
    length.and_then(|length| length.parse().ok()).ok_or_else(|| format!("a call failed: {head}"))
}

async fn more(socket: &mut TcpStream, buffer: &mut BytesMut) -> Result<()> {
    buffer.reserve(16 << 10);
    match socket.read_buf(buffer).await.map_err(text)? {
        0 => Err("the server has closed a connection".to_owned()),
        _ => Ok(()),
    }
}
