//! What an answer says about itself, as messages.
//!
//! In a message of several answers each says which partitions it contains, unless that is what the one before it says: nearly
//! always it is, and a topic of hundreds of partitions would fill the message with them.

use std::cell::RefCell;
use std::sync::Arc;

use prost::Message;
use prost::encoding::{WireType, encode_key, encode_varint, encoded_len_varint};

use crate::query::{self, LevelReads};
use crate::wire::WireField;
use crate::wire::types::{self, Answer, AsOf, Edges, Explanation, NotRolled, PartitionProgress, Presence};

/// How an answer of a message says which partitions it contains.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Told {
    /// By naming them.
    These,
    /// Not at all: as the answers before it have them.
    AsBefore,
    /// It has none, and those before it have some: it says nothing of the stream.
    Nothing,
}

impl Told {
    /// Of an answer with these partitions, behind others; `before` is what was named last.
    pub(super) fn behind<T: PartialEq + Clone>(before: &mut Option<T>, partitions: &T, is_none: bool) -> Self {
        match before {
            None if is_none => Self::AsBefore,
            Some(_) if is_none => Self::Nothing,
            Some(named) if named == partitions => Self::AsBefore,
            _ => {
                *before = Some(partitions.clone());
                Self::These
            }
        }
    }
}

/// The truth about the answers of one message, in their order.
#[derive(Default)]
pub(super) struct Truths {
    named: Option<Arc<[query::PartitionProgress]>>,
}

impl Truths {
    /// Of the only answer of a message.
    pub(super) fn alone(
        presence: query::Presence,
        interval: query::Interval,
        as_of: query::AsOf,
        explanation: Option<query::Explanation>,
    ) -> Answer {
        Self::default().next(presence, interval, as_of, explanation)
    }

    /// Of the next one.
    pub(super) fn next(
        &mut self,
        presence: query::Presence,
        interval: query::Interval,
        as_of: query::AsOf,
        explanation: Option<query::Explanation>,
    ) -> Answer {
        let presence = match presence {
            query::Presence::Present => Presence::Present,
            query::Presence::Absent => Presence::Absent,
            query::Presence::Empty => Presence::Empty,
            query::Presence::OutOfRetention => Presence::OutOfRetention,
        };
        let query::Interval { start, end, start_exact, end_exact } = interval;
        let query::AsOf { watermark, freshness, partitions: named } = as_of;
        let told = Told::behind(&mut self.named, &named, named.is_empty());
        let partitions = if told == Told::These { partitions(&named) } else { none() };
        let as_of = (told != Told::Nothing).then_some(AsOf { watermark, freshness, partitions });
        let explanation = explanation.map(explained);
        Answer { presence, start, end, start_exact, end_exact, as_of, explanation, ..Answer::default() }
    }
}

/// Say of each answer of a message which partitions it contains, also of those that have them as the one before.
pub(super) fn complete<'a>(answers: impl Iterator<Item = &'a mut Answer>) {
    let mut named = none();
    for as_of in answers.filter_map(|answer| answer.as_of.as_mut()) {
        match as_of.partitions.is_empty() {
            true => as_of.partitions = named.clone(),
            false => named = as_of.partitions.clone(),
        }
    }
}

/// Write the field of an answer that names no partitions, with these ones in its `as_of`, which are a field of that already.
pub(super) fn put(answer: &Answer, number: u32, partitions: &[u8], out: &mut Vec<u8>) {
    /// The number of `as_of`: fields of lower ones stand before it, and the rest behind.
    const AS_OF: u32 = 6;
    let Answer { presence, start, end, start_exact, end_exact, as_of, problem, explanation } = answer;
    let head = Answer {
        presence: *presence,
        start: *start,
        end: *end,
        start_exact: *start_exact,
        end_exact: *end_exact,
        ..Answer::default()
    };
    let tail = Answer { problem: problem.clone(), explanation: explanation.clone(), ..Answer::default() };
    let as_of_len = as_of.as_ref().map(|as_of| as_of.encoded_len() + partitions.len());
    let field_len = as_of_len.map_or(0, |length| 1 + encoded_len_varint(length as u64) + length);
    encode_key(number, WireType::LengthDelimited, out);
    encode_varint((head.encoded_len() + field_len + tail.encoded_len()) as u64, out);
    head.encode_raw(out);
    if let Some((as_of, length)) = as_of.as_ref().zip(as_of_len) {
        encode_key(AS_OF, WireType::LengthDelimited, out);
        encode_varint(length as u64, out);
        as_of.encode_raw(out);
        out.extend_from_slice(partitions);
    }
    tail.encode_raw(out);
}

/// The field of these partitions in an `as_of`.
pub(super) fn field(of: &Arc<[query::PartitionProgress]>) -> Vec<u8> {
    let (mut field, partitions) = (Vec::new(), partitions(of));
    partitions.encode_field(3, &mut field);
    field
}

thread_local! {
    static NONE: Arc<Vec<PartitionProgress>> = Arc::default();
}

/// No partitions. All answers of a message but the first have these.
fn none() -> Arc<Vec<PartitionProgress>> {
    NONE.with(Arc::clone)
}

