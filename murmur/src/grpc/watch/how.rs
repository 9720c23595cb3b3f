use bytes::Bytes;
use prost::Message;
use sha2::{Digest, Sha256};

use super::super::handler::Reply;
use super::super::messages::WatchRequest;
use crate::pipeline::Pipeline;
use crate::query::{Answer, Ask, Reader};
use crate::store::Consistency;
use crate::wire::WireField;

/// How keys are asked about: what two streams must have in common to share a look.
pub(in crate::grpc) struct How<P: Pipeline> {
    /// The request without its keys, which is the same bytes for the same question.
    pub(super) question: Bytes,
    pub(super) reader: Reader<P>,
    pub(super) ask: Ask,
    pub(super) consistency: Consistency,
    /// Whether the reader explains what it read: each key then has to be looked at alone.
    pub(super) explains: bool,
}

impl<P: Pipeline> How<P> {
    /// Of a request, as `reader` answers it.
    pub(in crate::grpc) fn new(
        asked: WatchRequest<P::Key>,
        ask: Ask,
        (reader, consistency): (Reader<P>, Consistency),
    ) -> Self {
        let explains = asked.options.as_ref().is_some_and(|options| options.explain);
        let question = WatchRequest { key: None, resume: Vec::new(), ..asked }.encode_to_vec().into();
        Self { question, reader, ask, consistency, explains }
    }

    /// As how many keys one that is watched with this question counts: as one, and as one more for each KiB of the question, since an
    /// answer may repeat the elements that are asked about.
    pub(super) fn places(&self) -> usize {
        1 + (self.question.len() >> 10)
    }

    /// What stands for an answer about a key: another value, presence or problem, another key or question has another one.
    /// It is the same on every server, so that a stream can be resumed at any. Beside it, how many bytes the field of the value has.
    ///
    /// 64 bits of SHA-256: that two values of a key share one is as likely as that a disk errs unnoticed.
    pub(super) fn digest(&self, key: &str, answer: &Answer<Reply<P>>) -> (u64, usize) {
        let mut value = Vec::with_capacity(answer.value.field_len(1));
        answer.value.encode_field(1, &mut value);
        let problem = answer.problem.as_deref().unwrap_or_default();
        let mut hash = Sha256::new();
        for part in [P::SPEC.name.as_bytes(), &self.question, key.as_bytes(), problem.as_bytes(), &value] {
            // With its length, so that no two lists of parts are the same bytes.
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        hash.update([answer.presence as u8]);
        let hash: [u8; 32] = hash.finalize().into();
        (hash.first_chunk().map_or(0, |first| u64::from_be_bytes(*first)), value.len())
    }
}
