//! How a client ends. The rules for `unsafe` are those of the module above.

use std::ffi::{c_int, c_void};
use std::ptr;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use rdkafka_sys as sys;

use super::position::List;
use super::{Consumer, Slots, error_object, fatal, is_cooperative, take_from};

/// Between two looks whether a client has left or is closed, in milliseconds; it wakes us up when there is something to do.
const CLOSING: c_int = 100;
/// How long a client that was answered has to close before it is answered once more.
const ANSWERED: Duration = Duration::from_secs(1);
/// How long a client without partitions waits for a rebalance to end, as it can leave only then.
const LEAVES_WITHIN: Duration = Duration::from_secs(5);
/// How long a client has to leave and to close in all. Brokers have five seconds to answer that a member leaves, and a little more is
/// for what it does before; where nobody answers, the requests under way would be waited for much longer.
const CLOSES_WITHIN: Duration = Duration::from_secs(7);
/// Messages thrown away in one call meanwhile.
const LAST_SLOTS: usize = 256;

impl Consumer {
    /// Leave the group where to be closed is not enough: with the cooperative protocol librdkafka closes a member that
    /// fetches nothing without a word to its group, which then waits for it until its session has run out, and whoever is
    /// joining waits as long. A member with a name is to stay, and one that fetches is let go of as it is closed.
    ///
    /// What the group may still have for it is answered by taking none of it. Ends when the group is being told, which to
    /// be closed waits for, or after [`LEAVES_WITHIN`].
    fn leave_first(&self) {
        let rk = self.rk.as_ptr();
        let is_left_out = List::assigned(rk).is_ok_and(|list| list.is_empty());
        if self.is_named || !is_left_out || !is_cooperative(rk) || fatal(rk).is_some() || self.unsubscribe().is_err() {
            return;
        }
        let until = Instant::now() + LEAVES_WITHIN;
        let mut slots = Slots::new(LAST_SLOTS);
        loop {
            let answered = if self.shared.asked_to_take.load(Ordering::SeqCst) {
                self.answer_assigned(&[])
            } else if self.shared.asked_to_give.load(Ordering::SeqCst) {
                self.answer_revoked(&[])
            } else {
                Ok(())
            };
            if answered.is_err() {
                return;
            }
            if Instant::now() >= until || self.has_left() {
                return;
            }
            // SAFETY: the queue is valid.
            unsafe { take_from(self.queue.as_ptr(), CLOSING, &mut slots, |_| {}) };
        }
    }

    /// Whether it is no member any more. While a rebalance is under way it stays one, with what it was subscribed to.
    fn has_left(&self) -> bool {
        let rk = self.rk.as_ptr();
        List::subscribed(rk).is_ok_and(|list| list.is_empty()) && {
            // SAFETY: the handle is valid; the string is ours, read before it goes, and may be null.
            unsafe {
                let id = sys::rd_kafka_memberid(rk);
                let is_nobody = id.is_null() || *id == 0;
                sys::rd_kafka_mem_free(rk, id.cast::<c_void>());
                is_nobody
            }
        }
    }
}

impl Drop for Consumer {
    /// Leave the group, so that others can have the partitions at once, and wait for commits that are under way; not for
    /// longer than brokers that can be reached need. A client that is not closed by then is left to itself: to destroy it
    /// would mean to wait for it.
    fn drop(&mut self) {
        self.shared.closing.store(true, Ordering::SeqCst);
        let until = Instant::now() + CLOSES_WITHIN;
        self.leave_first();
        let (rk, queue) = (self.rk.as_ptr(), self.queue.as_ptr());
        // SAFETY: both handles are ours and not used again; `shared` is dropped after this. Where the client is
        // left to itself, none of the three is destroyed, and `shared` never is. The order is the one that the library
        // asks for: callbacks off, close, queues, client. What the last steps have to say arrives at a queue
        // of their own, which is ours as well.
        unsafe {
            sys::rd_kafka_queue_cb_event_enable(queue, None, ptr::null_mut());
            let last = sys::rd_kafka_queue_new(rk);
            // A client that has failed for good does not close, and is only destroyed.
            if error_object(sys::rd_kafka_consumer_close_queue(rk, last)).is_ok() {
                // What it has asked before, and nobody has answered, it waits for. Not earlier: the cooperative protocol
                // takes this answer from a closing member only, and any other one makes it join the group once more.
                let mut is_asked = self.shared.was_asked();
                let mut answered: Option<Instant> = None;
                // Messages arrive up to the last moment, and a poll that takes callbacks only would not bear them.
                let mut slots = Slots::new(LAST_SLOTS);
                while sys::rd_kafka_consumer_closed(rk) == 0 {
                    if Instant::now() >= until {
                        tracing::warn!(
                            "the brokers did not answer that this member leaves its group; its partitions go to others \
                             after `session.timeout.ms`"
                        );
                        // Callbacks that are still to come have it.
                        std::mem::forget(self.shared.clone());
                        return;
                    }
                    // One answer lets it close, and whoever answers a client that has closed meanwhile waits for ever: it
                    // drops such a request without a reply. So what it asks besides is answered only when it does not
                    // close without that.
                    if is_asked && answered.is_none_or(|at| at.elapsed() >= ANSWERED) {
                        sys::rd_kafka_assign(rk, ptr::null());
                        (is_asked, answered) = (false, Some(Instant::now()));
                    }
                    take_from(last, CLOSING, &mut slots, |_| {});
                    is_asked |= self.shared.was_asked();
                }
            }
            sys::rd_kafka_queue_destroy(last);
            sys::rd_kafka_queue_destroy(queue);
            sys::rd_kafka_destroy(rk);
        }
    }
}
