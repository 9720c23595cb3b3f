//! One look at the keys that are due.
//!
//! A key has its own fate: when a call for many keys fails, or has not answered in time, parts of them are asked for side by side, and
//! so on, so that what is wrong with one key (too much to read, a tile that does not decode, a read that hangs) is said of that one.
//! What is found is handed on at once, and waits for no other part. A store that is away fails all of them: after so many failures
//! in a row it is not asked again for the same look.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{BoxFuture, FutureExt};
use futures_util::stream::{FuturesUnordered, StreamExt};
use prost::Message;
use tonic::Status;

use super::super::handler::{Reply, value_response};
use super::super::messages::ValueResponse;
use super::super::refusal::Reason;
use super::super::status;
use super::super::truth::Truths;
use super::entry::{Entry, Found};
use super::partitions::{Latest, Partitions};
use super::state::Batch;
use crate::ErrorKind;
use crate::pipeline::Pipeline;
use crate::query::Answer;
use crate::wire::types;

/// How long one call of the store may take.
const CALL: Duration = Duration::from_secs(5);

/// Parts that a call which failed is made again for, and calls of one look that are under way at a time. So the last of a thousand keys
/// that one of them keeps from being read is read by the fifth call: 1,000, 125, 16, 2, 1.
const PARTS: usize = 8;

/// After so many retryable failures in a row a store is away: a call, and all its parts but one. Two keys that fail for themselves make
/// fewer.
const AWAY: usize = PARTS;

/// What was found of an entry.
pub(super) type Result<P> = (Arc<Entry<P>>, std::result::Result<Found<P>, Status>);

type Part<P> = Vec<Arc<Entry<P>>>;

/// A look that is under way.
pub(super) struct Look<P: Pipeline> {
    number: u64,
    latest: Arc<Latest>,
    waiting: VecDeque<Part<P>>,
    asking: FuturesUnordered<BoxFuture<'static, (Part<P>, Asked<P>)>>,
    /// Retryable failures since the last answer.
    failures: usize,
}

/// What came of a call for some of its entries.
enum Asked<P: Pipeline> {
    Found(Vec<Found<P>>),
    Failed {
        status: Status,
        is_retryable: bool,
        /// What cannot be asked can be asked about no key.
        is_hopeless: bool,
    },
}

impl<P: Pipeline> Look<P> {
    /// At the entries of a batch, which have one question.
    pub(super) fn new(Batch { look, entries }: Batch<P>, latest: &Arc<Latest>) -> Self {
        let (latest, waiting) = (latest.clone(), [entries].into());
        Self { number: look, latest, waiting, asking: FuturesUnordered::new(), failures: 0 }
    }

    /// What is known next of some of the entries, each of which comes once, and the rest of the look where there is one.
    pub(super) async fn next(mut self) -> (Vec<Result<P>>, Option<Self>) {
        let mut results = Vec::new();
        while results.is_empty() {
            if self.asking.is_empty() {
                // Not one after the other, so that it is soon known of all of them whether the store is away.
                let parts = self.waiting.drain(..self.waiting.len().min(PARTS));
                self.asking.extend(parts.map(|part| ask(self.number, self.latest.clone(), part).boxed()));
            }
            let Some((part, asked)) = self.asking.next().await else { break };
            match asked {
                Asked::Found(found) => {
                    self.failures = 0;
                    results.extend(part.into_iter().zip(found.into_iter().map(Ok)));
                }
                Asked::Failed { status, is_retryable, is_hopeless } => {
                    self.failures += usize::from(is_retryable);
                    if is_hopeless || self.failures >= AWAY {
                        // Those that are under way have been asked, and may still be answered.
                        let left = part.into_iter().chain(self.waiting.drain(..).flatten());
                        results.extend(left.map(|entry| (entry, Err(status.clone()))));
                    } else if part.len() == 1 {
                        results.extend(part.into_iter().map(|entry| (entry, Err(status.clone()))));
                    } else {
                        let length = part.len().div_ceil(PARTS);
                        self.waiting.extend(part.chunks(length).map(<[_]>::to_vec));
                    }
                }
            }
        }
        let goes_on = !self.waiting.is_empty() || !self.asking.is_empty();
        (results, goes_on.then_some(self))
    }
}

/// Ask about some entries in one call.
async fn ask<P: Pipeline>(look: u64, latest: Arc<Latest>, part: Part<P>) -> (Part<P>, Asked<P>) {
    let Some(how) = part.first().map(|entry| entry.how.clone()) else { return (part, Asked::Found(Vec::new())) };
    let keys: Vec<P::Key> = part.iter().map(|entry| entry.key.clone()).collect();
    let asked = match tokio::time::timeout(CALL, how.reader.ask_many(&keys, how.ask, how.consistency)).await {
        Ok(Ok(answers)) => {
            // One call says the same of them for all its keys.
            let partitions =
                latest.of(&answers.first().map(|first| first.as_of.partitions.clone()).unwrap_or_default());
            let found = part.iter().zip(answers).map(|(entry, answer)| found(look, entry, answer, partitions.clone()));
            Asked::Found(found.collect())
        }
        Ok(Err(error)) => Asked::Failed {
            status: status::of(&error),
            is_retryable: error.is_retryable(),
            is_hopeless: error.kind() == ErrorKind::InvalidArgument,
        },
        Err(_) => Asked::Failed { status: late(), is_retryable: true, is_hopeless: false },
    };
    (part, asked)
}

/// What is kept of an answer.
fn found<P: Pipeline>(
    look: u64,
    entry: &Entry<P>,
    mut answer: Answer<Reply<P>>,
    partitions: Arc<Partitions>,
) -> Found<P> {
    let (digest, value_bytes) = entry.how.digest(&entry.text, &answer);
    answer.as_of.partitions = Arc::default();
    let ValueResponse { value, present, answer } = value_response(answer, &mut Truths::default());
    let truth = answer.unwrap_or_default();
    let bytes = entry.text.len() + value_bytes + said(&truth);
    let (reply, entry) = Default::default();
    Found { look, digest, change: 0, value, present, truth, partitions, bytes, reply, entry }
}

/// Bytes of what is said of an answer. Its times have other lengths with each look, and a key that has room keeps it.
fn said(truth: &types::Answer) -> usize {
    /// What it has at most without a problem and an explanation.
    const TIMES: usize = 96;
    let explanation = truth.explanation.as_ref().map_or(0, Message::encoded_len);
    TIMES + truth.problem.len() + explanation.next_multiple_of(1 << 10)
}

fn late() -> Status {
    let seconds = CALL.as_secs();
    Reason::STORE_UNAVAILABLE.status(format!("the store did not answer within {seconds} s; call again"))
}
