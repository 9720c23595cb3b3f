use murmur::aggregate::{DecodeError, Form};
use murmur::prelude::*;

/// All that was ever written.
#[derive(Clone, Debug)]
pub struct Everything(Vec<u8>);

impl Monoid for Everything {
    const FORM: Form = Form::Put;
    const MAX_BYTES: usize = usize::MAX;
    const COMMUTATIVE: bool = false;
    type Reply = u64;

    fn identity() -> Self {
        Self(Vec::new())
    }

    fn combine(&mut self, later: Self) {
        self.0.extend(later.0);
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.extend(&self.0);
    }

    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        Ok(Self(bytes.to_vec()))
    }

    fn reply(&self, _: &Question) -> murmur::Result<u64> {
        Ok(self.0.len() as u64)
    }
}

#[murmur::event]
#[derive(serde::Deserialize)]
pub struct Note {
    pub page: String,
    pub text: String,
}

#[murmur::pipeline(key = page, fields(notes, all(as = "uint64")))]
pub fn noted(note: &Note) -> (Count, Everything) {
    (Count::one(), Everything(note.text.clone().into()))
}

#[murmur::pipeline(key = page, fields(notes, all(as = "uint64")), unbounded)]
pub fn accepted(note: &Note) -> (Count, Everything) {
    (Count::one(), Everything(note.text.clone().into()))
}

#[murmur::pipeline(key = page, unbounded)]
pub fn bounded(_: &Note) -> Count {
    Count::one()
}
