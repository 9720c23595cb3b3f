//! What the constructors of aggregates take: a value, a reference to one, or an `Option` of either.

use crate::time::Timestamp;

/// A value of type `T` that may be missing. A missing one is counted as no event at all.
///
/// Besides `T` itself: `&T`, `Option<T>`, `Option<&T>`, `&str` for `String`, and narrower numbers where nothing can be
/// lost (`u32` for `Sum<u64>`).
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be taken as `{T}`",
    label = "not `{T}`, nor a reference to it, nor an `Option` of it",
    note = "a bare literal is an `i32`: write `1u64`; wider numbers need a conversion of your own"
)]
pub trait Given<T> {
    /// The value, if there is one.
    fn given(self) -> Option<T>;
}

macro_rules! given {
    ($($from:ty => $to:ty: $convert:expr;)*) => {$(
        impl Given<$to> for $from {
            fn given(self) -> Option<$to> {
                let convert: fn($from) -> $to = $convert;
                Some(convert(self))
            }
        }

        impl Given<$to> for Option<$from> {
            fn given(self) -> Option<$to> {
                self.and_then(Given::given)
            }
        }
    )*};
}

/// Copy types: the value and a reference to it.
macro_rules! given_copy {
    ($($from:ty => $to:ty: $convert:expr;)*) => {
        given! { $($from => $to: $convert; &$from => $to: |from| { let convert: fn($from) -> $to = $convert; convert(*from) };)* }
    };
}

given! {
    String => String: |text| text;
    &String => String: Clone::clone;
    &str => String: str::to_owned;
}

given_copy! {
    bool => bool: |b| b;
    Timestamp => Timestamp: |t| t;

    u32 => u32: |n| n;
    u16 => u32: u32::from;
    u8 => u32: u32::from;

    u64 => u64: |n| n;
    u32 => u64: u64::from;
    u16 => u64: u64::from;
    u8 => u64: u64::from;

    i32 => i32: |n| n;
    i16 => i32: i32::from;
    i8 => i32: i32::from;
    u16 => i32: i32::from;
    u8 => i32: i32::from;

    i64 => i64: |n| n;
    i32 => i64: i64::from;
    i16 => i64: i64::from;
    i8 => i64: i64::from;
    u32 => i64: i64::from;
    u16 => i64: i64::from;
    u8 => i64: i64::from;

    f64 => f64: |x| x;
    f32 => f64: f64::from;
    i32 => f64: f64::from;
    i16 => f64: f64::from;
    i8 => f64: f64::from;
    u32 => f64: f64::from;
    u16 => f64: f64::from;
    u8 => f64: f64::from;
}
