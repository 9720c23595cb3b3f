//! The reply to a call about many keys, written key by key. What answers say of themselves is the same for nearly all of them, and
//! its bytes are made once: with the partitions for the first one, and without for the others.

use prost::Message;
use prost::encoding::{WireType, encode_key, encode_varint};
use tonic::Status;

use super::handler::value_response;
use super::messages::{Entry, ValueResponse};
use super::protocol::frame::Framed;
use super::protocol::rpc::Reply;
use super::truth::Truths;
use crate::query;
use crate::wire::types::Answer;
use crate::wire::{WireField, WireMessage};

/// Numbers of the fields of `EntriesResponse`, and of [`Entry`].
const ENTRIES: u32 = 1;
const ANSWER: u32 = 4;

/// The reply of these entries, if it is not too large.
pub(super) fn reply<K: WireMessage, V: WireField>(
    entries: impl ExactSizeIterator<Item = (K, query::Answer<V>)>,
) -> Result<Reply, Status> {
    /// What a short key and a number take, with what is said of them.
    const GUESS: usize = 96;
    let mut reply = Framed::room(GUESS * entries.len());
    let (mut last, mut truths) = (Said::default(), Truths::default());
    for (key, answer) in entries {
        let ValueResponse { value, present, answer } = value_response(answer, &mut truths);
        let said = last.bytes(answer);
        let entry = Entry { key: Some(key), value, present, answer: None };
        encode_key(ENTRIES, WireType::LengthDelimited, &mut reply);
        encode_varint((entry.encoded_len() + said.len()) as u64, &mut reply);
        entry.encode_raw(&mut reply);
        reply.extend_from_slice(said);
    }
    Reply::written(reply)
}

/// An answer, and the field of it.
#[derive(Default)]
struct Said {
    answer: Option<Answer>,
    field: Vec<u8>,
}

impl Said {
    fn bytes(&mut self, answer: Option<Answer>) -> &[u8] {
        if self.answer != answer {
            self.field.clear();
            answer.encode_field(ANSWER, &mut self.field);
            self.answer = answer;
        }
        &self.field
    }
}

#[cfg(test)]
mod tests {
    use super::super::messages::EntriesResponse;
    use super::*;
    use crate::query::{AsOf, Interval, Presence};
    use crate::source::{Offset, PartitionId};
    use crate::wire::types::PartitionProgress;

    #[test]
    fn what_is_written_is_the_message_of_the_entries() {
        let interval = Interval { start: None, end: None, start_exact: true, end_exact: true };
        let partition = |n| crate::query::PartitionProgress {
            partition: PartitionId::new(format!("topic-{n}")),
            watermark: None,
            offset: Some(Offset::from_u64(n)),
        };
        let as_of = AsOf { partitions: (0..3).map(partition).collect(), ..AsOf::default() };
        let answer = |value: u64, presence, problem: Option<&str>| query::Answer {
            value,
            problem: problem.map(str::to_owned),
            presence,
            interval,
            as_of: as_of.clone(),
            explanation: None,
        };
        let answers = [
            answer(7, Presence::Present, None),
            answer(300, Presence::Present, None),
            answer(0, Presence::Absent, None),
            answer(0, Presence::Present, Some("`views` does not fit")),
            answer(1, Presence::Present, None),
        ];
        for count in 0..=answers.len() {
            let key = |at: usize| PartitionProgress { partition: format!("key {at}"), ..PartitionProgress::default() };
            let asked = |at: usize| (key(at), answers[at].clone());
            let mut truths = Truths::default();
            let entries = (0..count).map(asked).map(|(key, answer)| {
                let ValueResponse { value, present, answer } = value_response(answer, &mut truths);
                Entry { key: Some(key), value, present, answer }
            });
            let message = EntriesResponse { entries: entries.collect() };
            let written = reply((0..count).map(asked)).unwrap();
            assert_eq!(written.message.message(), message.encode_to_vec());
        }
    }
}
