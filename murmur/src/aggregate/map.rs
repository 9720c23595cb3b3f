//! An aggregate for each of a few keys.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use bytes::{Buf, BufMut};
use prost::encoding::{DecodeContext, WireType, message};

use super::{DecodeError, Form, Given, Monoid, Question, Value, fields, kept};
use crate::Error;
use crate::key::Mark;
use crate::wire::{FieldShape, WireField, WireMessage};

/// Longest text that is a key of a [`Map`], in bytes.
pub const MAX_KEY_BYTES: usize = 256;

/// What a [`Map`] takes at most, so that it fits into one item of the store (400 KB) with what stands around it.
const MOST_BYTES: usize = 400_000;

/// Something that keys of a [`Map`] can be: `String` up to 256 bytes, integers of 32 and 64 bits, `bool`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the key of a `Map`",
    label = "not a key",
    note = "keys are `String`, `u32`, `u64`, `i32`, `i64` and `bool`"
)]
pub trait MapKey: Value + Ord {}

macro_rules! map_key {
    ($($ty:ty)*) => {$(impl MapKey for $ty {})*};
}

map_key!(String u32 u64 i32 i64 bool);

/// An aggregate of its own for each key, for up to `N` keys: one of Murmur's, a struct with `#[murmur::aggregate]`, or your
/// own.
///
/// When there are more keys than that, the `N` smallest are kept (texts in the order of their bytes) and the reply says
/// that it is truncated. What it does tell is whole: a key among the `N` smallest of all is among the `N` smallest of
/// every part, so that nothing of it was ever dropped. For that reason there is no "all others", and it is not the most
/// frequent keys that stay: neither could be told from parts. For those there is [`TopK`](super::TopK); and whatever has
/// an open number of keys is better a pipeline keyed by them.
///
/// The order of combining matters where it does for `A`. Keys over 256 bytes are refused, as is what `A` refuses.
#[derive(Clone, Debug, PartialEq)]
pub struct Map<K: MapKey, A: Monoid, const N: u32> {
    entries: BTreeMap<K, A>,
    /// There were more keys.
    truncated: bool,
}

impl<K: MapKey, A: Monoid, const N: u32> Map<K, A, N> {
    const LONGEST: usize = {
        assert!(N > 0, "a `Map` keeps at least one key: `Map<String, Count, 100>`");
        let key = if K::MAX_BYTES < MAX_KEY_BYTES { K::MAX_BYTES } else { MAX_KEY_BYTES };
        let entry = fields::sized(key).saturating_add(fields::sized(A::MAX_BYTES));
        let all = entry.saturating_mul(N as usize).saturating_add(1);
        assert!(
            all <= MOST_BYTES,
            "a `Map` of so many keys can take more than 400,000 bytes; keep fewer keys, or less of each"
        );
        all
    };

    /// One key with the value of one event; nothing when the key is `None`.
    pub fn of(key: impl Given<K>, value: A) -> Self {
        Self { entries: key.given().map(|key| (key, value)).into_iter().collect(), truncated: false }
    }
}

impl<K: MapKey, A: Monoid, const N: u32> Monoid for Map<K, A, N> {
    const FORM: Form = Form::Put;
    const MAX_BYTES: usize = Self::LONGEST;
    const COMMUTATIVE: bool = A::COMMUTATIVE;
    const IDEMPOTENT: bool = A::IDEMPOTENT;
    type Reply = MapReply<K, A::Reply>;

    fn identity() -> Self {
        Self { entries: BTreeMap::new(), truncated: false }
    }

    fn combine(&mut self, later: Self) {
        for (key, value) in later.entries {
            match self.entries.entry(key) {
                Entry::Occupied(mut present) => present.get_mut().combine(value),
                Entry::Vacant(place) => {
                    place.insert(value);
                }
            }
        }
        self.truncated |= later.truncated;
        while self.entries.len() > N as usize {
            self.entries.pop_last();
            self.truncated = true;
        }
    }

    fn refusal(&self) -> Option<String> {
        self.entries.iter().find_map(|(key, value)| {
            let mut bytes = Vec::new();
            key.encode(&mut bytes);
            if bytes.len() > MAX_KEY_BYTES {
                return Some(format!("a key of {} bytes is too long; at most {MAX_KEY_BYTES} are kept", bytes.len()));
            }
            value.refusal().map(|reason| format!("of the key {key:?}, {reason}"))
        })
    }

    fn refuses(&self, later: &Self) -> Option<String> {
        later.entries.iter().find_map(|(key, value)| {
            let reason = self.entries.get(key)?.refuses(value)?;
            Some(format!("of the key {key:?}, {reason}"))
        })
    }

