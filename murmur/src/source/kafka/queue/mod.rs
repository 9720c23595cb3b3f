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
mod outage;

use std::collections::VecDeque;
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::marker::PhantomData;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::types::RDKafkaErrorCode as Code;
use rdkafka_sys as sys;
use rdkafka_sys::rd_kafka_resp_err_t as Raw;
use tokio::sync::Notify;

use super::failure::Failure;
pub(super) use admin::Member;
use outage::Outage;

/// A partition of a topic, and an offset in it where there is one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Position {
    pub(super) topic: String,
    pub(super) partition: i32,
    /// `None` for none; what it means is up to the call.
    pub(super) offset: Option<i64>,
}

/// What the group and the cluster have to say, in their order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Event {
    /// These partitions come to this member, once [`Consumer::answer_assigned`] says from where.
    Assigned(Vec<Position>),
    /// These partitions are to be given up, once [`Consumer::answer_revoked`] says that they may go.
    Revoked(Vec<Position>),
    /// The same, but another member may have them already.
    Lost(Vec<Position>),
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
    /// Rebalances are answered at once from now on.
    closing: AtomicBool,
}

impl Shared {
    fn push(&self, event: Event) {
        self.events.lock().unwrap_or_else(PoisonError::into_inner).push_back(event);
        self.ready.notify_one();
    }
}

