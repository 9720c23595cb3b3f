//! A consumer of librdkafka through its C interface, and the only place of the crate with `unsafe`.
//!
//! Why not the safe wrapper: it hands out one message per call, which costs twice the CPU of
//! `rd_kafka_consume_batch_queue`, and it answers a rebalance inside the call that reports it, where the engine has
//! to flush first.
//!
//! What every block below relies on:
//! - **Valid handles.** [`Consumer`] owns `rk` and `queue` from its creation to its drop, and nothing else destroys
//!   them; whatever borrows from them has the lifetime of a `&Consumer`. librdkafka's functions may be called from any
//!   thread at any time (`INTRODUCTION.md`, "Threads and callbacks").
//! - **The bindings fit.** They were generated from the header of the very library that is linked (the version is
//!   pinned, the build is its own), so layouts and the values of enumerations are those of the C side.
//! - **Strings.** Those given out are NUL-terminated and live as long as what they belong to; they are copied before
//!   that ends.

#![allow(unsafe_code, reason = "librdkafka's batch calls have no safe wrapper; each block says why it is sound")]

mod admin;
mod callbacks;
mod leaving;
mod listening;
mod message;
mod outage;
mod position;

use std::collections::VecDeque;
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rdkafka::types::RDKafkaErrorCode as Code;
use rdkafka_sys as sys;
use rdkafka_sys::rd_kafka_resp_err_t as Raw;
use tokio::sync::Notify;

use super::failure::Failure;
pub(super) use admin::Member;
use callbacks::{on_commit, on_error, on_log, on_ready, on_rebalance};
use message::Owned;
pub(super) use message::{Message, Slots};
use outage::Outage;
pub(super) use position::{Committed, Position};
use position::{List, c_string};

/// What the group and the cluster have to say, in their order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Event {
    /// These partitions come to this member, once [`Consumer::answer_assigned`] says from where.
    Assigned(Vec<Position>),
    /// These partitions are to be given up, once [`Consumer::answer_revoked`] says that they may go.
    Revoked(Vec<Position>),
    /// The same, but another member may have them already.
    Lost(Vec<Position>),
    /// This was committed.
    Committed(Position),
    /// This was not committed, as the group is rebalancing or the broker did not answer.
    Uncommitted(Position),
    /// The consumer cannot go on.
    Fatal(Failure),
}

/// What callbacks leave behind.
#[derive(Debug, Default)]
struct Shared {
    events: Mutex<VecDeque<Event>>,
    /// Told when the queue is no longer empty.
    ready: Notify,
    /// The last time that a broker or its certificate was refused, or we were.
    refusal: Mutex<Option<Failure>>,
    /// That no broker can be reached.
    outage: Mutex<Outage>,
    /// Rebalances are answered by the drop from now on.
    closing: AtomicBool,
    /// Which rebalance waits for our answer: one that gives, or one that takes.
    asked_to_take: AtomicBool,
    asked_to_give: AtomicBool,
    /// Only events are listened for, and nothing is fetched meanwhile.
    paused: AtomicBool,
    /// Failures of no partition that were reported meanwhile, as they would not be told again.
    missed: Mutex<Vec<(Option<Position>, Failure)>>,
}

impl Shared {
    fn push(&self, event: Event) {
        self.events.lock().unwrap_or_else(PoisonError::into_inner).push_back(event);
        self.ready.notify_one();
    }

    /// Whether a rebalance waits for our answer, which is taken for given now.
    fn was_asked(&self) -> bool {
        let asked = [&self.asked_to_take, &self.asked_to_give];
        asked.into_iter().fold(false, |is_asked, flag| flag.swap(false, Ordering::SeqCst) | is_asked)
    }
}

/// A member of a group.
#[derive(Debug)]
pub(super) struct Consumer {
    rk: NonNull<sys::rd_kafka_t>,
    queue: NonNull<sys::rd_kafka_queue_t>,
    /// It has a name, and its place waits for it to come back.
    is_named: bool,
    /// The callbacks hold a pointer into it; it goes after `rk` does.
    shared: Arc<Shared>,
}

// SAFETY: librdkafka's handles may be used from any thread, and from several at once; `Shared` is `Sync`.
unsafe impl Send for Consumer {}
// SAFETY: as above.
unsafe impl Sync for Consumer {}