/// The messages of partitions. All answers of about a second have the same ones.
fn partitions(of: &Arc<[query::PartitionProgress]>) -> Arc<Vec<PartitionProgress>> {
    type Last = (Arc<[query::PartitionProgress]>, Arc<Vec<PartitionProgress>>);
    thread_local! {
        static LAST: RefCell<Option<Last>> = const { RefCell::new(None) };
    }
    LAST.with_borrow_mut(|last| {
        if let Some((_, made)) = last.as_ref().filter(|(known, _)| Arc::ptr_eq(known, of)) {
            return made.clone();
        }
        let made = Arc::new(of.iter().map(PartitionProgress::from).collect::<Vec<_>>());
        *last = Some((of.clone(), made.clone()));
        made
    })
}

fn explained(explanation: query::Explanation) -> Explanation {
    let query::Explanation { levels, read_units, consumed_units, requests, round_trips, not_rolled } = explanation;
    let levels = levels.into_iter().map(|LevelReads { level, reads, items, bytes, kept }| {
        let level = level.map_or("records", |level| level.name()).to_owned();
        types::LevelReads { level, reads, items, bytes, kept }
    });
    let not_rolled = not_rolled.into_iter().map(|(level, slots)| NotRolled {
        level: level.name().to_owned(),
        start: Some(slots.start),
        end: Some(slots.end),
    });
    let (levels, not_rolled) = (levels.collect(), not_rolled.collect());
    Explanation { levels, read_units, consumed_units, requests, round_trips, not_rolled }
}

impl From<Edges> for query::Edges {
    fn from(edges: Edges) -> Self {
        match edges {
            Edges::Unspecified | Edges::Exact => Self::Exact,
            Edges::Sawtooth => Self::Sawtooth,
        }
    }
}

impl From<query::Edges> for Edges {
    fn from(edges: query::Edges) -> Self {
        match edges {
            query::Edges::Exact => Self::Exact,
            query::Edges::Sawtooth => Self::Sawtooth,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::{Offset, PartitionId};
    use crate::time::{Span, Timestamp};

    fn as_of(partitions: &[(&str, u64)]) -> query::AsOf {
        let known = |&(name, offset): &(&str, u64)| query::PartitionProgress {
            partition: PartitionId::new(name),
            watermark: Some(Timestamp::EPOCH),
            offset: Some(Offset::from_u64(offset)),
        };
        let watermark = (!partitions.is_empty()).then_some(Timestamp::EPOCH);
        let freshness = watermark.map(|_| Span::from_seconds(1));
        query::AsOf { watermark, freshness, partitions: partitions.iter().map(known).collect() }
    }

    fn interval() -> query::Interval {
        query::Interval { start: Some(Timestamp::EPOCH), end: None, start_exact: true, end_exact: false }
    }

    #[test]
    fn partitions_are_named_once_and_whoever_reads_the_answers_knows_those_of_each() {
        let (none, old, new) = (as_of(&[]), as_of(&[("p0", 1), ("p1", 2)]), as_of(&[("p0", 1), ("p1", 3)]));
        for order in [
            &[&old, &old, &new, &new, &old][..],
            &[&none, &none, &old, &none, &none, &old, &new],
            &[&old, &none, &old],
            &[&none, &none],
            &[&new],
        ] {
            let mut truths = Truths::default();
            // Equal is as good as the same.
            let truth = |of: &&query::AsOf| {
                let of = query::AsOf { partitions: of.partitions.iter().cloned().collect(), ..(*of).clone() };
                truths.next(query::Presence::Present, interval(), of, None)
            };
            let mut answers: Vec<Answer> = order.iter().map(truth).collect();
            let named = |answer: &&Answer| answer.as_of.as_ref().is_some_and(|as_of| !as_of.partitions.is_empty());
            let mut before: Option<&query::AsOf> = None;
            let mut changes = 0;
            for of in order.iter().filter(|of| !of.partitions.is_empty()) {
                changes += usize::from(before.replace(of).is_none_or(|before| before != *of));
            }
            assert_eq!(answers.iter().filter(named).count(), changes, "{order:?}");
            complete(answers.iter_mut());
            for (answer, of) in answers.iter().zip(order) {
                let as_of = answer.as_of.clone().unwrap_or_default();
                assert_eq!((as_of.watermark, as_of.freshness), (of.watermark, of.freshness));
                assert_eq!(*as_of.partitions, of.partitions.iter().map(PartitionProgress::from).collect::<Vec<_>>());
            }
        }
    }

    #[test]
    fn an_answer_with_partitions_put_into_it_is_the_message_that_has_them() {
        let old = as_of(&[("p0", 1), ("p1", 200)]);
        let explained = query::Explanation { read_units: 1.5, ..query::Explanation::default() };
        for (as_of, problem, explanation) in [
            (as_of(&[]), "", None),
            (old.clone(), "", None),
            (old.clone(), "it does not fit", None),
            (old, "", Some(explained)),
        ] {
            let said = |as_of: query::AsOf| Answer {
                problem: problem.to_owned(),
                ..Truths::alone(query::Presence::Empty, interval(), as_of, explanation.clone())
            };
            let (mut put_in, mut whole) = (Vec::new(), Vec::new());
            let without = query::AsOf { partitions: Arc::default(), ..as_of.clone() };
            put(&said(without), 4, &field(&as_of.partitions), &mut put_in);
            Some(said(as_of)).encode_field(4, &mut whole);
            assert_eq!(put_in, whole);
        }
        // Of one that says nothing of the stream.
        let (nothing, mut put_in, mut whole) = (Answer::default(), Vec::new(), Vec::new());
        put(&nothing, 4, b"", &mut put_in);
        Some(nothing).encode_field(4, &mut whole);
        assert_eq!(put_in, whole);
    }
}
