//! Aggregates: values with an identity and an associative combine.
//!
//! What a pipeline's function returns for one event, what a tile holds, what a query answers: all three are values of
//! one [`Monoid`].

mod count;
pub mod envelope;
mod monoid;
mod number;

pub use count::Count;
pub use monoid::{DecodeError, Form, Monoid};
pub use number::{Column, Number};
