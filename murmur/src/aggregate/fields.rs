//! What the aggregate structs of all users share: their fields, numbered, in one encoding.
//!
//! ```text
//! for each field:  varint number, varint length, the field's own encoding
//! ```
//!
//! Numbers come from the lock, so that renaming and reordering change nothing. A field that is missing was added later:
//! it is the identity. A number that is neither known nor retired is an error, because dropping it would lose counts.

use super::{DecodeError, Monoid};

/// Bytes of a number as a varint.
pub(super) const fn varint_len(number: u64) -> usize {
    match number {
        0 => 1,
        _ => (70 - number.leading_zeros() as usize) / 7,
    }
}

/// The most bytes that a field takes whose own encoding takes at most `max`; `usize::MAX` when there is no bound.
pub const fn max_bytes(number: u32, max: usize) -> usize {
    sized(max).saturating_add(varint_len(number as u64))
}

/// The larger one of two fields: the first where they are equal.
pub const fn larger(
    largest: Option<(&'static str, usize)>,
    field: &'static str,
    bytes: usize,
) -> Option<(&'static str, usize)> {
    match largest {
        Some((_, most)) if most >= bytes => largest,
        _ => Some((field, bytes)),
    }
}

/// The most bytes that [`write_sized`] makes of at most `max`.
pub(super) const fn sized(max: usize) -> usize {
    max.saturating_add(varint_len(max as u64))
}

/// Append a field.
pub fn write<M: Monoid>(number: u32, value: &M, out: &mut Vec<u8>) {
    prost::encoding::encode_varint(number.into(), out);
    write_sized(out, |out| value.encode(out));
}

/// Append what `write` appends, behind its length.
pub(super) fn write_sized(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    write(out);
    let length = (out.len() - start) as u64;
    // The length comes before what it is the length of: make room once it is known.
    let mut prefix = [0; 10];
    let mut rest = prefix.as_mut_slice();
    prost::encoding::encode_varint(length, &mut rest);
    let prefix = &prefix[..varint_len(length)];
    out.extend_from_slice(prefix);
    out[start..].rotate_right(prefix.len());
}

/// Read what [`write()`] wrote. `known` sets a field ([`set`]) and says `None` to a number that is not a field;
/// `retired` are the numbers of removed fields.
pub fn read<'a>(
    bytes: &'a [u8],
    retired: &[u32],
    mut known: impl FnMut(u32, &'a [u8]) -> Option<Result<(), DecodeError>>,
) -> Result<(), DecodeError> {
    let mut rest = bytes;
    let mut seen = smallvec::SmallVec::<[u64; 16]>::new();
    while !rest.is_empty() {
        let number = varint(&mut rest)?;
        let field = read_sized(&mut rest, format_args!("field {number}"))?;
        if seen.contains(&number) {
            return Err(DecodeError(format!("field {number} is there twice")));
        }
        seen.push(number);
        let field_number = u32::try_from(number).unwrap_or(u32::MAX);
        match known(field_number, field) {
            Some(result) => result?,
            None if retired.contains(&field_number) => {}
            None => {
                return Err(DecodeError(format!(
                    "there is a value of field {number}, which this definition does not have; it was written by a later version"
                )));
            }
        }
    }
    Ok(())
}

/// Take what [`write_sized`] wrote from the front of bytes; `what` it is, for the error.
pub(super) fn read_sized<'a>(rest: &mut &'a [u8], what: impl std::fmt::Display) -> Result<&'a [u8], DecodeError> {
    let length = usize::try_from(varint(rest)?).unwrap_or(usize::MAX);
    let Some((part, after)) = rest.split_at_checked(length) else {
        return Err(DecodeError(format!("{what} has {length} bytes, but {} are left", rest.len())));
    };
    *rest = after;
    Ok(part)
}

/// Set a field from its own bytes, for [`read`]. The error names the field.
pub fn set<M: Monoid>(field: &mut M, name: &str, bytes: &[u8]) -> Option<Result<(), DecodeError>> {
    Some(match M::decode(bytes) {
        Ok(value) => {
            *field = value;
            Ok(())
        }
        Err(error) => Err(DecodeError(format!("in `{name}`, {error}"))),
    })
}

fn varint(bytes: &mut &[u8]) -> Result<u64, DecodeError> {
    prost::encoding::decode_varint(bytes).map_err(|_| DecodeError("a field is cut off".into()))
}

