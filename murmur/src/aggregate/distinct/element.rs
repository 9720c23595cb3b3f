use std::hash::{Hash, Hasher};

use datasketches::hash::value::{canonical_float, raw_bytes};

use crate::time::Timestamp;

/// The hash of an element: all that a sketch ever sees of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Coupon(u32);

impl Coupon {
    /// Hash a value that is written as the other DataSketches write it. Not for other types: `Hash` of Rust adds
    /// lengths and terminators, so that the same text would be two elements to Rust and to Spark.
    #[inline]
    fn of(value: impl Hash) -> Self {
        let mut raw = Raw(0);
        datasketches::hll::Coupon::from_value(value).hash(&mut raw);
        Self(raw.0)
    }

    #[cfg(test)]
    pub(super) fn of_raw(raw: u32) -> Self {
        Self(raw)
    }

    pub(super) fn raw(self) -> u32 {
        self.0
    }
}

/// Receives the number inside of a `datasketches::hll::Coupon`, which shows it to nobody but a hasher. A test compares
/// it with what the crate writes into its own sketches.
struct Raw(u32);

impl Hasher for Raw {
    #[inline]
    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 = self.0 << 8 | u32::from(byte);
        }
    }

    #[inline]
    fn write_u32(&mut self, number: u32) {
        self.0 = number;
    }

    fn finish(&self) -> u64 {
        self.0.into()
    }
}

/// Something that [`Distinct`](super::Distinct) counts: texts, bytes, integers, floats, `bool`, `Timestamp`, references
/// to them, and `Option`.
///
/// Hashed as Spark and the other DataSketches hash it: texts and bytes as they are, integers and `bool` as 64-bit
/// integers, floats as `f64` with one zero and one NaN, times as microseconds.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be counted by `Distinct`",
    label = "not an element",
    note = "elements are texts, bytes, integers, floats, `bool` and `Timestamp`, references to them and `Option` of them"
)]
pub trait Element {
    /// Its hash; `None` when there is no element.
    fn coupon(&self) -> Option<Coupon>;
}

impl Element for str {
    #[inline]
    fn coupon(&self) -> Option<Coupon> {
        Some(Coupon::of(raw_bytes::from_str(self)))
    }
}

impl Element for String {
    #[inline]
    fn coupon(&self) -> Option<Coupon> {
        self.as_str().coupon()
    }
}

impl Element for [u8] {
    fn coupon(&self) -> Option<Coupon> {
        Some(Coupon::of(raw_bytes::from_slice(self)))
    }
}

impl Element for Vec<u8> {
    fn coupon(&self) -> Option<Coupon> {
        self.as_slice().coupon()
    }
}

macro_rules! element {
    ($($ty:ty: $as_hashed:expr;)*) => {$(
        impl Element for $ty {
            #[inline]
            fn coupon(&self) -> Option<Coupon> {
                Some(Coupon::of($as_hashed(*self)))
            }
        }
    )*};
}

element! {
    bool: i64::from;
    u8: i64::from;
    u16: i64::from;
    u32: i64::from;
    u64: u64::cast_signed;
    i8: i64::from;
    i16: i64::from;
    i32: i64::from;
    i64: i64::from;
    f32: canonical_float::from_f32;
    f64: canonical_float::from_f64;
    Timestamp: Timestamp::as_micros;
}

impl<E: Element + ?Sized> Element for &E {
    #[inline]
    fn coupon(&self) -> Option<Coupon> {
        (**self).coupon()
    }
}

impl<E: Element> Element for Option<E> {
    #[inline]
    fn coupon(&self) -> Option<Coupon> {
        self.as_ref()?.coupon()
    }
}
