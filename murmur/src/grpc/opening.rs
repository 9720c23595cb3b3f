//! How a connection begins, and each request by HTTP/1.1: what has begun to come may not take for ever. HTTP/1.1 has no other bound for
//! headers that come byte by byte, and is idle between two requests as HTTP/2 is, for [as long as it may be](super::lifetime).

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::watch;

use super::lifetime::Life;

/// What every connection by HTTP/2 begins with; what differs from it is HTTP/1.1.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Which HTTP a connection speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Speaks {
    Http1,
    Http2,
}

/// A stream that notes when its beginning was read, and that of each request by HTTP/1.1.
pub(super) struct Opening<S> {
    stream: S,
    /// Bytes of the preface so far.
    seen: usize,
    speaks: Option<Speaks>,
    begun: watch::Sender<Option<Speaks>>,
    life: Life,
}

impl<S> Opening<S> {
    /// The stream of a connection, and what ends when that has been silent for too long, or the headers of a request by HTTP/1.1 have
    /// begun to come and are not all there.
    pub(super) fn of(stream: S, life: Life, patience: Duration) -> (Self, impl Future<Output = ()> + Send) {
        let (begun, mut begins) = watch::channel(None);
        let of_requests = life.clone();
        let late = async move {
            let begun = tokio::time::timeout(patience, begins.wait_for(Option::is_some)).await;
            match begun.map(|begun| begun.map(|speaks| *speaks)) {
                Ok(Ok(Some(Speaks::Http1))) => of_requests.slow(patience).await,
                Ok(Ok(_)) => std::future::pending().await,
                // Silent, or gone.
                Ok(Err(_)) | Err(_) => {}
            }
        };
        (Self { stream, seen: 0, speaks: None, begun, life }, late)
    }

    fn note(&mut self, bytes: &[u8]) {
        if self.speaks.is_none() {
            let rest = &PREFACE[self.seen..];
            let same = bytes.iter().zip(rest).take_while(|(byte, expected)| byte == expected).count();
            self.seen += same;
            if self.seen == PREFACE.len() {
                self.speaks = Some(Speaks::Http2);
            } else if same < bytes.len() {
                self.speaks = Some(Speaks::Http1);
            }
            self.begun.send_replace(self.speaks);
        }
        if self.speaks == Some(Speaks::Http1) && !bytes.is_empty() {
            self.life.hear();
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Opening<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, buf);
        self.note(&buf.filled()[before..]);
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Opening<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use http::Version;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(10);

    /// Whether a connection is cut off that sends these pieces, and nothing after them. By HTTP/1.1 they may be whole headers, so that
    /// a request begins.
    async fn is_cut_off(pieces: &[&[u8]], whole: bool) -> bool {
        let (mut client, server) = tokio::io::duplex(1_024);
        let life = Life::new();
        let (mut opening, late) = Opening::of(server, life.clone(), PATIENCE);
        for piece in pieces {
            client.write_all(piece).await.unwrap();
            opening.read_exact(&mut vec![0; piece.len()]).await.unwrap();
        }
        let _answering = whole.then(|| life.begin(Version::HTTP_11));
        let mut late = Box::pin(late);
        assert!((&mut late).now_or_never().is_none());
        tokio::time::advance(PATIENCE).await;
        late.now_or_never().is_some()
    }

    #[tokio::test(start_paused = true)]
    async fn only_a_connection_is_cut_off_that_has_not_begun_or_whose_headers_do_not_come() {
        let late: [&[&[u8]]; 5] = [&[], &[b"P"], &[b"PRI * HTTP/2.0\r\n", b"\r\nSM\r\n\r"], &[b"G"], &[b"POST"]];
        for pieces in late {
            assert!(is_cut_off(pieces, false).await, "{pieces:?}");
        }
        let begun: [&[&[u8]]; 3] = [
            &[b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"],
            &[b"PRI * HTTP/2.0\r\n\r\n", b"SM\r\n\r\n"],
            &[b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0"],
        ];
        for pieces in begun {
            assert!(!is_cut_off(pieces, false).await, "{pieces:?}");
        }
        assert!(!is_cut_off(&[b"GET / HTTP/1.1\r\n\r\n"], true).await);
    }
}
