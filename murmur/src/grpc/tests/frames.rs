//! HTTP/2 frame by frame, and connections in memory that a port holds.

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream};
use tokio::net::TcpStream;

use super::*;
use crate::grpc::limits::Limits;
use crate::grpc::port::Port;
use crate::grpc::protocol::frame::frame;

pub(super) const HEADERS: u8 = 1;
pub(super) const RESET: u8 = 3;
pub(super) const SETTINGS: u8 = 4;
pub(super) const PING: u8 = 6;
pub(super) const GOAWAY: u8 = 7;

/// HTTP/2, frame by frame: what no client does by itself can be sent.
pub(super) struct Frames<S>(pub(super) S);

/// A frame as it came.
pub(super) struct Frame {
    pub(super) kind: u8,
    pub(super) flags: u8,
    pub(super) stream: u8,
    pub(super) content: Vec<u8>,
}

impl Frames<TcpStream> {
    pub(super) async fn new(server: &Running) -> Self {
        Self::over(TcpStream::connect(server.address).await.unwrap()).await
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Frames<S> {
    pub(super) async fn over(mut stream: S) -> Self {
        stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.unwrap();
        Self(stream)
    }

    /// From now on no stream has room for what it is sent.
    pub(super) async fn take_nothing(&mut self) {
        let initial_window = 4;
        self.0.write_all(&[0, 0, 6, SETTINGS, 0, 0, 0, 0, 0, 0, initial_window, 0, 0, 0, 0]).await.unwrap();
    }

    /// From now on there is room for everything, as far as windows go.
    pub(super) async fn take_all(&mut self) {
        let (initial_window, window_update) = (4, 8);
        let most = [0x7f, 0xff, 0xff, 0xff];
        self.0.write_all(&[&[0, 0, 6, SETTINGS, 0, 0, 0, 0, 0, 0, initial_window], &most[..]].concat()).await.unwrap();
        self.0.write_all(&[0, 0, 4, window_update, 0, 0, 0, 0, 0, 0x7f, 0, 0, 0]).await.unwrap();
    }

    /// Ask for a path. Without an end the stream stays open.
    pub(super) async fn ask(&mut self, stream: u8, fields: &[(&str, &str)], ends: bool) {
        let mut block = Vec::new();
        for (name, value) in fields {
            // A field that is not indexed; a length, of seven bits or in pieces of seven more, before each text.
            block.push(0);
            for text in [name, value] {
                if text.len() < 127 {
                    block.push(text.len() as u8);
                } else {
                    let mut rest = text.len() - 127;
                    block.push(127);
                    while rest >= 128 {
                        block.push((rest % 128) as u8 | 128);
                        rest /= 128;
                    }
                    block.push(rest as u8);
                }
                block.extend_from_slice(text.as_bytes());
            }
        }
        let length = (block.len() as u32).to_be_bytes();
        let flags = if ends { 5 } else { 4 };
        let head = [length[1], length[2], length[3], HEADERS, flags, 0, 0, 0, stream];
        self.0.write_all(&[&head, block.as_slice()].concat()).await.unwrap();
    }

    /// The kind and the content of the next frame of a stream.
    pub(super) async fn next(&mut self, stream: u8) -> (u8, Vec<u8>) {
        let Frame { kind, content, .. } = self.of(stream).await;
        (kind, content)
    }

    pub(super) async fn of(&mut self, stream: u8) -> Frame {
        loop {
            let frame = self.any().await.unwrap();
            if frame.stream == stream {
                return frame;
            }
        }
    }

    /// Whether the connection is to end, before anything comes by a stream: by the first frame that says so. Otherwise it ends
    /// without a word.
    pub(super) async fn goes_away(&mut self) -> bool {
        while let Some(frame) = self.any().await {
            if frame.kind == GOAWAY {
                return true;
            }
        }
        false
    }

    /// The next frame; `None` when the connection has ended. What has to be confirmed is.
    pub(super) async fn any(&mut self) -> Option<Frame> {
        let mut head = [0; 9];
        self.0.read_exact(&mut head).await.ok()?;
        let mut content = vec![0; usize::from(head[1]) << 8 | usize::from(head[2])];
        self.0.read_exact(&mut content).await.ok()?;
        if matches!(head[3], SETTINGS | PING) && head[4] == 0 {
            let confirmed = if head[3] == PING { content.as_slice() } else { &[] };
            let head = [0, 0, confirmed.len() as u8, head[3], 1, 0, 0, 0, 0];
            // It may have ended meanwhile.
            let _ = self.0.write_all(&[&head, confirmed].concat()).await;
        }
        Some(Frame { kind: head[3], flags: head[4], stream: head[8], content })
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Frames<S> {
    /// The only message of a call, which is empty.
    pub(super) async fn message(&mut self, stream: u8) {
        self.message_of(stream, &[]).await;
    }

    pub(super) async fn message_of(&mut self, stream: u8, message: &[u8]) {
        let framed = frame(0, message);
        let head = [0, 0, framed.len() as u8, 0, 1, 0, 0, 0, stream];
        self.0.write_all(&[&head, &framed[..]].concat()).await.unwrap();
    }

    /// Watch a note; whether that is not refused.
    pub(super) async fn watches(&mut self, stream: u8) -> bool {
        self.ask(stream, &calling(&format!("/{NOTES}/Watch"), &[]), false).await;
        // A key without a name.
        self.message_of(stream, &[0x0a, 0]).await;
        let Frame { kind, flags, .. } = self.of(stream).await;
        let ends = 1;
        assert_eq!(kind, HEADERS);
        flags & ends == 0
    }

    /// A stream that goes on.
    pub(super) async fn watch(&mut self, stream: u8) {
        self.watch_as(stream, &[]).await;
    }

    pub(super) async fn watch_as(&mut self, stream: u8, more: &[(&str, &str)]) {
        self.ask(stream, &calling("/grpc.health.v1.Health/Watch", more), false).await;
        self.message(stream).await;
        assert_eq!(self.next(stream).await.0, HEADERS);
    }

    /// Take what comes for so long.
    pub(super) async fn take(&mut self, time: Duration) {
        let taking = async { while self.any().await.is_some() {} };
        assert!(tokio::time::timeout(time, taking).await.is_err(), "the connection has ended");
    }
}

/// The beginning of a call by gRPC.
pub(super) fn calling<'a>(path: &'a str, more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let fields = [(":method", "POST"), (":scheme", "http"), (":path", path), (":authority", "localhost")];
    [&fields[..], &[("content-type", "application/grpc")], more].concat()
}

/// A connection in memory, which a port with these limits holds, and whether it still does.
pub(super) fn held(limits: Limits) -> (DuplexStream, JoinHandle<()>) {
    held_by(World::new().builder(), limits)
}

pub(super) fn held_by(builder: ServerBuilder, limits: Limits) -> (DuplexStream, JoinHandle<()>) {
    held_for(builder.build(Drain::never()).unwrap().0, limits)
}

pub(super) fn held_for(router: Router, limits: Limits) -> (DuplexStream, JoinHandle<()>) {
    let (client, server) = tokio::io::duplex(64 << 10);
    let (stopping, stops) = watch::channel(false);
    let holding = tokio::spawn(async move {
        let _stopping = stopping;
        let port = Port::new(
            limits,
            #[cfg(feature = "tls")]
            None,
        );
        port.hold(server, router, ::http::Extensions::new(), stops).await;
    });
    (client, holding)
}
