use std::borrow::Cow;

use super::client::{Answer, Operation};
use super::expression::{Expression, next_count};
use super::failure::{is_throttled, write_failure};
use super::format::{self, Attributes};
use super::limiter::Slot;
use super::size;
use super::store::Inner;
use super::wire::Request;
use crate::store::condition::{apply, check};
use crate::store::{Item, Outcome, TileId, Write};
use crate::{Error, ErrorKind, Result};

/// Largest item that DynamoDB takes, with the names of its attributes.
const ITEM_BYTES: usize = 400 * 1024;
/// What is kept free of that in items that are put, so that a tile can always be closed: the name of a partition and its
/// offset.
const CLOSING_BYTES: usize = 2048;
/// Longest keys that DynamoDB takes.
const PARTITION_KEY_BYTES: usize = 2048;
const SORT_KEY_BYTES: usize = 1024;
/// How often a tile is read again because others wrote it in between, before the engine gets to pause.
const ATTEMPTS: usize = 32;

const CONDITION_FAILED: &str = "ConditionalCheckFailedException";

/// What became of one request.
enum Sent {
    Applied,
    /// The condition did not hold; this stood there.
    Refused(Option<Attributes>),
}

impl Inner {
    /// Carry out one write of a table.
    pub(super) async fn write_one(&self, table: &str, write: &Write) -> Result<Outcome> {
        check(write)?;
        check_key(write.id())?;
        match write {
            Write::Put { id, values, last, expires, .. } => {
                // `check` has seen that there is a part.
                let Some(part) = &id.part else {
                    return Err(Error::new(ErrorKind::Internal, "a fold of no partition"));
                };
                let (offsets, values) = (vec![(part.clone(), *last)], values.clone());
                let item = Item { offsets, values, expires: *expires, ..Item::default() };
                let attributes = format::encode_item(id, &item, None);
                match self.put(table, id, attributes, Expression::put(part, *last), ITEM_BYTES - CLOSING_BYTES).await? {
                    Sent::Applied => Ok(Outcome::Applied),
                    Sent::Refused(Some(stands)) => Ok(Outcome::Refused(format::decode_item(id, stands)?.0)),
                    Sent::Refused(None) => {
                        let context =
                            format!("table `{table}` at {} refused to write {id}, and nothing is there", self.place);
                        Err(Error::new(ErrorKind::Internal, context))
                    }
                }
            }
            Write::Add { numbers, applied, expires, .. } => {
                self.update_or_put(table, write, Expression::add(numbers, applied, *expires)).await
            }
            Write::Roll { id, slots, numbers, values, expires } => {
                let bytes = values.iter().map(|(_, value)| value.len()).sum();
                if bytes > ITEM_BYTES {
                    return Err(too_large(id, Some(bytes)));
                }
                self.update_or_put(table, write, Expression::roll(slots, numbers, values, *expires)).await
            }
        }
    }

    /// Carry out a write by this update, or without one where DynamoDB cannot.
    async fn update_or_put(&self, table: &str, write: &Write, update: Option<Expression>) -> Result<Outcome> {
        let Some(expression) = update else {
            return self.look_and_put(table, write, None).await;
        };
        match self.update(table, write.id(), expression).await? {
            Some(Sent::Applied) => Ok(Outcome::Applied),
            Some(Sent::Refused(stands)) => self.look_and_put(table, write, Some(stands)).await,
            None => self.look_and_put(table, write, None).await,
        }
    }

    /// What DynamoDB cannot add or set by itself: read the item, do it here, and put it if nobody wrote it meanwhile.
    /// `stands` is what is known to stand there.
    async fn look_and_put(&self, table: &str, write: &Write, stands: Option<Option<Attributes>>) -> Result<Outcome> {
        let id = write.id();
        let mut stands = match stands {
            Some(stands) => stands,
            None => self.read_one(table, format::tile_key(id)).await?,
        };
        let most = if write.closing().is_some() { ITEM_BYTES - CLOSING_BYTES } else { ITEM_BYTES };
        for _ in 0..ATTEMPTS {
            let (mut item, count) = match stands {
                Some(attributes) => {
                    let (item, count) = format::decode_item(id, attributes)?;
                    (item, Some(count))
                }
                None => (Item::default(), None),
            };
            if let refused @ Outcome::Refused(_) = apply(write, &mut item)? {
                return Ok(refused);
            }
            let attributes = format::encode_item(id, &item, Some(next_count(count, &item.numbers)));
            match self.put(table, id, attributes, Expression::unchanged(count), most).await? {
                Sent::Applied => return Ok(Outcome::Applied),
                Sent::Refused(now) => stands = now,
            }
        }
        let context = format!("others write {id} in table `{table}` faster than it can be added to");
        Err(Error::new(ErrorKind::Unavailable, context))
    }

