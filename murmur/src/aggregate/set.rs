use smallvec::SmallVec;

use super::{DecodeError, Form, Given, Monoid, Question, Value, fields};
use crate::Error;
use crate::time::Timestamp;
use crate::wire::{WireMessage, types};

/// Longest text of a [`Set`], in bytes.
pub const MAX_MEMBER_BYTES: usize = 256;

/// The different values there were: all of them up to `N` (1 to 1,000), and of more the `N` smallest, with a flag that
/// says so. Texts are ordered by their bytes; those over 256 bytes are refused.
///
/// That the smallest stay makes the state a function of the set of values alone, whatever their order. `N` can be
/// changed later: what is kept already is cut, or stays cut, and says so.
#[derive(Clone, Debug, PartialEq)]
pub struct Set<T: Member, const N: usize> {
    /// In order, none twice; `N` at most.
    members: SmallVec<[T; 1]>,
    truncated: bool,
}

/// A value that [`Set`] keeps: `String`, integers of 32 and 64 bits, `Timestamp`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be kept by `Set`",
    label = "not a value of sets",
    note = "these are `String`, `u32`, `u64`, `i32`, `i64` and `Timestamp`; narrower numbers can be given to a wider one as they are"
)]
pub trait Member: Value {
    /// The most bytes of one.
    const MAX_MEMBER_BYTES: usize;

    /// The reply.
    type Set: WireMessage;

    /// As the reply.
    fn set(members: &[Self], truncated: bool) -> Self::Set;
}

macro_rules! member {
    ($($ty:ty: $set:ident, $max:expr;)*) => {$(
        impl Member for $ty {
            const MAX_MEMBER_BYTES: usize = $max;
            type Set = types::$set;

            fn set(members: &[Self], truncated: bool) -> Self::Set {
                types::$set { values: members.iter().cloned().map(Into::into).collect(), truncated }
            }
        }
    )*};
}

member! {
    String: StringSet, MAX_MEMBER_BYTES;
    u32: Uint64Set, Self::MAX_BYTES;
    u64: Uint64Set, Self::MAX_BYTES;
    i32: Int64Set, Self::MAX_BYTES;
    i64: Int64Set, Self::MAX_BYTES;
    Timestamp: TimestampSet, Self::MAX_BYTES;
}

impl<T: Member, const N: usize> Set<T, N> {
    const CAPACITY: usize = {
        assert!(N >= 1 && N <= 1000, "`Set<T, N>` is possible for N from 1 to 1000");
        N
    };

    /// The value of one event; nothing when it is `None`.
    pub fn of(value: impl Given<T>) -> Self {
        Self { members: value.given().into_iter().collect(), truncated: false }
    }

    fn insert(&mut self, member: T) {
        let Err(at) = self.members.binary_search_by(|present| present.order(&member)) else { return };
        let full = self.members.len() >= Self::CAPACITY;
        self.truncated |= full;
        if at < Self::CAPACITY {
            if full {
                self.members.pop();
            }
            self.members.insert(at, member);
        }
    }
}

/// The encoding: a byte that is 1 when there were more, else 0; for each value, in order, its length as a varint and its
/// own encoding.
impl<T: Member, const N: usize> Monoid for Set<T, N> {
    const FORM: Form = Form::Put;
    const MAX_BYTES: usize =
        1 + Self::CAPACITY * (T::MAX_MEMBER_BYTES + fields::varint_len(T::MAX_MEMBER_BYTES as u64));
    const COMMUTATIVE: bool = true;
    const IDEMPOTENT: bool = true;
    type Reply = T::Set;

    fn identity() -> Self {
        Self { members: SmallVec::new(), truncated: false }
    }

    fn combine(&mut self, later: Self) {
        self.truncated |= later.truncated;
        if self.members.is_empty() {
            self.members = later.members;
        } else {
            later.members.into_iter().for_each(|member| self.insert(member));
        }
    }

    fn refusal(&self) -> Option<String> {
        let [member] = self.members.as_slice() else { return None };
        let mut encoded = Vec::new();
        member.encode(&mut encoded);
        let (bytes, most) = (encoded.len(), T::MAX_MEMBER_BYTES);
        (bytes > most).then(|| format!("a text of {bytes} bytes is too long for a set; at most {most} are kept"))
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.push(u8::from(self.truncated));
        let mut encoded = Vec::new();
        for member in &self.members {
            encoded.clear();
            member.encode(&mut encoded);
            prost::encoding::encode_varint(encoded.len() as u64, out);
            out.extend_from_slice(&encoded);
        }
    }

    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let refuse = |why: String| DecodeError(format!("not a value of `Set`: {why}"));
        let (truncated, mut rest) = match bytes {
            [flag @ (0 | 1), rest @ ..] => (*flag == 1, rest),
            _ => return Err(refuse("it does not begin with 0 or 1".into())),
        };
        let mut set = Self { truncated, ..Self::identity() };
        let mut last: Option<T> = None;
        while !rest.is_empty() {
            let length = prost::encoding::decode_varint(&mut rest).map_err(|_| refuse("it is cut off".into()))?;
            let length = usize::try_from(length).unwrap_or(usize::MAX);
            if length > T::MAX_MEMBER_BYTES {
                return Err(refuse(format!("a value of {length} bytes, more than {}", T::MAX_MEMBER_BYTES)));
            }
            let (member, after) = rest.split_at_checked(length).ok_or_else(|| refuse("it is cut off".into()))?;
            rest = after;
            let member = T::decode(member)?;
            if last.as_ref().is_some_and(|last| last.order(&member).is_ge()) {
                return Err(refuse("its values are not in order".into()));
            }
            // Kept when more of them were allowed.
            if set.members.len() < Self::CAPACITY {
                set.members.push(member.clone());
            } else {
                set.truncated = true;
            }
            last = Some(member);
        }
        Ok(set)
    }

    fn kept(field: u32, visit: &mut dyn FnMut(u32, Option<String>)) {
        visit(field, Some(format!("Set<{}>", T::PROTO)));
    }

    fn reply(&self, _: &Question) -> Result<T::Set, Error> {
        Ok(T::set(&self.members, self.truncated))
    }
}
