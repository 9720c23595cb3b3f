//! Messages, while they are looked at. The rules for `unsafe` are those of the module above.

use std::ffi::{CStr, c_void};
use std::ptr;

use rdkafka_sys as sys;
use rdkafka_sys::rd_kafka_resp_err_t as Raw;

use super::text_of;
use crate::source::kafka::failure::Failure;

/// Room for the messages of one call.
#[derive(Debug)]
pub(in crate::source::kafka) struct Slots(pub(super) Vec<*mut sys::rd_kafka_message_t>);

// SAFETY: between two calls of `Consumer::take` all pointers are null.
unsafe impl Send for Slots {}
// SAFETY: a shared reference gives nothing away.
unsafe impl Sync for Slots {}

impl Slots {
    pub(in crate::source::kafka) fn new(count: usize) -> Self {
        Self(vec![ptr::null_mut(); count])
    }
}

pub(super) struct Owned(pub(super) *mut sys::rd_kafka_message_t);

impl Drop for Owned {
    fn drop(&mut self) {
        // SAFETY: the message came from `rd_kafka_consume_batch_queue`, and this is its only owner.
        unsafe { sys::rd_kafka_message_destroy(self.0) };
    }
}

/// A message, or an error, while it is looked at.
#[derive(Clone, Copy)]
pub(in crate::source::kafka) struct Message<'a> {
    pub(super) raw: &'a sys::rd_kafka_message_t,
}

impl<'a> Message<'a> {
    /// The topic; empty for an error that is about none.
    pub(in crate::source::kafka) fn topic(&self) -> &'a CStr {
        if self.raw.rkt.is_null() {
            return c"";
        }
        // SAFETY: the message holds the topic, whose name is a string that lives as long as it does.
        unsafe { CStr::from_ptr(sys::rd_kafka_topic_name(self.raw.rkt)) }
    }

    pub(in crate::source::kafka) fn has_topic(&self) -> bool {
        !self.raw.rkt.is_null()
    }

    /// Tells topics apart without reading their names; holds within one call of [`Consumer::take`](super::Consumer::take), in which every
    /// topic is kept by its messages.
    pub(in crate::source::kafka) fn topic_token(&self) -> usize {
        self.raw.rkt.addr()
    }

    pub(in crate::source::kafka) fn partition(&self) -> i32 {
        self.raw.partition
    }

    pub(in crate::source::kafka) fn offset(&self) -> i64 {
        self.raw.offset
    }

    /// Why this is no message.
    pub(in crate::source::kafka) fn failure(&self) -> Option<Failure> {
        if self.raw.err == Raw::RD_KAFKA_RESP_ERR_NO_ERROR {
            return None;
        }
        // SAFETY: for a message with an error it is a string that lives as long as the message.
        let text = text_of(unsafe { sys::rd_kafka_message_errstr(self.raw) });
        Some(Failure::new(self.raw.err.into(), text))
    }

    /// Its value; `None` for a tombstone, which is another thing than an empty one.
    pub(in crate::source::kafka) fn payload(&self) -> Option<&'a [u8]> {
        bytes(self.raw, self.raw.payload, self.raw.len)
    }

    pub(in crate::source::kafka) fn key(&self) -> Option<&'a [u8]> {
        bytes(self.raw, self.raw.key, self.raw.key_len)
    }

    /// When the producer made it or the broker got it, by the topic's settings: milliseconds since 1970.
    pub(in crate::source::kafka) fn stamped(&self) -> Option<i64> {
        let mut kind = sys::rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
        // SAFETY: the message and the target live through the call.
        let millis = unsafe { sys::rd_kafka_message_timestamp(self.raw, &mut kind) };
        (kind != sys::rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE && millis >= 0).then_some(millis)
    }

    /// Name and value of each header.
    pub(in crate::source::kafka) fn headers(&self, mut each: impl FnMut(&'a [u8], Option<&'a [u8]>)) {
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
    pub(in crate::source::kafka) fn sample(raw: &'a sys::rd_kafka_message_t) -> Self {
        Self { raw }
    }

    /// What [`sample`](Self::sample) needs: the payload outlives it.
    pub(in crate::source::kafka) fn sample_of(offset: i64, payload: &'a [u8]) -> sys::rd_kafka_message_t {
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

    /// The same without a value.
    pub(in crate::source::kafka) fn sample_of_tombstone(offset: i64) -> sys::rd_kafka_message_t {
        sys::rd_kafka_message_t { payload: ptr::null_mut(), ..Self::sample_of(offset, &[]) }
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