    /// A byte that is 1 when it is truncated and 0 otherwise; then for each key, in their order: varint length and bytes
    /// of the key, varint length and bytes of the value.
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(self.truncated.into());
        for (key, value) in &self.entries {
            fields::write_sized(out, |out| key.encode(out));
            fields::write_sized(out, |out| value.encode(out));
        }
    }

    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let (truncated, mut rest) = match bytes {
            [0, rest @ ..] => (false, rest),
            [1, rest @ ..] => (true, rest),
            [byte, ..] => return Err(DecodeError(format!("a map begins with 0 or 1, not {byte}"))),
            [] => return Err(DecodeError("a map has a byte at least".into())),
        };
        let mut entries = BTreeMap::new();
        while !rest.is_empty() {
            let key = fields::read_sized(&mut rest, "a key")?;
            if key.len() > MAX_KEY_BYTES {
                return Err(DecodeError(format!("a key has at most {MAX_KEY_BYTES} bytes, not {}", key.len())));
            }
            let key = K::decode(key)?;
            if entries.last_key_value().is_some_and(|(last, _)| *last >= key) {
                return Err(DecodeError(format!("key {} is out of order", entries.len() + 1)));
            }
            if entries.len() == N as usize {
                return Err(DecodeError(format!("there are more keys than {N}")));
            }
            let value = fields::read_sized(&mut rest, "a value")?;
            let value =
                A::decode(value).map_err(|error| DecodeError(format!("of key {}, {error}", entries.len() + 1)))?;
            entries.insert(key, value);
        }
        if truncated && entries.len() < N as usize {
            return Err(DecodeError(format!("a map of {} keys out of {N} is not truncated", entries.len())));
        }
        Ok(Self { entries, truncated })
    }

    fn kept(field: u32, visit: &mut dyn FnMut(u32, Option<String>)) {
        let (mut map, mut below) = (format!("Map<{N} of {}", K::PROTO), String::new());
        // The fields of a struct have numbers of their own, from 1 on.
        A::kept(0, &mut |number, kept| kept::put(&mut map, &mut below, number, kept.as_deref()));
        visit(field, Some(format!("{map}>{below}")));
    }

    fn reply(&self, question: &Question) -> Result<Self::Reply, Error> {
        let mut reply = MapReply { entries: BTreeMap::new(), truncated: self.truncated };
        for (key, value) in &self.entries {
            let value = value.reply(question).map_err(|error| error.while_doing(marked(key)))?;
            if !value.is_absent() {
                reply.entries.insert(key.clone(), value);
            }
        }
        Ok(reply)
    }
}

/// A key as errors name it that go to logs and callers: its mark, of the bytes that it is stored as.
fn marked(key: &impl MapKey) -> Mark {
    let mut bytes = Vec::new();
    key.encode(&mut bytes);
    Mark::of(&bytes)
}

/// The answer of a [`Map`]: a message of the user's package, the same for all maps of these types.
///
/// Its fields: `map<K, V> entries = 1; bool truncated = 2;`. A key whose aggregate has no value, as the `Max` of no
/// numbers, is not in it.
#[derive(Clone, Debug, PartialEq)]
pub struct MapReply<K: MapKey, V: WireField> {
    /// The answer for each key.
    pub entries: BTreeMap<K, V>,
    /// There were more keys than are kept: the largest ones are missing. Those that are here are complete.
    pub truncated: bool,
}

const ENTRIES: u32 = 1;
const TRUNCATED: u32 = 2;

impl<K: MapKey, V: WireField> Default for MapReply<K, V> {
    fn default() -> Self {
        Self { entries: BTreeMap::new(), truncated: false }
    }
}

impl<K: MapKey, V: WireField> WireMessage for MapReply<K, V> {
    // The real name has the types in it and lies in the user's package, which this type does not know.
    const NAME: &'static str = "Map";
    const REPEATED: &'static str = "repeated Map";
    const SHAPE: &'static [FieldShape] = &[];
}

impl<K: MapKey, V: WireField> prost::Message for MapReply<K, V> {
    fn encode_raw(&self, buf: &mut impl BufMut) {
        for (key, value) in &self.entries {
            let entry = MapEntry { key: key.clone(), value: value.clone() };
            message::encode(ENTRIES, &entry, buf);
        }
        self.truncated.encode_field(TRUNCATED, buf);
    }

