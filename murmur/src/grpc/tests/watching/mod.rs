//! `Watch` and `WatchMany`: a snapshot, then changes, the newest only.

mod failing;
mod many;
mod one;
mod partitions;
mod resuming;
mod room;

use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{BoxStream, StreamExt};
use prost::Message;
use tonic::Status;

use super::*;
use crate::grpc::Watching;
use crate::grpc::drain::Drain;
use crate::grpc::limits::Limits;
use crate::grpc::messages::{WatchManyResponse, WatchRequest, WatchResponse};
use crate::grpc::watch::{How, Hub, Shared, of_many, of_one};
use crate::query::Ask;
use crate::store::Consistency;

/// An interval that never comes: only what is written moves a watcher.
const NEVER: Duration = Duration::from_secs(86_400);

/// What is counted for what is said of an answer, whose times have other lengths with each look.
const SAID: usize = 96;

type Stream = BoxStream<'static, Result<Bytes, Status>>;

/// The notes of a world, as watchers of one server have them.
struct Watched<'a> {
    world: &'a World,
    hub: Arc<Hub<Notes>>,
}

impl<'a> Watched<'a> {
    /// Looked at when they are written, and at no other time.
    fn told(world: &'a World) -> Self {
        Self::new(world, Watching::every(NEVER).told_by(&world.touched))
    }

    fn new(world: &'a World, watching: Watching) -> Self {
        let shared = Shared::new(watching, &Limits::default(), Drain::never());
        Self { world, hub: Hub::new(&world.notes(), shared) }
    }

    fn how(&self) -> How<Notes> {
        How::new(WatchRequest::default(), Ask::Retention, (self.world.notes(), Consistency::Eventual))
    }

    fn one(&self, id: &str) -> Stream {
        self.one_after(id, b"")
    }

    fn one_after(&self, id: &str, token: &[u8]) -> Stream {
        of_one(&self.hub, (self.how(), &None), note(id), token).unwrap()
    }

    fn many(&self, ids: &[&str]) -> Stream {
        self.many_after(ids, b"")
    }

    fn many_after(&self, ids: &[&str], token: &[u8]) -> Stream {
        of_many(&self.hub, (self.how(), &None), ids.iter().map(|id| note(id)).collect(), token).unwrap()
    }

    /// Until nobody is watched, and nothing looks.
    async fn is_left(&self) {
        while self.hub.len() > 0 || self.hub.is_looking() {
            tokio::task::yield_now().await;
        }
    }
}

/// The next reply of one key.
async fn one(stream: &mut Stream) -> WatchResponse<String> {
    WatchResponse::decode(stream.next().await.unwrap().unwrap()).unwrap()
}

/// The next reply of many keys.
async fn many(stream: &mut Stream) -> WatchManyResponse<NoteKey, String> {
    WatchManyResponse::decode(stream.next().await.unwrap().unwrap()).unwrap()
}

/// What a reply tells of which keys.
fn told(reply: &WatchManyResponse<NoteKey, String>) -> Vec<(&str, &str)> {
    reply.entries.iter().map(|entry| (entry.key.as_ref().unwrap().id.as_str(), entry.value.as_str())).collect()
}
