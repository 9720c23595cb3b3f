//! From what is watched to the replies of a stream.

use std::collections::HashSet;
use std::sync::Arc;

use bytes::{BufMut, Bytes};
use futures_util::stream::{self, BoxStream, StreamExt};
use prost::Message;
use prost::encoding::{WireType, encode_key, encode_varint, encoded_len_varint};
use tonic::Status;

use super::super::handler::value_response;
use super::super::messages::{Entry as EntryMessage, ValueResponse, WatchResponse};
use super::super::protocol::rpc::{check_length, encode};
use super::super::status;
use super::entry::{Entry, Found, Newest};
use super::hub::Subscription;
use super::{How, Hub, Who, resume};
use crate::pipeline::Pipeline;
use crate::query;

/// The replies to a watcher of one key.
pub(in crate::grpc) fn of_one<P: Pipeline>(
    hub: &Arc<Hub<P>>,
    (how, who): (How<P>, &Who),
    key: P::Key,
    token: &[u8],
) -> Result<BoxStream<'static, Result<Bytes, Status>>, Status> {
    replies(hub, (how, who), vec![key], token, |watcher| {
        let found = watcher.changed.first().map(|(_, found)| found);
        let (entry, found) = watcher.subscription.entries.first().zip(found)?;
        Some(reply(entry, found))
    })
}

/// The replies to a watcher of many keys: of each those that have changed.
pub(in crate::grpc) fn of_many<P: Pipeline>(
    hub: &Arc<Hub<P>>,
    (how, who): (How<P>, &Who),
    keys: Vec<P::Key>,
    token: &[u8],
) -> Result<BoxStream<'static, Result<Bytes, Status>>, Status> {
    replies(hub, (how, who), keys, token, |watcher| Some(watcher.entries()))
}

type Reply = Result<Bytes, Status>;

fn replies<P: Pipeline>(
    hub: &Arc<Hub<P>>,
    (how, who): (How<P>, &Who),
    keys: Vec<P::Key>,
    token: &[u8],
    reply: impl Fn(&Watcher<P>) -> Option<Reply> + Send + Copy + 'static,
) -> Result<BoxStream<'static, Reply>, Status> {
    let held = resume::read(token, how.reader.bounds().keys);
    let subscription = hub.subscribe(how, keys, who)?;
    let sent = vec![None; subscription.entries.len()];
    let watcher = Watcher { subscription, held, sent, changed: Vec::new() };
    let replies = stream::unfold(Some(watcher), move |watcher| async move {
        let mut watcher = watcher?;
        let made = match watcher.next().await {
            Ok(()) => reply(&watcher)?,
            Err(status) => Err(status),
        };
        watcher.changed.clear();
        let rest = made.is_ok().then_some(watcher);
        Some((made, rest))
    });
    Ok(replies.boxed())
}

/// A stream and what it has sent.
struct Watcher<P: Pipeline> {
    subscription: Subscription<P>,
    /// What the watcher had before the stream began.
    held: HashSet<u64>,
    /// What was sent last, or need not be, of each key in their order.
    sent: Vec<Option<Sent>>,
    /// Which of them the next reply tells of.
    changed: Vec<(usize, Arc<Found<P>>)>,
}

/// A value that its reader has.
#[derive(Clone, Copy)]
struct Sent {
    digest: u64,
    /// The number of it among those of its entry.
    change: u64,
}

impl<P: Pipeline> Watcher<P> {
    /// Until something has changed. The first time, until everything is known.
    async fn next(&mut self) -> Result<(), Status> {
        loop {
            if self.look()? && !self.changed.is_empty() {
                return Ok(());
            }
            self.changed.clear();
            self.subscription.stream.notified().await;
        }
    }

    /// Gather what has changed; whether everything is known.
    fn look(&mut self) -> Result<bool, Status> {
        let since = self.subscription.since;
        let mut known = Vec::with_capacity(self.sent.len());
        for entry in &self.subscription.entries {
            match entry.newest() {
                Newest::Failed(status) => return Err(status),
                Newest::Found(found) if found.look > since => known.push(found),
                _ => {}
            }
        }
        if known.len() < self.sent.len() {
            return Ok(false);
        }
        let mut skipped = 0;
        for (at, (sent, found)) in self.sent.iter_mut().zip(known).enumerate() {
            let (digest, change) = (found.digest, found.change);
            let is_had = match sent.replace(Sent { digest, change }) {
                None => self.held.contains(&digest),
                Some(before) => {
                    skipped += change.saturating_sub(before.change + 1);
                    before.digest == digest
                }
            };
            if !is_had {
                self.changed.push((at, found));
            }
        }
        self.subscription.skipped(skipped);
        // From here on what was sent is what counts.
        self.held = HashSet::new();
        Ok(true)
    }

    /// A reply of the changed entries.
    fn entries(&self) -> Reply {
        let entries =
            self.changed.iter().filter_map(|(at, found)| Some(entry(self.subscription.entries.get(*at)?, found)));
        let entries: Vec<Bytes> = entries.collect();
        let token = resume::length(self.sent.len());
        let length = entries.iter().map(Bytes::len).sum::<usize>() + 1 + encoded_len_varint(token as u64) + token;
        check_length(length)?;
        let mut reply = Vec::with_capacity(length);
        entries.iter().for_each(|entry| reply.put_slice(entry));
        encode_key(RESUME, WireType::LengthDelimited, &mut reply);
        encode_varint(token as u64, &mut reply);
        resume::write(self.sent.iter().map(|sent| sent.map_or(0, |sent| sent.digest)), &mut reply);
        Ok(reply.into())
    }
}

/// Numbers of the fields of `WatchManyResponse`.
const ENTRIES: u32 = 1;
const RESUME: u32 = 2;

/// A reply of `Watch`, the same for all its streams.
fn reply<P: Pipeline>(entry: &Entry<P>, found: &Found<P>) -> Reply {
    let make = || {
        let answer = query::alone::<P>(&entry.key, found.answer.clone()).map_err(|e| status::of(&e))?;
        let ValueResponse { value, present, answer } = value_response(answer);
        let mut resume = Vec::with_capacity(resume::length(1));
        resume::write([found.digest].into_iter(), &mut resume);
        encode(&WatchResponse { value, present, answer, resume }).map(Bytes::from)
    };
    found.reply.get_or_init(make).clone()
}

/// The field of a reply of `WatchMany`, the same for all its streams.
fn entry<P: Pipeline>(entry: &Entry<P>, found: &Found<P>) -> Bytes {
    let make = || {
        let ValueResponse { value, present, answer } = value_response(found.answer.clone());
        let message = EntryMessage { key: Some(entry.key.clone()), value, present, answer };
        let length = message.encoded_len();
        let mut field = Vec::with_capacity(1 + encoded_len_varint(length as u64) + length);
        prost::encoding::message::encode(ENTRIES, &message, &mut field);
        field.into()
    };
    found.entry.get_or_init(make).clone()
}