/// Makes a struct of aggregates an aggregate, with the struct of its replies.
///
/// The struct itself must be `Clone` and `Debug`. Numbers are those of the lock; `retired` are numbers of fields that
/// were removed.
///
/// ```
/// use murmur::aggregate::{Count, Max, Monoid, Question};
///
/// #[derive(Clone, Debug)]
/// pub struct Traffic {
///     pub views: Count,
///     pub slowest: Max<u64>,
/// }
///
/// murmur::aggregate_struct! {
///     impl Traffic;
///     /// What is known about a page.
///     pub struct TrafficReply: "page_traffic.v1.Traffic" {
///         /// Views.
///         views: Count = 1,
///         /// The longest time, in milliseconds.
///         slowest: Max<u64> = 3,
///     }
///     retired [2];
/// }
///
/// let mut traffic = Traffic { views: Count::one(), slowest: Max::of(20u64) };
/// traffic.combine(Traffic { views: Count::one(), slowest: Max::of(None::<u64>) });
/// assert_eq!(traffic.reply(&Question::default())?, TrafficReply { views: 2, slowest: Some(20) });
/// # Ok::<(), murmur::Error>(())
/// ```
#[macro_export]
macro_rules! aggregate_struct {
    (
        impl $name:ident;
        $(#[$meta:meta])* $vis:vis struct $reply:ident : $proto:literal {
            $($(#[$field_meta:meta])* $field:ident : $ty:ty = $number:literal),* $(,)?
        }
        retired [$($retired:literal),* $(,)?];
    ) => {
        $crate::message! {
            $(#[$meta])* $vis struct $reply: $proto {
                $($(#[$field_meta])* $field: <$ty as $crate::aggregate::Monoid>::Reply = $number,)*
            }
        }

        impl $crate::aggregate::Monoid for $name {
            const FORM: $crate::aggregate::Form =
                $crate::aggregate::Form::Add$(.with(<$ty as $crate::aggregate::Monoid>::FORM))*;
            const MAX_BYTES: usize = match Self::FORM {
                $crate::aggregate::Form::Add => {
                    0usize$(.saturating_add(<$ty as $crate::aggregate::Monoid>::MAX_BYTES))*
                }
                $crate::aggregate::Form::Put => {
                    0usize$(.saturating_add($crate::aggregate::fields::max_bytes(
                        $number,
                        <$ty as $crate::aggregate::Monoid>::MAX_BYTES,
                    )))*
                }
            };
            const LARGEST_FIELD: ::core::option::Option<(&'static str, usize)> = {
                let mut largest: ::core::option::Option<(&'static str, usize)> = ::core::option::Option::None;
                $(
                    let bytes = <$ty as $crate::aggregate::Monoid>::MAX_BYTES;
                    largest = $crate::aggregate::fields::larger(
                        largest,
                        $crate::wire::plain_name(::core::stringify!($field)),
                        bytes,
                    );
                )*
                largest
            };
            const COMMUTATIVE: bool = true $(&& <$ty as $crate::aggregate::Monoid>::COMMUTATIVE)*;
            const IDEMPOTENT: bool = true $(&& <$ty as $crate::aggregate::Monoid>::IDEMPOTENT)*;
            type Reply = $reply;

            fn identity() -> Self {
                Self { $($field: <$ty as $crate::aggregate::Monoid>::identity(),)* }
            }

            fn combine(&mut self, later: Self) {
                $($crate::aggregate::Monoid::combine(&mut self.$field, later.$field);)*
            }

            fn refusal(&self) -> ::core::option::Option<::std::string::String> {
                $(if let ::core::option::Option::Some(reason) = $crate::aggregate::Monoid::refusal(&self.$field) {
                    let name = $crate::wire::plain_name(::core::stringify!($field));
                    return ::core::option::Option::Some(::std::format!("in `{name}`, {reason}"));
                })*
                ::core::option::Option::None
            }

            fn refuses(&self, later: &Self) -> ::core::option::Option<::std::string::String> {
                $(if let ::core::option::Option::Some(reason) =
                    $crate::aggregate::Monoid::refuses(&self.$field, &later.$field)
                {
                    let name = $crate::wire::plain_name(::core::stringify!($field));
                    return ::core::option::Option::Some(::std::format!("in `{name}`, {reason}"));
                })*
                ::core::option::Option::None
            }

            fn encode(&self, out: &mut ::std::vec::Vec<u8>) {
                $($crate::aggregate::fields::write($number, &self.$field, out);)*
            }

            fn decode(bytes: &[u8]) -> ::core::result::Result<Self, $crate::aggregate::DecodeError> {
                let mut value = <Self as $crate::aggregate::Monoid>::identity();
                $crate::aggregate::fields::read(bytes, &[$($retired),*], |number, bytes| match number {
                    $($number => {
                        let name = $crate::wire::plain_name(::core::stringify!($field));
                        $crate::aggregate::fields::set(&mut value.$field, name, bytes)
                    })*
                    _ => ::core::option::Option::None,
                })?;
                ::core::result::Result::Ok(value)
            }

            fn numbers(
                &self,
                _: u32,
                visit: &mut dyn ::core::ops::FnMut($crate::aggregate::Column, $crate::aggregate::Number),
            ) {
                $($crate::aggregate::Monoid::numbers(&self.$field, $number, visit);)*
            }

            fn add_number(
                &mut self,
                _: u32,
                column: $crate::aggregate::Column,
                number: $crate::aggregate::Number,
            ) -> ::core::result::Result<(), $crate::aggregate::DecodeError> {
                match column.field {
                    $($number => $crate::aggregate::Monoid::add_number(&mut self.$field, $number, column, number),)*
                    _ => ::core::result::Result::Ok(()),
                }
            }

            fn kept(
                _: u32,
                visit: &mut dyn ::core::ops::FnMut(u32, ::core::option::Option<::std::string::String>),
            ) {
                $(<$ty as $crate::aggregate::Monoid>::kept($number, visit);)*
                $(visit($retired, ::core::option::Option::None);)*
            }

            fn sets(&self, visit: &mut dyn ::core::ops::FnMut(&'static str, &$crate::aggregate::DistinctSet)) {
                $($crate::aggregate::Monoid::sets(&self.$field, &mut |_, set| {
                    visit($crate::wire::plain_name(::core::stringify!($field)), set);
                });)*
            }

            fn reply(
                &self,
                question: &$crate::aggregate::Question,
            ) -> ::core::result::Result<$reply, $crate::Error> {
                ::core::result::Result::Ok($reply {
                    $($field: $crate::aggregate::Monoid::reply(&self.$field, question).map_err(|error| {
                        error.while_doing($crate::wire::plain_name(::core::stringify!($field)))
                    })?,)*
                })
            }
        }
    };
}
