//! Aggregates: values with an identity and an associative combine.
//!
//! What a pipeline's function returns for one event, what a tile holds, what a query answers: all three are values of
//! one [`Monoid`].
//!
//! | aggregate | of | reply | kept by the store as |
//! |---|---|---|---|
//! | [`Count`] | | `u64` | a number |
//! | [`Sum`] | `i64`, `u64`, `f64`, [`Decimal`] | the same | a number |
//! | [`Average`] | numbers | mean, count, sum | two numbers |
//! | [`Moments`] | numbers | mean, variance, deviation | three numbers |
//! | [`Min`], [`Max`] | a [`Value`] | optional value | bytes |
//! | [`First`], [`Last`] | a [`Value`] | optional value and time | bytes |
//! | [`Latest`] | a [`Version`] and a [`Value`] | optional value | bytes |
//! | [`Set`] | a [`Member`] | values, and whether there were more | bytes |
//! | [`Quantiles`] | numbers | quantiles and ranks with bounds | bytes |
//! | [`Distinct`] | an [`Element`] | estimate with bounds | bytes |
//! | [`DistinctSet`] | an [`Element`] | estimate with bounds, set algebra | bytes |
//! | [`TopK`] | an [`Item`] | items with bounds | bytes |
//! | [`Decayed`] | `f64` | value, instant, half-life | bytes |
//! | [`Membership`] | an [`Element`] | for each element asked for, whether it was there | bytes |
//! | [`Frequency`] | an [`Element`] | for each element asked for, how often, with bounds | bytes |
//! | [`Map`] | a [`MapKey`] and an aggregate | the aggregate's, for each key | bytes |

mod average;
mod count;
mod decayed;
mod decimal;
mod digits;
mod distinct;
mod distinct_set;
pub mod envelope;
mod extreme;
pub mod fields;
mod frequency;
mod given;
pub(crate) mod kept;
mod latest;
pub mod laws;
mod map;
mod membership;
mod moments;
mod monoid;
mod murmur3;
mod number;
mod quantiles;
mod question;
mod refused;
mod set;
mod sum;
mod timed;
mod topk;
mod value;
pub(crate) mod xxhash;

pub use average::{Average, Term};
pub use count::Count;
pub use decayed::Decayed;
pub use decimal::{Decimal, MOST_DIGITS};
pub use distinct::{Coupon, Distinct, Element};
pub use distinct_set::DistinctSet;
pub use extreme::{Max, Min};
pub use frequency::Frequency;
pub use given::Given;
pub use latest::{Latest, Version};
pub use map::{MAX_KEY_BYTES, Map, MapKey, MapReply};
pub use membership::{MOST_MEMBERS, Membership};
pub use moments::Moments;
pub(crate) use monoid::stored_numbers;
pub use monoid::{DecodeError, Form, Monoid};
pub use number::{Column, Number};
pub use quantiles::Quantiles;
pub use question::{Probe, Question};
pub use refused::Refused;
pub use set::{MAX_MEMBER_BYTES, Member, Set};
pub use sum::{Addend, FloatTotal, Sum, Total};
pub use timed::{First, Last};
pub use topk::{Item, MAX_ITEM_BYTES, TopK};
pub use value::{MAX_TEXT_BYTES, Value};

#[cfg(test)]
mod golden;
#[cfg(test)]
mod random;
#[cfg(test)]
mod tests;