impl Consumer {
    /// A consumer with these properties, which has not joined its group yet. Nothing is sent.
    pub(super) fn new(properties: &[(String, String)]) -> Result<Self, Failure> {
        let shared = Arc::new(Shared::default());
        let opaque = Arc::as_ptr(&shared).cast_mut().cast::<c_void>();
        let mut why = [0 as c_char; 512];
        // SAFETY: returns a configuration that is ours until `rd_kafka_new` takes it or we destroy it.
        let conf = unsafe { sys::rd_kafka_conf_new() };
        for (name, value) in properties {
            let set = CString::new(name.as_str()).ok().zip(CString::new(value.as_str()).ok()).map(|(name, value)| {
                // SAFETY: `conf` is valid, both strings live through the call, and `why` has the length given.
                unsafe { sys::rd_kafka_conf_set(conf, name.as_ptr(), value.as_ptr(), why.as_mut_ptr(), why.len()) }
            });
            if set != Some(sys::rd_kafka_conf_res_t::RD_KAFKA_CONF_OK) {
                // SAFETY: nobody took `conf`; it is not used again.
                unsafe { sys::rd_kafka_conf_destroy(conf) };
                let why = if set.is_some() { text_of(why.as_ptr()) } else { "it contains a NUL".to_owned() };
                return Err(Failure::new(Code::InvalidConfig, format!("property `{name}`: {why}")).with_way_out());
            }
        }
        // SAFETY: `conf` is valid. The callbacks have the types asked for; `opaque` points into `shared`, which
        // `Consumer` keeps until the client is destroyed, and no callback runs after that.
        unsafe {
            sys::rd_kafka_conf_set_opaque(conf, opaque);
            sys::rd_kafka_conf_set_rebalance_cb(conf, Some(on_rebalance));
            sys::rd_kafka_conf_set_offset_commit_cb(conf, Some(on_commit));
            sys::rd_kafka_conf_set_error_cb(conf, Some(on_error));
            sys::rd_kafka_conf_set_log_cb(conf, Some(on_log));
        }
        // SAFETY: takes `conf` over if and only if it does not return null; `why` has the length given.
        let rk =
            unsafe { sys::rd_kafka_new(sys::rd_kafka_type_t::RD_KAFKA_CONSUMER, conf, why.as_mut_ptr(), why.len()) };
        let Some(rk) = NonNull::new(rk) else {
            // SAFETY: `rd_kafka_new` failed, so `conf` is still ours.
            unsafe { sys::rd_kafka_conf_destroy(conf) };
            return Err(Failure::new(Code::InvalidConfig, text_of(why.as_ptr())).with_way_out());
        };
        // SAFETY: `rk` is valid. From here on everything arrives at the consumer's queue.
        let queue = unsafe {
            sys::rd_kafka_poll_set_consumer(rk.as_ptr());
            sys::rd_kafka_queue_get_consumer(rk.as_ptr())
        };
        let Some(queue) = NonNull::new(queue) else {
            // SAFETY: `rk` is ours and not used again.
            unsafe { sys::rd_kafka_destroy(rk.as_ptr()) };
            return Err(Failure::new(Code::Fail, "there is no queue; is `group.id` set?".to_owned()));
        };
        // SAFETY: `queue` is valid; the callback has the type asked for, and `opaque` outlives the queue, as above.
        unsafe { sys::rd_kafka_queue_cb_event_enable(queue.as_ptr(), Some(on_ready), opaque) };
        let is_named = properties.iter().any(|(name, _)| name == "group.instance.id");
        Ok(Self { rk, queue, is_named, shared })
    }

    /// Completes when something may have arrived since the queue was found empty.
    pub(super) async fn ready(&self) {
        self.shared.ready.notified().await;
    }

    /// The next thing that the group or the cluster has to say. They are reported while messages are taken.
    pub(super) fn event(&self) -> Option<Event> {
        self.shared.events.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }

    /// Why the cluster cannot be spoken with, when that is a matter of settings and was reported since the last call.
    pub(super) fn refusal(&self) -> Option<Failure> {
        self.shared.refusal.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Why it is of no use any more, once that is so.
    pub(super) fn fatal(&self) -> Option<Failure> {
        fatal(self.rk.as_ptr())
    }

    /// Join the group for these topics.
    pub(super) fn subscribe(&self, topics: &[String]) -> Result<(), Failure> {
        let list = List::of(topics.iter().map(|topic| (topic.as_str(), -1, None)))?;
        // SAFETY: both handles are valid; the list is only read.
        failed_with(unsafe { sys::rd_kafka_subscribe(self.rk.as_ptr(), list.as_ptr()) }, "cannot subscribe")
    }

    /// Leave the group, and let everything go: an [`Event::Revoked`] follows, unless there is nothing. One with a name
    /// leaves as well, other than when it is dropped.
    pub(super) fn unsubscribe(&self) -> Result<(), Failure> {
        // SAFETY: the handle is valid.
        failed_with(unsafe { sys::rd_kafka_unsubscribe(self.rk.as_ptr()) }, "cannot unsubscribe")
    }

    /// Take what has arrived, up to the length of `slots`, without waiting: `each` sees every message or error once.
    /// Callbacks run inside this call.
    pub(super) fn take(&self, slots: &mut Slots, each: impl FnMut(Message<'_>)) -> usize {
        // SAFETY: the queue is valid.
        unsafe { take_from(self.queue.as_ptr(), 0, slots, each) }
    }

    /// Answer [`Event::Assigned`]: fetch these partitions from these offsets. All of one event at once: librdkafka
    /// takes the first answer for the whole one.
    pub(super) fn answer_assigned(&self, positions: &[Position]) -> Result<(), Failure> {
        let list = List::of_positions(positions)?;
        let answered = if self.is_cooperative() {
            // SAFETY: both handles are valid; the list is only read. An error object is ours.
            error_object(unsafe { sys::rd_kafka_incremental_assign(self.rk.as_ptr(), list.as_ptr()) })
        } else {
            // SAFETY: as above.
            failed_with(unsafe { sys::rd_kafka_assign(self.rk.as_ptr(), list.as_ptr()) }, "cannot take partitions")
        };
        answered.inspect(|()| self.shared.asked_to_take.store(false, Ordering::SeqCst))
    }

    /// Answer [`Event::Revoked`] or [`Event::Lost`]: let these go, of which all must be fetched now. Without the
    /// cooperative protocol it is always all of them.
    pub(super) fn answer_revoked(&self, positions: &[Position]) -> Result<(), Failure> {
        let answered = if self.is_cooperative() {
            let list = List::of_positions(positions)?;
            // SAFETY: both handles are valid; the list is only read. An error object is ours.
            error_object(unsafe { sys::rd_kafka_incremental_unassign(self.rk.as_ptr(), list.as_ptr()) })
        } else {
            // SAFETY: the handle is valid; null lets everything go.
            failed_with(unsafe { sys::rd_kafka_assign(self.rk.as_ptr(), ptr::null()) }, "cannot let partitions go")
        };
        answered.inspect(|()| self.shared.asked_to_give.store(false, Ordering::SeqCst))
    }

    fn is_cooperative(&self) -> bool {
        is_cooperative(self.rk.as_ptr())
    }

    /// Whether the group has given our partitions to others without asking.
    pub(super) fn is_lost(&self) -> bool {
        // SAFETY: the handle is valid.
        unsafe { sys::rd_kafka_assignment_lost(self.rk.as_ptr()) != 0 }
    }

    /// Continue at these offsets. Messages that were fetched before are not delivered any more.
    pub(super) fn seek(&self, positions: &[Position], patience: Duration) -> Result<(), Failure> {
        let list = List::of_positions(positions)?;
        // SAFETY: both handles are valid; the call writes errors into the list, which is ours. An error object is ours.
        error_object(unsafe { sys::rd_kafka_seek_partitions(self.rk.as_ptr(), list.as_ptr(), millis(patience)) })?;
        list.read().map(drop)
    }

    /// The offset after the last message or transaction marker that was taken; `None` where nothing was since the
    /// partition came or since the last seek.
    ///
    /// librdkafka takes a failure of a partition for a message here. It even goes on behind it after its next pause,
    /// which every rebalance has; so a partition that failed has to be [sought](Self::seek).
    pub(super) fn position(&self, positions: &[Position]) -> Result<Vec<Position>, Failure> {
        let list = List::of_positions(positions)?;
        // SAFETY: both handles are valid; the call writes offsets and errors into the list, which is ours.
        let raw = unsafe { sys::rd_kafka_position(self.rk.as_ptr(), list.as_ptr()) };
        failed_with(raw, "cannot tell the position")?;
        list.read()
    }

    /// Tell the group that everything below these offsets is done, with a note beside each. Waits for the broker, or lets
    /// the callback log what came of it.
    pub(super) fn commit(&self, positions: &[Position], note: &str, wait: bool) -> Result<(), Failure> {
        let list = List::of_positions(positions)?.with_note(note)?;
        // SAFETY: both handles are valid; the list is only read.
        let raw = unsafe { sys::rd_kafka_commit(self.rk.as_ptr(), list.as_ptr(), c_int::from(!wait)) };
        failed_with(raw, "cannot commit")
    }

    /// The group's commits; `offset` is `None` where it has none.
    pub(super) fn committed(&self, positions: &[Position], patience: Duration) -> Result<Vec<Committed>, Failure> {
        let list = List::of_positions(positions)?;
        // SAFETY: both handles are valid; the call writes offsets and errors into the list, which is ours.
        let raw = unsafe { sys::rd_kafka_committed(self.rk.as_ptr(), list.as_ptr(), millis(patience)) };
        failed_with(raw, "cannot read the group's commits")?;
        list.read_commits()
    }

    /// The first offset whose message is not older than `time` (milliseconds since 1970); `None` when all are older.
    pub(super) fn offset_at(&self, at: &Position, time: i64, patience: Duration) -> Result<Option<i64>, Failure> {
        let list = List::of([(at.topic.as_str(), at.partition, Some(time))])?;
        // SAFETY: both handles are valid; the call replaces times by offsets in the list, which is ours.
        let raw = unsafe { sys::rd_kafka_offsets_for_times(self.rk.as_ptr(), list.as_ptr(), millis(patience)) };
        failed_with(raw, "cannot look an offset up by its time")?;
        Ok(list.read()?.pop().and_then(|position| position.offset))
    }

    /// The oldest offset and the one after the newest, asked from the broker. With `read_committed` the newest is the
    /// last that is certain.
    pub(super) fn range(&self, at: &Position, patience: Duration) -> Result<(i64, i64), Failure> {
        let topic = c_string(&at.topic)?;
        let (mut low, mut high) = (0, 0);
        // SAFETY: the handle, the string and both targets live through the call.
        let raw = unsafe {
            sys::rd_kafka_query_watermark_offsets(
                self.rk.as_ptr(),
                topic.as_ptr(),
                at.partition,
                &mut low,
                &mut high,
                millis(patience),
            )
        };
        failed_with(raw, "cannot read the range of offsets")?;
        Ok((low, high))
    }

    /// The offset after the newest one, as the last fetch found it.
    pub(super) fn known_end(&self, topic: &CStr, partition: i32) -> Option<i64> {
        let (mut low, mut high) = (-1, -1);
        // SAFETY: the handle, the string and both targets live through the call.
        let raw = unsafe {
            sys::rd_kafka_get_watermark_offsets(self.rk.as_ptr(), topic.as_ptr(), partition, &mut low, &mut high)
        };
        (raw == Raw::RD_KAFKA_RESP_ERR_NO_ERROR && high >= 0).then_some(high)
    }
}

/// Take what a queue has, up to the length of `slots`, after waiting for so many milliseconds for the first: `each` sees
/// every message or error once. Callbacks run inside this call.
///
/// # Safety
/// The queue is valid.
unsafe fn take_from(
    queue: *mut sys::rd_kafka_queue_t,
    wait: c_int,
    slots: &mut Slots,
    mut each: impl FnMut(Message<'_>),
) -> usize {
    // SAFETY: the caller's promise; the array has room for as many pointers as the call may write.
    let taken = unsafe { sys::rd_kafka_consume_batch_queue(queue, wait, slots.0.as_mut_ptr(), slots.0.len()) };
    // Negative for an error in the arguments, which cannot be.
    let taken = usize::try_from(taken).unwrap_or(0).min(slots.0.len());
    for slot in &mut slots.0[..taken] {
        let message = Owned(std::mem::replace(slot, ptr::null_mut()));
        // SAFETY: the call above wrote a valid message here, which is ours; `message` destroys it at the end of
        // the turn, even if `each` panics, and the view does not outlive that.
        if let Some(raw) = unsafe { message.0.as_ref() } {
            each(Message { raw });
        }
    }
    taken
}

/// A copy of one of the library's strings.
fn text_of(text: *const c_char) -> String {
    if text.is_null() {
        return String::new();
    }
    // SAFETY: the library's strings are NUL-terminated and valid at this moment (see the head of this module); so is
    // the buffer for reasons of failure, which begins as zeros.
    unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned()
}

fn failed_with(raw: Raw, what: &str) -> Result<(), Failure> {
    if raw == Raw::RD_KAFKA_RESP_ERR_NO_ERROR { Ok(()) } else { Err(Failure::new(raw.into(), what.to_owned())) }
}

/// What an error object says; it is destroyed.
fn error_object(error: *mut sys::rd_kafka_error_t) -> Result<(), Failure> {
    if error.is_null() {
        return Ok(());
    }
    // SAFETY: the object is valid and ours; what is read is copied before it goes, and it is not used again.
    unsafe {
        let failure = Failure::new(sys::rd_kafka_error_code(error).into(), text_of(sys::rd_kafka_error_string(error)));
        sys::rd_kafka_error_destroy(error);
        Err(failure)
    }
}

fn millis(patience: Duration) -> c_int {
    c_int::try_from(patience.as_millis()).unwrap_or(c_int::MAX)
}

/// What has ended the client for good.
fn fatal(rk: *mut sys::rd_kafka_t) -> Option<Failure> {
    let mut why = [0 as c_char; 512];
    // SAFETY: callers have a valid handle, and `why` has the length given.
    let raw = unsafe { sys::rd_kafka_fatal_error(rk, why.as_mut_ptr(), why.len()) };
    (raw != Raw::RD_KAFKA_RESP_ERR_NO_ERROR).then(|| Failure::new(raw.into(), text_of(why.as_ptr())))
}

fn is_cooperative(rk: *mut sys::rd_kafka_t) -> bool {
    // SAFETY: callers have a valid handle; the string is a constant of the library.
    text_of(unsafe { sys::rd_kafka_rebalance_protocol(rk) }) == "COOPERATIVE"
}