    fn merge_field(
        &mut self,
        tag: u32,
        wire_type: WireType,
        buf: &mut impl Buf,
        context: DecodeContext,
    ) -> Result<(), prost::DecodeError> {
        match tag {
            ENTRIES => {
                let mut entry = MapEntry::default();
                message::merge(wire_type, &mut entry, buf, context)?;
                self.entries.insert(entry.key, entry.value);
                Ok(())
            }
            TRUNCATED => WireField::merge_field(&mut self.truncated, wire_type, buf, context),
            _ => prost::encoding::skip_field(wire_type, tag, buf, context),
        }
    }

    fn encoded_len(&self) -> usize {
        let entries = self.entries.iter().map(|(key, value)| {
            let length = key.field_len(1) + value.field_len(2);
            prost::encoding::key_len(ENTRIES) + prost::encoding::encoded_len_varint(length as u64) + length
        });
        entries.sum::<usize>() + self.truncated.field_len(TRUNCATED)
    }

    fn clear(&mut self) {
        *self = Self::default();
    }
}

/// What protobuf makes of a pair in a map.
#[derive(Clone, Debug, Default, PartialEq)]
struct MapEntry<K, V> {
    key: K,
    value: V,
}

impl<K: WireField, V: WireField> prost::Message for MapEntry<K, V> {
    fn encode_raw(&self, buf: &mut impl BufMut) {
        self.key.encode_field(1, buf);
        self.value.encode_field(2, buf);
    }

    fn merge_field(
        &mut self,
        tag: u32,
        wire_type: WireType,
        buf: &mut impl Buf,
        context: DecodeContext,
    ) -> Result<(), prost::DecodeError> {
        match tag {
            1 => self.key.merge_field(wire_type, buf, context),
            2 => self.value.merge_field(wire_type, buf, context),
            _ => prost::encoding::skip_field(wire_type, tag, buf, context),
        }
    }

    fn encoded_len(&self) -> usize {
        self.key.field_len(1) + self.value.field_len(2)
    }

    fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use prost::Message;

    use super::*;
    use crate::aggregate::{Average, Count, Distinct, Last, Max, Sum, laws};
    use crate::time::Timestamp;

    type Counts<const N: u32> = Map<String, Count, N>;

    fn fold<M: Monoid>(values: impl IntoIterator<Item = M>) -> M {
        let mut whole = M::identity();
        values.into_iter().for_each(|value| whole.combine(value));
        whole
    }

    fn bytes<M: Monoid>(value: &M) -> Vec<u8> {
        let mut out = Vec::new();
        value.encode(&mut out);
        out
    }

    fn reply<M: Monoid>(value: &M) -> M::Reply {
        value.reply(&Question::default()).unwrap()
    }

    #[test]
    fn it_keeps_the_laws_below_and_beyond_its_bound() {
        let counts = ["d", "b", "", "é", "a", "c", "b"];
        laws::check(&counts.map(|key| Counts::<10>::of(key, Count::one())));
        laws::check(&counts.map(|key| Counts::<3>::of(key, Count::one())));
        laws::check(&counts.map(|key| Counts::<1>::of(key, Count::one())));
        laws::check(&[Counts::<3>::of(None::<&str>, Count::one()), Map::of("a", Count::of(7))]);
        laws::check(&(0..12).map(|n| Map::<i64, Distinct, 5>::of(n % 7 - 3, Distinct::of(n))).collect::<Vec<_>>());
        let last = |n: i64| Last::<i64>::at(Timestamp::from_seconds(n % 2), n);
        laws::check(&(0..12).map(|n| Map::<u32, _, 2>::of(n as u32 % 3, last(n))).collect::<Vec<_>>());
        laws::check(&[3, -9].map(|n| Map::<bool, Average, 2>::of(n > 0, Average::of(n))));
        const { assert!(!Map::<u32, Last<i64>, 2>::COMMUTATIVE && Counts::<3>::COMMUTATIVE) };
        const { assert!(Map::<u32, Distinct, 2>::IDEMPOTENT && !Counts::<3>::IDEMPOTENT) };
    }

    proptest! {
        #[test]
        fn what_it_tells_is_whole_and_what_it_leaves_out_is_said(
            keys in prop::collection::vec(0u32..12, 0..60),
            parts in 1usize..9,
        ) {
            let mut exact = BTreeMap::new();
            keys.iter().for_each(|key| *exact.entry(*key).or_insert(0) += 1);
            let one = |key: &u32| Map::<u32, Count, 4>::of(*key, Count::one());
            let whole = fold(keys.chunks(keys.len().div_ceil(parts).max(1)).map(|part| fold(part.iter().map(one))));
            let reply = reply(&whole);
            prop_assert_eq!(reply.truncated, exact.len() > 4);
            prop_assert!(reply.entries.into_iter().eq(exact.into_iter().take(4)));
        }

        #[test]
        fn bytes_of_any_origin_are_refused_or_read(bytes in prop::collection::vec(0u8..9, 0..40)) {
            if let Ok(read) = Map::<u32, Max<bool>, 3>::decode(&bytes) {
                drop(read.reply(&Question::default()));
            }
        }
    }

