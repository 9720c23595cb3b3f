//! What the macros' output calls. Not for people: it changes with every release.

use std::marker::PhantomData;

use crate::event::{Event, Is, Timed};
use crate::time::Timestamp;

/// Compiles when `T` is what it was read as.
pub const fn is<T: Is<C>, C: ?Sized>() {}

/// An aggregate that is what its spelling says.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not the aggregate that its name says: it was read as `{C}`",
    label = "`{Self}`, read as `{C}`",
    note = "types are read by their names, and aliases are not followed: write the aggregate of `murmur::aggregate` itself"
)]
pub trait Same<C> {}

impl<T> Same<T> for T {}

/// Compiles when the aggregate `T` is what it was read as.
pub const fn same<T: Same<C>, C>() {}

/// Compiles when the event has a time.
pub const fn timed<E: Timed>() {}

/// Whether serde reads the type: `Read::<T>::BY_SERDE`, with [`NotBySerde`] in scope. What a type has itself goes before
/// what a trait gives it, and of the two the first has the condition.
#[derive(Debug)]
pub struct Read<T>(PhantomData<T>);

impl<T: serde::de::DeserializeOwned> Read<T> {
    /// It does.
    pub const BY_SERDE: bool = true;
}

/// See [`Read`].
pub trait NotBySerde {
    /// It does not.
    const BY_SERDE: bool = false;
}

impl<T> NotBySerde for Read<T> {}

/// What the fields of an event that could not be read are read as: anything.
#[derive(Debug)]
pub enum Unread {}

impl<T> Is<Unread> for T {}

/// The event of a pipeline that could not be read.
#[derive(Debug, serde::Deserialize)]
pub struct NoEvent {}

impl Event for NoEvent {
    const NAME: &'static str = "NoEvent";
    const FIELDS: &'static [&'static str] = &[];

    fn time(&self) -> Option<Timestamp> {
        None
    }
}

crate::key! {
    /// The key of a pipeline that could not be read.
    pub struct NoKey: "murmur.v1.NoKey" {
        /// Nothing.
        nothing: bool = 1,
    }
}

/// Makes a struct that could not be read an aggregate, so that the compiler says only what is really wrong. What is
/// made never runs: an error stands beside it.
#[doc(hidden)]
#[macro_export]
macro_rules! no_aggregate {
    ($name:ident clone $($more:ident)?) => {
        impl ::core::clone::Clone for $name {
            fn clone(&self) -> Self {
                ::core::unreachable!()
            }
        }

        $crate::no_aggregate!($name $($more)?);
    };
    ($name:ident debug) => {
        impl ::core::fmt::Debug for $name {
            fn fmt(&self, _: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                ::core::unreachable!()
            }
        }

        $crate::no_aggregate!($name);
    };
    ($name:ident) => {
        impl $crate::aggregate::Monoid for $name {
            const FORM: $crate::aggregate::Form = $crate::aggregate::Form::Put;
            const MAX_BYTES: usize = 0;
            const COMMUTATIVE: bool = true;
            const IDEMPOTENT: bool = true;
            type Reply = u64;

            fn identity() -> Self {
                ::core::unreachable!()
            }

            fn combine(&mut self, _: Self) {}

            fn encode(&self, _: &mut ::std::vec::Vec<u8>) {}

            fn decode(_: &[u8]) -> ::core::result::Result<Self, $crate::aggregate::DecodeError> {
                ::core::unreachable!()
            }

            fn reply(&self, _: &$crate::aggregate::Question) -> ::core::result::Result<u64, $crate::Error> {
                ::core::result::Result::Ok(0)
            }
        }
    };
}
