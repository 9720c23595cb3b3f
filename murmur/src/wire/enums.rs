//! The enums among the messages that services of all pipelines share.

use bytes::{Buf, BufMut};
use prost::DecodeError;
use prost::encoding::{DecodeContext, WireType};

use super::{WireField, WireValue};

/// An enum of protobuf, whose first variant is what is not said, and what a value of a later version reads as.
macro_rules! wire_enum {
    (
        $(#[$meta:meta])*
        pub enum $name:ident: $proto:literal {
            $(#[$first_meta:meta])*
            $first:ident = $first_proto:literal,
            $($(#[$variant_meta:meta])* $variant:ident = $variant_proto:literal,)*
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
        #[repr(i32)]
        pub enum $name {
            $(#[$first_meta])*
            #[default]
            $first,
            $($(#[$variant_meta])* $variant,)*
        }

        impl $name {
            /// All of them, each at the place of its number.
            pub const ALL: &'static [Self] = &[Self::$first, $(Self::$variant),*];

            /// Its name in the `.proto`.
            pub const fn proto_name(self) -> &'static str {
                match self {
                    Self::$first => $first_proto,
                    $(Self::$variant => $variant_proto,)*
                }
            }
        }

        impl WireField for $name {
            const PROTO: &'static str = $proto;

            fn encode_field(&self, number: u32, buf: &mut impl BufMut) {
                (*self as i32).encode_field(number, buf);
            }

            fn merge_field(
                &mut self,
                wire_type: WireType,
                buf: &mut impl Buf,
                context: DecodeContext,
            ) -> Result<(), DecodeError> {
                let mut number = 0i32;
                number.merge_field(wire_type, buf, context)?;
                *self = usize::try_from(number).ok().and_then(|at| Self::ALL.get(at)).copied().unwrap_or_default();
                Ok(())
            }

            fn field_len(&self, number: u32) -> usize {
                (*self as i32).field_len(number)
            }
        }

        impl WireValue for $name {
            const OPTIONAL: &'static str = concat!("optional ", $proto);

            fn encode_value(&self, number: u32, buf: &mut impl BufMut) {
                (*self as i32).encode_value(number, buf);
            }

            fn value_len(&self, number: u32) -> usize {
                (*self as i32).value_len(number)
            }
        }
    };
}

wire_enum! {
    /// What to make of several sets.
    pub enum SetOperation: "murmur.v1.SetOperation" {
        /// Not said; also what a value of a later version reads as.
        Unspecified = "SET_OPERATION_UNSPECIFIED",
        /// The elements of any of them.
        Union = "SET_OPERATION_UNION",
        /// The elements of all of them.
        Intersection = "SET_OPERATION_INTERSECTION",
        /// The elements of the first that are in none of the others.
        Difference = "SET_OPERATION_DIFFERENCE",
    }
}

wire_enum! {
    /// What an answer is about. Absent, empty and out of retention are three different things.
    pub enum Presence: "murmur.v1.Presence" {
        /// Not said; also what a value of a later version reads as.
        Unspecified = "PRESENCE_UNSPECIFIED",
        /// Events were counted in the interval.
        Present = "PRESENCE_PRESENT",
        /// Nothing is known of this key, at any time inside retention.
        Absent = "PRESENCE_ABSENT",
        /// The key is known, but no event of it lies in the interval.
        Empty = "PRESENCE_EMPTY",
        /// The whole interval lies before what is kept.
        OutOfRetention = "PRESENCE_OUT_OF_RETENTION",
    }
}

wire_enum! {
    /// How the sides of an interval are cut; see [`query::Edges`](crate::query::Edges).
    pub enum Edges: "murmur.v1.Edges" {
        /// Not said: as `Exact`. Also what a value of a later version reads as; the answer says where its sides lie.
        Unspecified = "EDGES_UNSPECIFIED",
        /// At slots.
        Exact = "EDGES_EXACT",
        /// At whole minutes, hours or days, for the fewest reads.
        Sawtooth = "EDGES_SAWTOOTH",
    }
}
