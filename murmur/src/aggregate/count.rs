use super::{Column, DecodeError, Form, Monoid, Number, Question};
use crate::{Error, ErrorKind};

/// How many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Count(u64);

impl Count {
    /// One event.
    pub const fn one() -> Self {
        Self(1)
    }

    /// Several at once: an event that stands for `n`.
    pub const fn of(n: u64) -> Self {
        Self(n)
    }

    /// The number.
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl Monoid for Count {
    const FORM: Form = Form::Add;
    const MAX_BYTES: usize = 16;
    type Reply = u64;

    fn identity() -> Self {
        Self(0)
    }

    fn combine(&mut self, later: Self) {
        self.0 = self.0.saturating_add(later.0);
    }

    fn refusal(&self) -> Option<String> {
        (self.0 == u64::MAX).then(|| "2^64 - 1 is more than can be counted".into())
    }

    fn refuses(&self, later: &Self) -> Option<String> {
        let count = self.0.checked_add(later.0).filter(|count| *count < u64::MAX);
        count.is_none().then(|| "the count would reach 2^64 - 1".into())
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.0.to_le_bytes());
    }

    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let bytes = bytes.try_into().map_err(|_| DecodeError(format!("a count has 8 bytes, not {}", bytes.len())))?;
        Ok(Self(u64::from_le_bytes(bytes)))
    }

    fn numbers(&self, field: u32, visit: &mut dyn FnMut(Column, Number)) {
        visit(Column { field, part: 0 }, Number::Int(i128::from(self.0)));
    }

    fn add_number(&mut self, field: u32, column: Column, number: Number) -> Result<(), DecodeError> {
        if column != (Column { field, part: 0 }) {
            return Ok(());
        }
        let Number::Int(n @ 0..) = number else {
            return Err(DecodeError("a count is stored as a whole number, and this is none, or a negative one".into()));
        };
        // What does not fit shows in the reply.
        self.0 = self.0.saturating_add(u64::try_from(n).unwrap_or(u64::MAX));
        Ok(())
    }

    fn kept(field: u32, visit: &mut dyn FnMut(u32, Option<String>)) {
        visit(field, Some("Count".into()));
    }

    fn reply(&self, _: &Question) -> Result<u64, Error> {
        if self.0 == u64::MAX {
            return Err(Error::new(ErrorKind::Overflow, "the count reached 2^64 - 1"));
        }
        Ok(self.0)
    }
}