    #[test]
    fn a_key_without_a_value_is_not_listed_and_a_zero_is() {
        let map = fold([Map::<String, Max<u64>, 9>::of("a", Max::of(3u64)), Map::of("b", Max::of(None::<u64>))]);
        assert_eq!(reply(&map).entries.into_iter().collect::<Vec<_>>(), [("a".into(), Some(3))]);
        let map = fold([5, -5].map(|n| Map::<i32, Sum<i64>, 9>::of(7, Sum::of(n))));
        assert_eq!(reply(&map).entries.into_iter().collect::<Vec<_>>(), [(7, 0)]);
    }

    #[test]
    fn long_keys_and_what_the_values_refuse_are_refused() {
        let long = "x".repeat(MAX_KEY_BYTES + 1);
        let refusal = Counts::<3>::of(&long, Count::one()).refusal().unwrap();
        assert!(refusal.contains("257 bytes"), "{refusal}");
        assert_eq!(Counts::<3>::of(&long[1..], Count::one()).refusal(), None);
        let refusal = Map::<String, Sum<f64>, 3>::of("a", Sum::of(f64::NAN)).refusal().unwrap();
        assert!(refusal.starts_with("of the key \"a\", NaN"), "{refusal}");
        let overflow = Map::<u32, Count, 3>::of(7u32, Count::of(u64::MAX)).reply(&Question::default()).unwrap_err();
        assert!(overflow.to_string().starts_with(&format!("{}: ", Mark::of(&7u32.to_le_bytes()))), "{overflow}");
    }

    #[test]
    fn its_reply_is_a_protobuf_map() {
        let sent = reply(&fold(["a", "a", "b", "c"].map(|key| Counts::<2>::of(key, Count::one()))));
        let bytes = sent.encode_to_vec();
        assert_eq!(bytes, *b"\x0a\x05\x0a\x01a\x10\x02\x0a\x05\x0a\x01b\x10\x01\x10\x01");
        assert_eq!((bytes.len(), MapReply::decode(bytes.as_slice()).unwrap()), (sent.encoded_len(), sent));
    }

    #[test]
    fn stored_bytes_never_change() {
        let map = fold([("b", 258), ("a", 1), ("c", 9)].map(|(key, n)| Counts::<2>::of(key, Count::of(n))));
        assert_eq!(bytes(&map), *b"\x01\x01a\x08\x01\0\0\0\0\0\0\0\x01b\x08\x02\x01\0\0\0\0\0\0");
        assert_eq!(bytes(&Map::<i32, Max<bool>, 2>::of(-2, Max::of(true))), [0, 4, 0xfe, 0xff, 0xff, 0xff, 2, 1, 1]);
        assert_eq!(bytes(&Counts::<2>::identity()), [0]);
    }

    #[test]
    fn impossible_bytes_are_refused() {
        let refusal = |bytes: &[u8]| Map::<u32, Max<bool>, 2>::decode(bytes).unwrap_err().0;
        let entry = |key: u8| [4, key, 0, 0, 0, 2, 1, 1];
        assert!(refusal(&[]).contains("a byte at least"));
        assert!(refusal(&[2]).contains("0 or 1, not 2"));
        assert!(refusal(&[1]).contains("0 keys out of 2 is not truncated"));
        assert!(refusal(&[[0].as_slice(), &entry(3), &entry(3)].concat()).contains("key 2 is out of order"));
        assert!(refusal(&[[0].as_slice(), &entry(1), &entry(2), &entry(3)].concat()).contains("more keys than 2"));
        assert!(refusal(&[0, 4, 1, 0, 0, 0, 2, 7, 7]).contains("of key 1, a kept value begins with 1"));
        assert!(refusal(&[0, 4, 1]).contains("a key has 4 bytes, but 1 are left"));
    }

    #[test]
    fn what_is_kept_tells_its_parts() {
        let mut said = Vec::new();
        Map::<String, Sum<i64>, 7>::kept(3, &mut |number, kept| said.push((number, kept)));
        assert_eq!(said, [(3, Some("Map<7 of string, Sum<int64>>".into()))]);
    }
}