/// A member of a group.
#[derive(Debug)]
pub(super) struct Consumer {
    rk: NonNull<sys::rd_kafka_t>,
    queue: NonNull<sys::rd_kafka_queue_t>,
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
        Ok(Self { rk, queue, shared })
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
    pub(super) fn take(&self, slots: &mut Slots, mut each: impl FnMut(Message<'_>)) -> usize {
        // SAFETY: the queue is valid, and the array has room for as many pointers as the call may write. It waits for
        // nothing (0 ms).
        let taken =
            unsafe { sys::rd_kafka_consume_batch_queue(self.queue.as_ptr(), 0, slots.0.as_mut_ptr(), slots.0.len()) };
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

    /// Answer [`Event::Assigned`]: fetch these partitions from these offsets. All of one event at once: librdkafka
    /// takes the first answer for the whole one.
    pub(super) fn answer_assigned(&self, positions: &[Position]) -> Result<(), Failure> {
        let list = List::of_positions(positions)?;
        if self.is_cooperative() {
            // SAFETY: both handles are valid; the list is only read. An error object is ours.
            return error_object(unsafe { sys::rd_kafka_incremental_assign(self.rk.as_ptr(), list.as_ptr()) });
        }
        // SAFETY: as above.
        failed_with(unsafe { sys::rd_kafka_assign(self.rk.as_ptr(), list.as_ptr()) }, "cannot take partitions")
    }

    /// Answer [`Event::Revoked`] or [`Event::Lost`]: let these go, of which all must be fetched now. Without the
    /// cooperative protocol it is always all of them.
    pub(super) fn answer_revoked(&self, positions: &[Position]) -> Result<(), Failure> {
        if self.is_cooperative() {
            let list = List::of_positions(positions)?;
            // SAFETY: both handles are valid; the list is only read. An error object is ours.
            return error_object(unsafe { sys::rd_kafka_incremental_unassign(self.rk.as_ptr(), list.as_ptr()) });
        }
        // SAFETY: the handle is valid; null lets everything go.
        failed_with(unsafe { sys::rd_kafka_assign(self.rk.as_ptr(), ptr::null()) }, "cannot let partitions go")
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

    /// Tell the group that everything below these offsets is done. Waits for the broker, or lets the callback log what
    /// came of it.
    pub(super) fn commit(&self, positions: &[Position], wait: bool) -> Result<(), Failure> {
        let list = List::of_positions(positions)?;
        // SAFETY: both handles are valid; the list is only read.
        let raw = unsafe { sys::rd_kafka_commit(self.rk.as_ptr(), list.as_ptr(), c_int::from(!wait)) };
        failed_with(raw, "cannot commit")
    }

    /// The group's commits; `offset` is `None` where it has none.
    pub(super) fn committed(&self, positions: &[Position], patience: Duration) -> Result<Vec<Position>, Failure> {
        let list = List::of_positions(positions)?;
        // SAFETY: both handles are valid; the call writes offsets and errors into the list, which is ours.
        let raw = unsafe { sys::rd_kafka_committed(self.rk.as_ptr(), list.as_ptr(), millis(patience)) };
        failed_with(raw, "cannot read the group's commits")?;
        list.read()
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

impl Drop for Consumer {
    /// Leave the group, so that others can have the partitions at once, and wait for commits that are under way.
    fn drop(&mut self) {
        self.shared.closing.store(true, Ordering::SeqCst);
        // What it has asked before, and nobody has answered, it would wait for.
        // SAFETY: the handle is valid; null lets everything go.
        unsafe { sys::rd_kafka_assign(self.rk.as_ptr(), ptr::null()) };
        // SAFETY: both handles are ours and not used again; `shared` is dropped after this. The order is the one that
        // the library asks for: callbacks off, close, queue, client.
        unsafe {
            sys::rd_kafka_queue_cb_event_enable(self.queue.as_ptr(), None, ptr::null_mut());
            sys::rd_kafka_consumer_close(self.rk.as_ptr());
            sys::rd_kafka_queue_destroy(self.queue.as_ptr());
            sys::rd_kafka_destroy(self.rk.as_ptr());
        }
    }
}

/// Room for the messages of one call.
#[derive(Debug)]
pub(super) struct Slots(Vec<*mut sys::rd_kafka_message_t>);

// SAFETY: between two calls of `Consumer::take` all pointers are null.
unsafe impl Send for Slots {}
// SAFETY: a shared reference gives nothing away.
unsafe impl Sync for Slots {}

impl Slots {
    pub(super) fn new(count: usize) -> Self {
        Self(vec![ptr::null_mut(); count])
    }
}

struct Owned(*mut sys::rd_kafka_message_t);

impl Drop for Owned {
    fn drop(&mut self) {
        // SAFETY: the message came from `rd_kafka_consume_batch_queue`, and this is its only owner.
        unsafe { sys::rd_kafka_message_destroy(self.0) };
    }
}

/// A message, or an error, while it is looked at.
#[derive(Clone, Copy)]
pub(super) struct Message<'a> {
    raw: &'a sys::rd_kafka_message_t,
}

impl<'a> Message<'a> {
    /// The topic; empty for an error that is about none.
    pub(super) fn topic(&self) -> &'a CStr {
        if self.raw.rkt.is_null() {
            return c"";
        }
        // SAFETY: the message holds the topic, whose name is a string that lives as long as it does.
        unsafe { CStr::from_ptr(sys::rd_kafka_topic_name(self.raw.rkt)) }
    }

    pub(super) fn has_topic(&self) -> bool {
        !self.raw.rkt.is_null()
    }

    /// Tells topics apart without reading their names; holds within one call of [`Consumer::take`], in which every
    /// topic is kept by its messages.
    pub(super) fn topic_token(&self) -> usize {
        self.raw.rkt.addr()
    }

    pub(super) fn partition(&self) -> i32 {
        self.raw.partition
    }

    pub(super) fn offset(&self) -> i64 {
        self.raw.offset
    }

    /// Why this is no message.
    pub(super) fn failure(&self) -> Option<Failure> {
        if self.raw.err == Raw::RD_KAFKA_RESP_ERR_NO_ERROR {
            return None;
        }
        // SAFETY: for a message with an error it is a string that lives as long as the message.
        let text = text_of(unsafe { sys::rd_kafka_message_errstr(self.raw) });
        Some(Failure::new(self.raw.err.into(), text))
    }

    pub(super) fn payload(&self) -> &'a [u8] {
        bytes(self.raw, self.raw.payload, self.raw.len).unwrap_or_default()
    }

    pub(super) fn key(&self) -> Option<&'a [u8]> {
        bytes(self.raw, self.raw.key, self.raw.key_len)
    }

    /// When the producer made it or the broker got it, by the topic's settings: milliseconds since 1970.
    pub(super) fn stamped(&self) -> Option<i64> {
        let mut kind = sys::rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
        // SAFETY: the message and the target live through the call.
        let millis = unsafe { sys::rd_kafka_message_timestamp(self.raw, &mut kind) };
        (kind != sys::rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE && millis >= 0).then_some(millis)
    }

    /// Name and value of each header.
    pub(super) fn headers(&self, mut each: impl FnMut(&[u8], Option<&[u8]>)) {
        let mut headers = ptr::null_mut();
        // SAFETY: the message and the target live through the call. The headers belong to the message; that they are
        // parsed inside it at the first call is covered, as nobody else has this message.
        let found = unsafe { sys::rd_kafka_message_headers(self.raw, &mut headers) };
        if found != Raw::RD_KAFKA_RESP_ERR_NO_ERROR {
            return;
        }
        for at in 0.. {
            let (mut name, mut value, mut length) = (ptr::null(), ptr::null(), 0);
            // SAFETY: the headers live as long as the message, and the targets through the call.
            let found = unsafe { sys::rd_kafka_header_get_all(headers, at, &mut name, &mut value, &mut length) };
            if found != Raw::RD_KAFKA_RESP_ERR_NO_ERROR {
                return;
            }
            // SAFETY: on success it is a string that belongs to the headers.
            let name = unsafe { CStr::from_ptr(name) };
            each(name.to_bytes(), bytes(self.raw, value, length));
        }
    }
}

#[cfg(test)]
impl<'a> Message<'a> {
    /// A message as it is before anything but its payload is looked at.
    pub(super) fn sample(raw: &'a sys::rd_kafka_message_t) -> Self {
        Self { raw }
    }

