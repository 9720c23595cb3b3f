//! The body of an answer that is all there, until its caller has taken it.
//!
//! A short one is handed to the connection at once. A longer one goes piece by piece, as its caller takes them, and keeps the place of
//! its call meanwhile; a caller that takes nothing loses it after [`PATIENCE`]. The connection takes one piece ahead, and asks for no
//! other while it has no room for that one, so the end does not wait to be asked for.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{self, BoxStream, StreamExt};
use http_body::{Frame, SizeHint};
use http_body_util::Full;
use tokio::time::Instant;
use tonic::Status;
use tonic::body::Body;

use super::super::drain::{Drain, Until};

/// Most bytes of a piece: of one frame of HTTP/2, where its client has not asked for larger ones. A connection keeps as much of a stream
/// that it cannot write, and then asks for no more.
pub(in crate::grpc) const PIECE: usize = 16 << 10;

/// How long a caller may take nothing of an answer of several pieces: as long as a call may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long it may take over all of it.
const LONGEST: Duration = Duration::from_secs(300);

/// A body of these bytes, with what comes behind them. `place` is held until they are written.
pub(in crate::grpc) fn body<P: Send + 'static>(bytes: Bytes, last: Option<Frame<Bytes>>, place: P) -> Body {
    if bytes.len() <= PIECE {
        return match last {
            None => Body::new(Full::new(bytes)),
            Some(last) => Body::new(Frames([Some(Frame::data(bytes)), Some(last)])),
        };
    }
    let left = last.is_none().then_some(bytes.len() as u64);
    let mut rest = bytes;
    let pieces = std::iter::from_fn(move || {
        let _held = &place;
        // A copy: one piece that its caller does not take would keep all of them, when its place is another call's already.
        let piece = |rest: &mut Bytes| Bytes::copy_from_slice(&rest.split_to(rest.len().min(PIECE)));
        (!rest.is_empty()).then(|| Frame::data(piece(&mut rest)))
    });
    let frames = stream::iter(pieces.chain(last).map(Ok)).boxed();
    let until = Until { deadline: Some(Instant::now() + LONGEST), standing: None, stall: PATIENCE };
    Body::new(Pieces { frames: Drain::never().guard(frames, until), left })
}

/// A message, and what comes behind it.
struct Frames([Option<Frame<Bytes>>; 2]);

impl http_body::Body for Frames {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        Poll::Ready(self.0.iter_mut().find_map(Option::take).map(Ok))
    }

    fn is_end_stream(&self) -> bool {
        self.0.iter().all(Option::is_none)
    }
}

/// What is left of a longer answer.
struct Pieces {
    frames: BoxStream<'static, Result<Frame<Bytes>, Status>>,
    /// How many bytes, where nothing comes behind them.
    left: Option<u64>,
}

impl http_body::Body for Pieces {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let polled = self.frames.poll_next_unpin(cx);
        if let (Poll::Ready(Some(Ok(frame))), Some(left)) = (&polled, &mut self.left) {
            *left -= frame.data_ref().map_or(0, |piece| piece.len() as u64);
        }
        polled
    }

    fn size_hint(&self) -> SizeHint {
        self.left.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use http::HeaderMap;
    use http_body::Body as _;
    use http_body_util::BodyExt;

    use super::*;

    fn long() -> Bytes {
        (0..100_000u32).map(|n| n as u8).collect()
    }

    #[tokio::test]
    async fn an_answer_is_whole_however_many_pieces_it_has() {
        for length in [0, 1, PIECE - 1, PIECE, PIECE + 1, 2 * PIECE, 100_000] {
            let bytes = long().slice(..length);
            let alone = body(bytes.clone(), None, ());
            assert_eq!(alone.size_hint().exact(), Some(length as u64));
            assert_eq!(alone.collect().await.unwrap().to_bytes(), bytes);
            let trailers = HeaderMap::from_iter([(http::header::AGE, 7.into())]);
            let followed = body(bytes.clone(), Some(Frame::trailers(trailers.clone())), ()).collect().await.unwrap();
            assert_eq!(followed.trailers(), Some(&trailers));
            assert_eq!(followed.to_bytes(), bytes);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_place_is_held_until_an_answer_is_written_or_has_not_been_taken_for_too_long() {
        let place = Arc::new(());
        let is_held = || Arc::strong_count(&place) > 1;
        body(long(), None, place.clone()).collect().await.unwrap();
        assert!(!is_held());
        let mut stalled = body(long(), None, place.clone());
        stalled.frame().await.unwrap().unwrap();
        tokio::time::sleep(PATIENCE * 9 / 10).await;
        assert!(is_held());
        tokio::time::sleep(PATIENCE / 5).await;
        assert!(!is_held());
        assert!(stalled.frame().await.unwrap().is_err());
    }
}
