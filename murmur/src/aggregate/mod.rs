//! Aggregates: values with an identity and an associative combine.
//!
//! What a pipeline's function returns for one event, what a tile holds, what a query answers: all three are values of
//! one [`Monoid`].
//!
//! | aggregate | of | reply | kept by the store as |
//! |---|---|---|---|
//! | [`Count`] | | `u64` | a number |
//! | [`Sum`] | `i64`, `u64`, `f64` | the same | a number |
//! | [`Average`] | numbers | mean, count, sum | two numbers |
//! | [`Min`], [`Max`] | a [`Value`] | optional value | bytes |
//! | [`First`], [`Last`] | a [`Value`] | optional value and time | bytes |
//! | [`Distinct`] | an [`Element`] | estimate with bounds | bytes |
//! | [`TopK`] | an [`Item`] | items with bounds | bytes |

mod average;
mod count;
mod distinct;
pub mod envelope;
mod extreme;
pub mod fields;
mod given;
pub mod laws;
mod monoid;
mod number;
mod question;
mod sum;
mod timed;
mod topk;
mod value;

pub use average::{Average, Term};
pub use count::Count;
pub use distinct::{Coupon, Distinct, Element};
pub use extreme::{Max, Min};
pub use given::Given;
pub(crate) use monoid::stored_numbers;
pub use monoid::{DecodeError, Form, Monoid};
pub use number::{Column, Number};
pub use question::{Probe, Question};
pub use sum::{Addend, FloatTotal, Sum, Total};
pub use timed::{First, Last};
pub use topk::{Item, MAX_ITEM_BYTES, TopK};
pub use value::{MAX_TEXT_BYTES, Value};

#[cfg(test)]
mod tests;
