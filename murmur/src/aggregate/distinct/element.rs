use crate::aggregate::murmur3::{self, SEED};
use crate::time::Timestamp;

/// The hash of an element: all that a sketch ever sees of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Coupon(u32);

impl Coupon {
    /// As the DataSketches make it (`Coupon` in Java's `HllUtil`): 26 bits of the first half of the hash, and above them
    /// the leading zeros of the second half, one more, in 6 bits. A test compares it with what the crate writes into its
    /// own sketches.
    #[inline]
    fn of(bytes: &[u8]) -> Self {
        let (address, zeros) = murmur3::hash(bytes, SEED);
        let value = zeros.leading_zeros().min(62) + 1;
        Self(value << 26 | address as u32 & 0x3ff_ffff)
    }

    #[cfg(test)]
    pub(super) fn of_raw(raw: u32) -> Self {
        Self(raw)
    }

    pub(super) fn raw(self) -> u32 {
        self.0
    }
}

/// Something that [`Distinct`](crate::aggregate::Distinct), [`DistinctSet`](crate::aggregate::DistinctSet),
/// [`Membership`](crate::aggregate::Membership) and [`Frequency`](crate::aggregate::Frequency) take: texts, bytes,
/// integers, floats, `bool`, `Timestamp`, references to them, and `Option`.
///
/// Hashed as Spark and the other DataSketches hash it: texts and bytes as they are, integers and `bool` as 64-bit
/// integers, floats as `f64` with one zero and one NaN, times as microseconds. An empty text, and no bytes, are no
/// element, as none of the DataSketches counts them: a sketch of the same events by Spark has the same state.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be counted by `Distinct`",
    label = "not an element",
    note = "elements are texts, bytes, integers, floats, `bool` and `Timestamp`, references to them and `Option` of them"
)]
pub trait Element {
    /// Hash it: `hash` is given the bytes that all DataSketches hash. `None` when there is no element.
    fn hashed<H>(&self, hash: impl FnOnce(&[u8]) -> H) -> Option<H>;

    /// Its hash in a [`Distinct`](super::Distinct); `None` when there is no element.
    #[inline]
    fn coupon(&self) -> Option<Coupon> {
        self.hashed(Coupon::of)
    }
}

impl Element for str {
    #[inline]
    fn hashed<H>(&self, hash: impl FnOnce(&[u8]) -> H) -> Option<H> {
        (!self.is_empty()).then(|| hash(self.as_bytes()))
    }
}

impl Element for String {
    #[inline]
    fn hashed<H>(&self, hash: impl FnOnce(&[u8]) -> H) -> Option<H> {
        self.as_str().hashed(hash)
    }
}

impl Element for [u8] {
    #[inline]
    fn hashed<H>(&self, hash: impl FnOnce(&[u8]) -> H) -> Option<H> {
        (!self.is_empty()).then(|| hash(self))
    }
}

impl Element for Vec<u8> {
    #[inline]
    fn hashed<H>(&self, hash: impl FnOnce(&[u8]) -> H) -> Option<H> {
        self.as_slice().hashed(hash)
    }
}

/// What is hashed as the 64 bits of an integer, or of a float.
macro_rules! element {
    ($($ty:ty: $bits:expr;)*) => {$(
        impl Element for $ty {
            #[inline]
            fn hashed<H>(&self, hash: impl FnOnce(&[u8]) -> H) -> Option<H> {
                Some(hash(&$bits(*self).to_le_bytes()))
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
    f32: bits_of_f32;
    f64: bits;
    Timestamp: Timestamp::as_micros;
}

/// Those of Java's `doubleToLongBits`, with one zero.
fn bits(float: f64) -> u64 {
    if float.is_nan() { 0x7ff8 << 48 } else { (float + 0.0).to_bits() }
}

fn bits_of_f32(float: f32) -> u64 {
    bits(float.into())
}

impl<E: Element + ?Sized> Element for &E {
    #[inline]
    fn hashed<H>(&self, hash: impl FnOnce(&[u8]) -> H) -> Option<H> {
        (**self).hashed(hash)
    }
}

impl<E: Element> Element for Option<E> {
    #[inline]
    fn hashed<H>(&self, hash: impl FnOnce(&[u8]) -> H) -> Option<H> {
        self.as_ref()?.hashed(hash)
    }
}
