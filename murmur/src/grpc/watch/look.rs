//! One look at the keys that are due.
//!
//! A key has its own fate: when a call for many keys fails, its halves are looked at, and so on, so that what is wrong with
//! one key (too much to read, a tile that does not decode) is said of that one. A store that is away fails all of them:
//! after so many failures in a row it is not asked again for the same look.

use std::collections::VecDeque;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::time::Instant;
use tonic::Status;

use super::super::refusal::Reason;
use super::super::status;
use super::state::{Batch, Entry, Found};
use crate::ErrorKind;
use crate::pipeline::Pipeline;

/// How long one look at the store may take.
const LOOK: Duration = Duration::from_secs(5);

/// After so many retryable failures in a row a store is away. Two keys that fail for themselves make fewer.
const AWAY: u32 = 8;

/// What was found of an entry.
pub(super) type Result<P> = (Arc<Entry<P>>, std::result::Result<Found<P>, Status>);

/// Look at the entries of a batch, which have one question; one result each, in any order.
pub(super) async fn look<P: Pipeline>(Batch { look, entries }: Batch<P>) -> Vec<Result<P>> {
    let end = Instant::now() + LOOK;
    let mut results = Vec::with_capacity(entries.len());
    let mut failures = 0;
    let mut parts = VecDeque::from([entries]);
    while let Some(mut part) = parts.pop_front() {
        let Some(how) = part.first().map(|entry| entry.how.clone()) else { continue };
        let keys: Vec<P::Key> = part.iter().map(|entry| entry.key.clone()).collect();
        let asked = tokio::time::timeout_at(end, how.reader.ask_many(&keys, how.ask, how.consistency)).await;
        let (status, is_hopeless) = match asked {
            Ok(Ok(answers)) => {
                failures = 0;
                results.extend(part.into_iter().zip(answers).map(|(entry, answer)| {
                    let digest = entry.how.digest(&entry.text, &answer);
                    (
                        entry,
                        Ok(Found { look, digest, change: 0, answer, reply: OnceLock::new(), entry: OnceLock::new() }),
                    )
                }));
                continue;
            }
            Ok(Err(error)) => {
                failures += u32::from(error.is_retryable());
                // What cannot be asked can be asked about no key.
                (status::of(&error), failures == AWAY || error.kind() == ErrorKind::InvalidArgument)
            }
            Err(_) => (late(), true),
        };
        if is_hopeless {
            let left = part.into_iter().chain(parts.drain(..).flatten());
            results.extend(left.map(|entry| (entry, Err(status.clone()))));
        } else if part.len() == 1 {
            results.extend(part.into_iter().map(|entry| (entry, Err(status.clone()))));
        } else {
            let second = part.split_off(part.len() / 2);
            parts.extend([part, second]);
        }
    }
    results
}

fn late() -> Status {
    let seconds = LOOK.as_secs();
    Reason::STORE_UNAVAILABLE.status(format!("the store did not answer within {seconds} s; call again"))
}
