//! Partitions and offsets, here and on the C side. The rules for `unsafe` are those of the module above.

use std::ffi::CString;
use std::marker::PhantomData;
use std::ptr::{self, NonNull};

use rdkafka::types::RDKafkaErrorCode as Code;
use rdkafka_sys as sys;
use rdkafka_sys::rd_kafka_resp_err_t as Raw;

use super::{failed_with, text_of};
use crate::source::kafka::failure::Failure;

/// A partition of a topic, and an offset in it where there is one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::source::kafka) struct Position {
    pub(in crate::source::kafka) topic: String,
    pub(in crate::source::kafka) partition: i32,
    /// `None` for none; what it means is up to the call.
    pub(in crate::source::kafka) offset: Option<i64>,
}

/// A commit of the group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::source::kafka) struct Committed {
    /// Where; no offset when there is none.
    pub(in crate::source::kafka) at: Position,
    /// What the one who committed has put beside it; empty for nothing.
    pub(in crate::source::kafka) note: String,
}

impl std::fmt::Display for Position {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}[{}]", self.topic, self.partition)
    }
}

/// A list of partitions on the C side.
pub(super) struct List(NonNull<sys::rd_kafka_topic_partition_list_t>, PhantomData<*mut ()>);

impl List {
    /// What the client fetches now.
    pub(super) fn assigned(rk: *mut sys::rd_kafka_t) -> Result<Self, Failure> {
        // SAFETY: callers have a valid handle.
        Self::made(|list| unsafe { sys::rd_kafka_assignment(rk, list) })
    }

    /// The topics that the client wants.
    pub(super) fn subscribed(rk: *mut sys::rd_kafka_t) -> Result<Self, Failure> {
        // SAFETY: callers have a valid handle.
        Self::made(|list| unsafe { sys::rd_kafka_subscription(rk, list) })
    }

    /// A list that is made by the call and ours from then on.
    fn made(call: impl FnOnce(*mut *mut sys::rd_kafka_topic_partition_list_t) -> Raw) -> Result<Self, Failure> {
        let mut list = ptr::null_mut();
        failed_with(call(&mut list), "cannot tell what the client has")?;
        let list = NonNull::new(list).ok_or_else(|| Failure::new(Code::Fail, "there is no list".to_owned()))?;
        Ok(Self(list, PhantomData))
    }

    pub(super) fn is_empty(&self) -> bool {
        // SAFETY: the list is ours.
        unsafe { self.0.as_ref() }.cnt == 0
    }

    pub(super) fn of<'a>(entries: impl IntoIterator<Item = (&'a str, i32, Option<i64>)>) -> Result<Self, Failure> {
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

    pub(super) fn of_positions(positions: &[Position]) -> Result<Self, Failure> {
        Self::of(positions.iter().map(|at| (at.topic.as_str(), at.partition, at.offset)))
    }

    /// Put a text beside each of them, for a commit.
    pub(super) fn with_note(self, note: &str) -> Result<Self, Failure> {
        if note.is_empty() {
            return Ok(self);
        }
        // SAFETY: the list is ours, and nobody else looks at it.
        for entry in unsafe { elements_mut(self.as_ptr()) } {
            // SAFETY: without a client it is the library's own `malloc`, by which entries own their texts.
            let copy = unsafe { sys::rd_kafka_mem_malloc(ptr::null_mut(), note.len()) };
            if copy.is_null() {
                return Err(Failure::new(Code::CriticalSystemResource, "out of memory".to_owned()));
            }
            // SAFETY: the copy is new and has this length. The entry had no text before, and frees this one with itself.
            unsafe { ptr::copy_nonoverlapping(note.as_ptr(), copy.cast(), note.len()) };
            (entry.metadata, entry.metadata_size) = (copy, note.len());
        }
        Ok(self)
    }

    /// The commits that stand in it; the first error of an entry, if one has one.
    pub(super) fn read_commits(&self) -> Result<Vec<Committed>, Failure> {
        // SAFETY: the list is ours, and nobody changes it meanwhile.
        let elements = unsafe { elements_mut(self.as_ptr()) };
        let note = |entry: &sys::rd_kafka_topic_partition_t| {
            if entry.metadata.is_null() || entry.metadata_size == 0 {
                return String::new();
            }
            // SAFETY: the text has this length, and lives as long as the list.
            let bytes = unsafe { std::slice::from_raw_parts(entry.metadata.cast::<u8>(), entry.metadata_size) };
            String::from_utf8_lossy(bytes).into_owned()
        };
        let notes: Vec<String> = elements.iter().map(note).collect();
        Ok(self.read()?.into_iter().zip(notes).map(|(at, note)| Committed { at, note }).collect())
    }

    pub(super) fn as_ptr(&self) -> *mut sys::rd_kafka_topic_partition_list_t {
        self.0.as_ptr()
    }

    /// What stands in it; the first error of an entry, if one has one.
    pub(super) fn read(&self) -> Result<Vec<Position>, Failure> {
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

/// The entries of a list.
///
/// # Safety
/// `list` is valid, and nobody else uses it meanwhile.
unsafe fn elements_mut<'a>(
    list: *mut sys::rd_kafka_topic_partition_list_t,
) -> &'a mut [sys::rd_kafka_topic_partition_t] {
    // SAFETY: the caller's promise.
    let (elems, count) = unsafe { ((*list).elems, (*list).cnt) };
    match usize::try_from(count) {
        // SAFETY: `elems` has `cnt` entries, which is not 0.
        Ok(count) if count > 0 => unsafe { std::slice::from_raw_parts_mut(elems, count) },
        _ => &mut [],
    }
}

/// What stands in a list. Negative offsets are the library's way to say that there is none.
///
/// # Safety
/// `list` is null or a valid list that nobody changes meanwhile.
pub(super) unsafe fn entries(list: *const sys::rd_kafka_topic_partition_list_t) -> Vec<(Position, Raw)> {
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

pub(super) fn c_string(text: &str) -> Result<CString, Failure> {
    CString::new(text).map_err(|_| Failure::new(Code::InvalidArgument, format!("`{text}` contains a NUL")))
}
