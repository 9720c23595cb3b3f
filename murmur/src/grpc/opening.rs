//! How a connection begins: until its first bytes say which HTTP it speaks, it may not take for ever.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::watch;

/// What every connection by HTTP/2 begins with; what differs from it is HTTP/1.1.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A stream that notes when its beginning was read.
pub(super) struct Opening<S> {
    stream: S,
    /// Bytes of the preface so far.
    seen: usize,
    begun: watch::Sender<bool>,
}

impl<S> Opening<S> {
    /// The stream, and what ends when it has been silent for too long: never, once it has begun.
    pub(super) fn of(stream: S, patience: Duration) -> (Self, impl Future<Output = ()> + Send) {
        let (begun, mut begins) = watch::channel(false);
        let silent = async move {
            let begun =
                tokio::time::timeout(patience, begins.wait_for(|begun| *begun)).await.is_ok_and(|begun| begun.is_ok());
            if begun {
                std::future::pending::<()>().await;
            }
        };
        (Self { stream, seen: 0, begun }, silent)
    }

    fn note(&mut self, bytes: &[u8]) {
        let rest = &PREFACE[self.seen..];
        let same = bytes.iter().zip(rest).take_while(|(byte, expected)| byte == expected).count();
        self.seen += same;
        if same < bytes.len() || self.seen == PREFACE.len() {
            self.begun.send_replace(true);
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Opening<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, buf);
        if !*self.begun.borrow() {
            self.note(&buf.filled()[before..]);
        }
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
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(10);

    /// Whether a connection is cut off that sends these pieces, and nothing after them.
    async fn is_cut_off(pieces: &[&[u8]]) -> bool {
        let (mut client, server) = tokio::io::duplex(1_024);
        let (mut opening, silent) = Opening::of(server, PATIENCE);
        for piece in pieces {
            client.write_all(piece).await.unwrap();
            opening.read_exact(&mut vec![0; piece.len()]).await.unwrap();
        }
        let mut silent = Box::pin(silent);
        assert!((&mut silent).now_or_never().is_none());
        tokio::time::advance(PATIENCE).await;
        silent.now_or_never().is_some()
    }

    #[tokio::test(start_paused = true)]
    async fn only_a_connection_that_has_not_begun_is_cut_off() {
        let silent: [&[&[u8]]; 3] = [&[], &[b"P"], &[b"PRI * HTTP/2.0\r\n", b"\r\nSM\r\n\r"]];
        for pieces in silent {
            assert!(is_cut_off(pieces).await, "{pieces:?}");
        }
        let begun: [&[&[u8]]; 4] =
            [&[b"G"], &[b"POST"], &[b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"], &[b"PRI * HTTP/2.0\r\n\r\n", b"SM\r\n\r\n"]];
        for pieces in begun {
            assert!(!is_cut_off(pieces).await, "{pieces:?}");
        }
    }
}
