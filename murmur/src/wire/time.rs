//! `Timestamp` and `Span` as `google.protobuf.Timestamp` and `google.protobuf.Duration`.
//!
//! Both messages are `int64 seconds = 1; int32 nanos = 2`. Nanoseconds below a microsecond are cut off. Values
//! outside the protobuf range, and negative durations, are refused rather than bent.

use bytes::{Buf, BufMut};
use prost::DecodeError;
use prost::encoding::{DecodeContext, WireType, int32, int64, skip_field};

use super::{FieldShape, WireField, WireMessage, refused};
use crate::time::{Span, Timestamp};

const MICROS: i64 = 1_000_000;
const SHAPE: &[FieldShape] = &[FieldShape::of::<i64>("seconds", 1), FieldShape::of::<i32>("nanos", 2)];
/// Longest `google.protobuf.Duration`: about 10,000 years.
const MAX_SECONDS: i64 = 315_576_000_000;

/// Seconds and nanoseconds: what both messages consist of.
struct Pair {
    seconds: i64,
    nanos: i32,
}

impl Pair {
    fn of_micros(micros: i64) -> Self {
        Self { seconds: micros.div_euclid(MICROS), nanos: (micros.rem_euclid(MICROS) * 1_000) as i32 }
    }

    fn encode(&self, buf: &mut impl BufMut) {
        self.seconds.encode_field(1, buf);
        self.nanos.encode_field(2, buf);
    }

    fn len(&self) -> usize {
        self.seconds.field_len(1) + self.nanos.field_len(2)
    }

    fn merge(
        &mut self,
        tag: u32,
        wire_type: WireType,
        buf: &mut impl Buf,
        context: DecodeContext,
    ) -> Result<(), DecodeError> {
        match tag {
            1 => int64::merge(wire_type, &mut self.seconds, buf, context),
            2 => int32::merge(wire_type, &mut self.nanos, buf, context),
            _ => skip_field(wire_type, tag, buf, context),
        }
    }

    /// `None` when it does not fit.
    fn micros(&self) -> Option<i64> {
        self.seconds.checked_mul(MICROS)?.checked_add(i64::from(self.nanos) / 1_000)
    }
}

/// `prost::Message` and [`WireMessage`] of a type that is one number of microseconds; `how` says which there are.
macro_rules! pair_message {
    ($ty:ty, $proto:literal, length: $length:literal, how: $how:literal, $from:expr) => {
        impl prost::Message for $ty {
            fn encode_raw(&self, buf: &mut impl BufMut) {
                Pair::of_micros(self.as_micros()).encode(buf);
            }

            fn merge_field(
                &mut self,
                tag: u32,
                wire_type: WireType,
                buf: &mut impl Buf,
                context: DecodeContext,
            ) -> Result<(), DecodeError> {
                let mut pair = Pair::of_micros(self.as_micros());
                pair.merge(tag, wire_type, buf, context)?;
                if $length && (pair.seconds < 0 || pair.nanos < 0) {
                    return Err(refused(concat!("a length of time is not negative; ", $how)));
                }
                if !(0..1_000_000_000).contains(&pair.nanos) {
                    return Err(refused("the nanoseconds are within one second, from 0 to 999999999"));
                }
                let from: fn(&Pair) -> Option<Self> = $from;
                // Which time it was may be part of a key, and is not said.
                *self = from(&pair).ok_or_else(|| refused($how))?;
                Ok(())
            }

            fn encoded_len(&self) -> usize {
                Pair::of_micros(self.as_micros()).len()
            }

            fn clear(&mut self) {
                *self = Self::default();
            }
        }

        impl WireMessage for $ty {
            const NAME: &'static str = $proto;
            const REPEATED: &'static str = concat!("repeated ", $proto);
            const SHAPE: &'static [FieldShape] = SHAPE;
        }
    };
}

pair_message!(
    Timestamp,
    "google.protobuf.Timestamp",
    length: false,
    how: "a time lies in the years 1 to 9999, in JSON as in \"2026-05-16T12:00:00Z\"",
    |pair| pair.micros().and_then(Timestamp::exactly)
);

pair_message!(
    Span,
    "google.protobuf.Duration",
    length: true,
    how: "write seconds from 0 to 315576000000, in JSON with `s` behind them: \"300s\"",
    |pair| {
        let within = (0..=MAX_SECONDS).contains(&pair.seconds);
        within.then(|| pair.micros()).flatten().map(|micros| Span::from_micros(micros as u64))
    }
);
