//! From what is watched to the replies of a stream.

use std::collections::HashSet;
use std::sync::Arc;

use bytes::{BufMut, Bytes};
use futures_util::stream::{self, BoxStream, StreamExt};
use prost::encoding::{WireType, encode_key, encode_varint, encoded_len_varint};
use tonic::Status;

use super::super::protocol::rpc::{MAX_REPLY, check_length};
use super::super::status;
use super::super::truth::{Told, put};
use super::entry::{Entry, Found, Newest};
use super::hub::Subscription;
use super::partitions::Partitions;
use super::{How, Hub, Who, resume};
use crate::pipeline::Pipeline;
use crate::query;
use crate::wire::WireField;
use crate::wire::types::Answer;

/// The replies to a watcher of one key.
pub(in crate::grpc) fn of_one<P: Pipeline>(
    hub: &Arc<Hub<P>>,
    (how, who): (How<P>, &Who),
    key: P::Key,
    token: &[u8],
) -> Result<BoxStream<'static, Result<Bytes, Status>>, Status> {
    let subscription = hub.subscribe(how, vec![key], query::only, who)?;
    Ok(replies(subscription, token, |watcher| {
        let found = watcher.changed.first().map(|(_, found)| found);
        let (entry, found) = watcher.subscription.entries.first().zip(found)?;
        Some(reply(entry, found))
    }))
}

/// The replies to a watcher of many keys: of each those that have changed.
pub(in crate::grpc) fn of_many<P: Pipeline>(
    hub: &Arc<Hub<P>>,
    (how, who): (How<P>, &Who),
    keys: Vec<P::Key>,
    token: &[u8],
) -> Result<BoxStream<'static, Result<Bytes, Status>>, Status> {
    let subscription = hub.subscribe(how, keys, query::nth, who)?;
    Ok(replies(subscription, token, |watcher| Some(watcher.entries())))
}

type Reply = Result<Bytes, Status>;

fn replies<P: Pipeline>(
    subscription: Subscription<P>,
    token: &[u8],
    reply: impl Fn(&Watcher<P>) -> Option<Reply> + Send + Copy + 'static,
) -> BoxStream<'static, Reply> {
    let most = subscription.entries.first().map_or(0, |entry| entry.how.reader.bounds().keys);
    let held = resume::read(token, most);
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
    replies.boxed()
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
        let token = resume::length(self.sent.len());
        let token_field = 1 + encoded_len_varint(token as u64) + token;
        let most = MAX_REPLY.saturating_sub(token_field);
        let reply = self.written(most, |_| true).or_else(|| {
            // Where answers of several looks take turns, the others say nothing of the stream this time.
            let newest = self.changed.iter().max_by_key(|(_, found)| found.look).map(|(_, found)| &found.partitions);
            self.written(most, |partitions| newest == Some(partitions))
        });
        let Some(mut reply) = reply else {
            check_length(MAX_REPLY + 1)?;
            return Ok(Bytes::new());
        };
        encode_key(MANY_RESUME, WireType::LengthDelimited, &mut reply);
        encode_varint(token as u64, &mut reply);
        resume::write(self.sent.iter().map(|sent| sent.map_or(0, |sent| sent.digest)), &mut reply);
        Ok(reply.into())
    }

    /// The fields of the changed entries, where those with these partitions may say how much of the stream they contain; `None` when
    /// they have more bytes than `most`.
    fn written(&self, most: usize, may_say: impl Fn(&Arc<Partitions>) -> bool) -> Option<Vec<u8>> {
        let (mut written, mut named, mut truth) = (Vec::new(), None, Vec::new());
        for (at, found) in &self.changed {
            let Some(entry) = self.subscription.entries.get(*at) else { continue };
            let front = found.entry.get_or_init(|| front(found, Some(&entry.key)));
            let told = match may_say(&found.partitions) {
                true => Told::behind(&mut named, &found.partitions, found.partitions.is_empty()),
                false => Told::Nothing,
            };
            truth.clear();
            match told {
                Told::These => put(&found.truth, ENTRY_ANSWER, &found.partitions.field, &mut truth),
                Told::AsBefore => put(&found.truth, ENTRY_ANSWER, &[], &mut truth),
                Told::Nothing => put(&Answer { as_of: None, ..found.truth.clone() }, ENTRY_ANSWER, &[], &mut truth),
            }
            encode_key(MANY_ENTRIES, WireType::LengthDelimited, &mut written);
            encode_varint((front.len() + truth.len()) as u64, &mut written);
            if written.len() + front.len() + truth.len() > most {
                return None;
            }
            written.put_slice(front);
            written.put_slice(&truth);
        }
        Some(written)
    }
}

/// Numbers of the fields of `WatchManyResponse`, of the last ones of `Entry`, and of those of `WatchResponse`.
const MANY_ENTRIES: u32 = 1;
const MANY_RESUME: u32 = 2;
const ENTRY_ANSWER: u32 = 4;
const WATCH_ANSWER: u32 = 3;
const WATCH_RESUME: u32 = 4;

/// A reply of `Watch`.
fn reply<P: Pipeline>(entry: &Entry<P>, found: &Found<P>) -> Reply {
    if !found.truth.problem.is_empty() {
        return Err(status::of(&query::unfit(&entry.text, &found.truth.problem)));
    }
    let front = found.reply.get_or_init(|| front(found, None::<&P::Key>));
    let mut reply = front.to_vec();
    put(&found.truth, WATCH_ANSWER, &found.partitions.field, &mut reply);
    encode_key(WATCH_RESUME, WireType::LengthDelimited, &mut reply);
    encode_varint(resume::length(1) as u64, &mut reply);
    resume::write([found.digest].into_iter(), &mut reply);
    check_length(reply.len())?;
    Ok(reply.into())
}

/// What stands before the truth, the same for all streams: the key where there are several, the value and whether there is one.
fn front<P: Pipeline>(found: &Found<P>, key: Option<&P::Key>) -> Box<[u8]> {
    let (first, mut front) = (1 + u32::from(key.is_some()), Vec::new());
    if let Some(key) = key {
        prost::encoding::message::encode(1, key, &mut front);
    }
    found.value.encode_field(first, &mut front);
    found.present.encode_field(first + 1, &mut front);
    front.into()
}