    /// What [`sample`](Self::sample) needs: the payload outlives it.
    pub(super) fn sample_of(offset: i64, payload: &'a [u8]) -> sys::rd_kafka_message_t {
        sys::rd_kafka_message_t {
            err: Raw::RD_KAFKA_RESP_ERR_NO_ERROR,
            rkt: ptr::null_mut(),
            partition: 0,
            payload: payload.as_ptr().cast_mut().cast(),
            len: payload.len(),
            key: ptr::null_mut(),
            key_len: 0,
            offset,
            _private: ptr::null_mut(),
        }
    }
}

/// `length` bytes that belong to `owner`; `None` for a null pointer.
fn bytes(_owner: &sys::rd_kafka_message_t, start: *const c_void, length: usize) -> Option<&[u8]> {
    if start.is_null() {
        return None;
    }
    // SAFETY: start and length are those of a payload, a key or a header of the owner, which keeps them unchanged as
    // long as it lives.
    Some(unsafe { std::slice::from_raw_parts(start.cast(), length) })
}

/// A list of partitions on the C side.
struct List(NonNull<sys::rd_kafka_topic_partition_list_t>, PhantomData<*mut ()>);

impl List {
    fn of<'a>(entries: impl IntoIterator<Item = (&'a str, i32, Option<i64>)>) -> Result<Self, Failure> {
        // SAFETY: makes a list that is ours.
        let list = unsafe { sys::rd_kafka_topic_partition_list_new(0) };
        let Some(list) = NonNull::new(list) else {
            return Err(Failure::new(Code::CriticalSystemResource, "out of memory".to_owned()));
        };
        let list = Self(list, PhantomData);
        for (topic, partition, offset) in entries {
            let topic = c_string(topic)?;
            // SAFETY: the list is ours and the string lives through the call, which copies it; the entry that it
            // returns is valid until the next one is added.
            unsafe {
                let entry = sys::rd_kafka_topic_partition_list_add(list.as_ptr(), topic.as_ptr(), partition);
                if let (Some(entry), Some(offset)) = (entry.as_mut(), offset) {
                    entry.offset = offset;
                }
            }
        }
        Ok(list)
    }

    fn of_positions(positions: &[Position]) -> Result<Self, Failure> {
        Self::of(positions.iter().map(|at| (at.topic.as_str(), at.partition, at.offset)))
    }

    fn as_ptr(&self) -> *mut sys::rd_kafka_topic_partition_list_t {
        self.0.as_ptr()
    }

    /// What stands in it; the first error of an entry, if one has one.
    fn read(&self) -> Result<Vec<Position>, Failure> {
        // SAFETY: the list is ours.
        let entries = unsafe { entries(self.as_ptr()) };
        entries.into_iter().map(|(position, raw)| failed_with(raw, &position.to_string()).map(|()| position)).collect()
    }
}

impl Drop for List {
    fn drop(&mut self) {
        // SAFETY: the list is ours and not used again.
        unsafe { sys::rd_kafka_topic_partition_list_destroy(self.as_ptr()) };
    }
}

impl std::fmt::Display for Position {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}[{}]", self.topic, self.partition)
    }
}

/// What stands in a list. Negative offsets are the library's way to say that there is none.
///
/// # Safety
/// `list` is null or a valid list that nobody changes meanwhile.
unsafe fn entries(list: *const sys::rd_kafka_topic_partition_list_t) -> Vec<(Position, Raw)> {
    // SAFETY: the caller's promise.
    let Some(list) = (unsafe { list.as_ref() }) else { return Vec::new() };
    let count = usize::try_from(list.cnt).unwrap_or(0);
    if count == 0 {
        return Vec::new();
    }
    // SAFETY: `elems` has `cnt` entries, which is not 0.
    let elems = unsafe { std::slice::from_raw_parts(list.elems, count) };
    let position = |entry: &sys::rd_kafka_topic_partition_t| Position {
        topic: text_of(entry.topic),
        partition: entry.partition,
        offset: Some(entry.offset).filter(|offset| *offset >= 0),
    };
    elems.iter().map(|entry| (position(entry), entry.err)).collect()
}