    /// Update, under a condition if there is one. `None` when the server cannot carry it out as it is: a number is of
    /// another kind, an expression too long.
    async fn update(&self, table: &str, id: &TileId, expression: Expression) -> Result<Option<Sent>> {
        let slot = self.limiter.enter(table, expression.bytes()).await;
        let request = Request::update(table, &format::tile_key(id), &expression);
        match self.send(Operation::Update, request, &slot).await {
            Answer::Done(_) => Ok(Some(Sent::Applied)),
            Answer::Refused(refusal) if refusal.code == CONDITION_FAILED => {
                Ok(Some(Sent::Refused(refusal.into_item())))
            }
            Answer::Refused(refusal) if refusal.is_too_large() => Err(too_large(id, None)),
            Answer::Refused(refusal) if refusal.is_invalid() => {
                tracing::debug!(%id, refusal.message, "writing as a whole what the table cannot update");
                Ok(None)
            }
            answer => Err(write_failure(answer, table, &self.place)),
        }
    }

    /// Send a write, and learn from its answer what the tables take.
    async fn send(&self, operation: Operation, request: Request, slot: &Slot<'_>) -> Answer {
        let answer = self.clients.writes.send(operation, request).await;
        match &answer {
            Answer::Done(units) => {
                slot.succeeded();
                self.meter.wrote(*units);
            }
            Answer::Refused(refusal) if refusal.code == CONDITION_FAILED => slot.succeeded(),
            Answer::Refused(refusal) if is_throttled(&refusal.code) => slot.throttled(refusal.overload()),
            _ => {}
        }
        answer
    }

    /// Put an item of at most so many bytes under a condition.
    async fn put(
        &self,
        table: &str,
        id: &TileId,
        attributes: Attributes,
        condition: Expression,
        most: usize,
    ) -> Result<Sent> {
        let bytes = size::size(&attributes);
        if bytes > most {
            return Err(too_large(id, Some(bytes)));
        }
        self.meter.item(bytes);
        let slot = self.limiter.enter(table, bytes + condition.bytes()).await;
        match self.send(Operation::Put, Request::put(table, &attributes, &condition), &slot).await {
            Answer::Done(_) => Ok(Sent::Applied),
            Answer::Refused(refusal) if refusal.code == CONDITION_FAILED => Ok(Sent::Refused(refusal.into_item())),
            Answer::Refused(refusal) if refusal.is_too_large() => Err(too_large(id, None)),
            answer => Err(write_failure(answer, table, &self.place).while_doing(format_args!("writing {id}"))),
        }
    }
}

/// Keys that DynamoDB does not take are refused by name before anything is sent.
fn check_key(id: &TileId) -> Result<()> {
    let lengths = [
        ("key", format::encode_key(&id.key).len(), PARTITION_KEY_BYTES),
        ("place with the name of its partition", format::encode_place(id).len(), SORT_KEY_BYTES),
    ];
    match lengths.into_iter().find(|(_, bytes, most)| bytes > most) {
        Some((what, bytes, most)) => {
            let context = format!("the {what} of {id} has {bytes} bytes; DynamoDB takes {most}");
            Err(Error::new(ErrorKind::InvalidArgument, context))
        }
        None => Ok(()),
    }
}

fn too_large(id: &TileId, bytes: Option<usize>) -> Error {
    let bytes = bytes.map_or(Cow::Borrowed("more"), |bytes| format!("{bytes} bytes").into());
    let context = format!(
        "the item of {id} would have {bytes}; DynamoDB takes {ITEM_BYTES}, so keep less in one aggregate or use \
         shorter slots (`check` says how large items can get)"
    );
    Error::new(ErrorKind::Oversize, context)
}
