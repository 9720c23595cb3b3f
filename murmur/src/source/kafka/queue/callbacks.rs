//! What librdkafka calls. The rules for `unsafe` are those of the module above.

use std::ffi::{c_char, c_int, c_void};
use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::Instant;

use rdkafka::types::RDKafkaErrorCode as Code;
use rdkafka_sys as sys;
use rdkafka_sys::rd_kafka_resp_err_t as Raw;

use super::position::{Position, entries};
use super::{Event, Shared, fatal, text_of};
use crate::source::kafka::failure::Failure;

/// # Safety
/// `opaque` is the pointer given to librdkafka in [`Consumer::new`](super::Consumer::new).
unsafe fn shared<'a>(opaque: *mut c_void) -> &'a Shared {
    // SAFETY: it points into the `Arc` that `Consumer` keeps until the client is destroyed; callbacks end before that.
    unsafe { &*opaque.cast::<Shared>() }
}

/// Called inside [`Consumer::take`](super::Consumer::take), or inside the drop. Neither assigns nor unassigns: the engine flushes first.
pub(super) unsafe extern "C" fn on_rebalance(
    rk: *mut sys::rd_kafka_t,
    err: Raw,
    list: *mut sys::rd_kafka_topic_partition_list_t,
    opaque: *mut c_void,
) {
    // SAFETY: librdkafka calls with what it was given.
    let shared = unsafe { shared(opaque) };
    let asked =
        if err == Raw::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS { &shared.asked_to_take } else { &shared.asked_to_give };
    asked.store(true, Ordering::SeqCst);
    if shared.closing.load(Ordering::SeqCst) {
        // The drop answers, outside of this call, and not everything: see there.
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

/// Called inside [`Consumer::take`](super::Consumer::take), or inside the drop, with what came of a commit.
pub(super) unsafe extern "C" fn on_commit(
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
        if raw == Raw::RD_KAFKA_RESP_ERR_NO_ERROR {
            shared.push(Event::Committed(position));
        } else {
            tracing::warn!(partition = %position, offset = position.offset, error = %Code::from(raw), "a commit failed; the store has the position");
            shared.push(Event::Uncommitted(position));
        }
    }
}

/// Called inside [`Consumer::take`](super::Consumer::take).
pub(super) unsafe extern "C" fn on_error(
    rk: *mut sys::rd_kafka_t,
    err: c_int,
    reason: *const c_char,
    opaque: *mut c_void,
) {
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
    let refusals = [
        (Raw::RD_KAFKA_RESP_ERR__SSL, Code::SSL),
        (Raw::RD_KAFKA_RESP_ERR__AUTHENTICATION, Code::Authentication),
        (Raw::RD_KAFKA_RESP_ERR__TRANSPORT, Code::BrokerTransportFailure),
    ];
    if let Some((_, code)) = refusals.into_iter().find(|(raw, _)| *raw as c_int == err) {
        let refusal = Failure::new(code, reason).refusal();
        let mut last = shared.refusal.lock().unwrap_or_else(PoisonError::into_inner);
        *last = refusal.or(last.take());
    }
}

/// Called from any thread of librdkafka, with levels as in syslog.
pub(super) unsafe extern "C" fn on_log(
    _: *const sys::rd_kafka_t,
    level: c_int,
    facility: *const c_char,
    text: *const c_char,
) {
    let (facility, text) = (text_of(facility), text_of(text));
    match level {
        ..=3 => tracing::error!(target: "librdkafka", "{facility}: {text}"),
        4 => tracing::warn!(target: "librdkafka", "{facility}: {text}"),
        5 | 6 => tracing::info!(target: "librdkafka", "{facility}: {text}"),
        _ => tracing::debug!(target: "librdkafka", "{facility}: {text}"),
    }
}

/// Called from any thread of librdkafka when the queue is no longer empty.
pub(super) unsafe extern "C" fn on_ready(_: *mut sys::rd_kafka_t, opaque: *mut c_void) {
    // SAFETY: librdkafka calls with what it was given.
    unsafe { shared(opaque) }.ready.notify_one();
}