fn c_string(text: &str) -> Result<CString, Failure> {
    CString::new(text).map_err(|_| Failure::new(Code::InvalidArgument, format!("`{text}` contains a NUL")))
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

/// # Safety
/// `opaque` is the pointer given to librdkafka in [`Consumer::new`].
unsafe fn shared<'a>(opaque: *mut c_void) -> &'a Shared {
    // SAFETY: it points into the `Arc` that `Consumer` keeps until the client is destroyed; callbacks end before that.
    unsafe { &*opaque.cast::<Shared>() }
}

/// Called inside [`Consumer::take`], or inside the drop. Neither assigns nor unassigns: the engine flushes first.
unsafe extern "C" fn on_rebalance(
    rk: *mut sys::rd_kafka_t,
    err: Raw,
    list: *mut sys::rd_kafka_topic_partition_list_t,
    opaque: *mut c_void,
) {
    // SAFETY: librdkafka calls with what it was given.
    let shared = unsafe { shared(opaque) };
    if shared.closing.load(Ordering::SeqCst) {
        // SAFETY: the handle is valid. A closing consumer takes every answer for "let everything go".
        unsafe { sys::rd_kafka_assign(rk, ptr::null()) };
        return;
    }
    // SAFETY: the list is the library's for the time of this call.
    let positions: Vec<Position> = unsafe { entries(list) }.into_iter().map(|(position, _)| position).collect();
    shared.push(match err {
        Raw::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS => Event::Assigned(positions),
        Raw::RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS => {
            // SAFETY: the handle is valid.
            let lost = unsafe { sys::rd_kafka_assignment_lost(rk) } != 0;
            if lost { Event::Lost(positions) } else { Event::Revoked(positions) }
        }
        _ => Event::Fatal(Failure::new(err.into(), "the group cannot rebalance".to_owned())),
    });
}

/// Called inside [`Consumer::take`], or inside the drop, with what came of a commit.
unsafe extern "C" fn on_commit(
    _: *mut sys::rd_kafka_t,
    err: Raw,
    list: *mut sys::rd_kafka_topic_partition_list_t,
    opaque: *mut c_void,
) {
    if err == Raw::RD_KAFKA_RESP_ERR__NO_OFFSET {
        return;
    }
    // SAFETY: librdkafka calls with what it was given.
    let shared = unsafe { shared(opaque) };
    // SAFETY: the list is the library's for the time of this call.
    for (position, own) in unsafe { entries(list) } {
        let raw = if own == Raw::RD_KAFKA_RESP_ERR_NO_ERROR { err } else { own };
        if raw != Raw::RD_KAFKA_RESP_ERR_NO_ERROR {
            tracing::warn!(partition = %position, offset = position.offset, error = %Code::from(raw), "a commit failed; the store has the position");
            shared.push(Event::Uncommitted(position));
        }
    }
}

/// Called inside [`Consumer::take`].
unsafe extern "C" fn on_error(rk: *mut sys::rd_kafka_t, err: c_int, reason: *const c_char, opaque: *mut c_void) {
    let reason = text_of(reason);
    // SAFETY: librdkafka calls with what it was given.
    let shared = unsafe { shared(opaque) };
    if err == Raw::RD_KAFKA_RESP_ERR__FATAL as c_int {
        shared.push(Event::Fatal(fatal(rk).unwrap_or_else(|| Failure::new(Code::Fatal, reason))));
        return;
    }
    let is_down = err == Raw::RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN as c_int;
    if !is_down || shared.outage.lock().unwrap_or_else(PoisonError::into_inner).is_to_be_said(Instant::now()) {
        tracing::warn!("kafka: {reason}");
    }
    let refusals =
        [(Raw::RD_KAFKA_RESP_ERR__SSL, Code::SSL), (Raw::RD_KAFKA_RESP_ERR__AUTHENTICATION, Code::Authentication)];
    if let Some((_, code)) = refusals.into_iter().find(|(raw, _)| *raw as c_int == err) {
        let refusal = Failure::new(code, reason).refusal();
        let mut last = shared.refusal.lock().unwrap_or_else(PoisonError::into_inner);
        *last = refusal.or(last.take());
    }
}

/// Called from any thread of librdkafka, with levels as in syslog.
unsafe extern "C" fn on_log(_: *const sys::rd_kafka_t, level: c_int, facility: *const c_char, text: *const c_char) {
    let (facility, text) = (text_of(facility), text_of(text));
    match level {
        ..=3 => tracing::error!(target: "librdkafka", "{facility}: {text}"),
        4 => tracing::warn!(target: "librdkafka", "{facility}: {text}"),
        5 | 6 => tracing::info!(target: "librdkafka", "{facility}: {text}"),
        _ => tracing::debug!(target: "librdkafka", "{facility}: {text}"),
    }
}

/// Called from any thread of librdkafka when the queue is no longer empty.
unsafe extern "C" fn on_ready(_: *mut sys::rd_kafka_t, opaque: *mut c_void) {
    // SAFETY: librdkafka calls with what it was given.
    unsafe { shared(opaque) }.ready.notify_one();
}
