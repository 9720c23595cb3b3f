//! Decimal numbers with a fixed number of digits behind the point.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use bytes::{Buf, BufMut};
use prost::DecodeError;
use prost::encoding::{DecodeContext, WireType};
use serde::de::{Deserialize, Deserializer, Visitor};

use super::{Addend, FloatTotal, Given, Number, Term, Value};
use crate::time::Timestamp;
use crate::wire::{WireField, WireValue, refused, types};

/// An exact decimal number with `SCALE` digits behind the point, from 0 to 18: `Decimal<2>` for cents.
///
/// A whole number of units of `10^-SCALE`. A value of an event has up to 64 bits of them, which are 92 quadrillion for
/// `Decimal<2>`; [`Sum<Decimal<2>>`](super::Sum) adds them in 128 bits, exactly, in the store too, and
/// [`Min`](super::Min), [`Max`](super::Max), [`First`](super::First), [`Last`](super::Last) and [`Latest`](super::Latest)
/// keep one as it is. Nothing is rounded but what an [`Average`](super::Average) answers, which are floats: what has more
/// digits behind the point is refused where it is read.
///
/// Read from text (`"12.34"`.[`parse`](str::parse)), and by serde from texts, whole numbers and floats. A number with a
/// point in JSON has gone through an `f64` and is refused when it has more than 15 digits, as another one may have been
/// meant; texts have no such limit. Written as text in answers: `"12.30"`.
///
/// As a field of an event it has the form of a text: `#[murmur(as = "string")] pub price: Decimal<2>`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Decimal<const SCALE: u32>(i128);

/// The most digits that a [`Decimal`] has behind the point.
pub const MOST_DIGITS: u32 = 18;

impl<const SCALE: u32> Decimal<SCALE> {
    /// Units of a whole.
    const ONE: i128 = {
        assert!(SCALE <= MOST_DIGITS, "`Decimal<SCALE>` has 0 to 18 digits behind the point");
        10i128.pow(SCALE)
    };

    /// So many units of `10^-SCALE`: 1234 are 12.34 for `Decimal<2>`.
    pub const fn from_units(units: i64) -> Self {
        Self(units as i128)
    }

    /// How many units of `10^-SCALE` it is.
    pub const fn units(self) -> i128 {
        self.0
    }

    /// Read digits, of any number.
    fn read(text: &str) -> Result<Self, String> {
        let (negative, digits) = match text.as_bytes() {
            [b'-', ..] => (true, &text[1..]),
            [b'+', ..] => (false, &text[1..]),
            _ => (false, text),
        };
        let (whole, rest) = digits.split_once('.').unwrap_or((digits, "0"));
        let numeric = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        if !numeric(whole) || !numeric(rest) {
            return Err(format!("{text:?} is not a decimal number such as -12.34"));
        }
        // Zeros at the end say nothing.
        let rest = rest.trim_end_matches('0');
        if rest.len() > SCALE as usize {
            return Err(format!("{text:?} has more than {SCALE} digits behind the point, and nothing is rounded"));
        }
        let digits = whole.bytes().chain(rest.bytes()).chain(std::iter::repeat_n(b'0', SCALE as usize - rest.len()));
        let units = digits
            .into_iter()
            .try_fold(0i128, |units, digit| units.checked_mul(10)?.checked_add(i128::from(digit - b'0')));
        let units = units.ok_or_else(|| format!("{text:?} is too large"))?;
        Ok(Self(if negative { -units } else { units }))
    }
}

impl<const SCALE: u32> FromStr for Decimal<SCALE> {
    type Err = crate::Error;

    /// A value of an event, of up to 64 bits of units.
    fn from_str(text: &str) -> Result<Self, crate::Error> {
        let read = Self::read(text).and_then(|read| match i64::try_from(read.0) {
            Ok(_) => Ok(read),
            Err(_) => Err(format!("{text:?} is too large; {} is the largest", Self(i64::MAX.into()))),
        });
        read.map_err(|why| crate::Error::new(crate::ErrorKind::InvalidArgument, why))
    }
}

impl<const SCALE: u32> fmt::Display for Decimal<SCALE> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let (units, one) = (self.0.unsigned_abs(), Self::ONE.unsigned_abs());
        write!(f, "{sign}{}", units / one)?;
        if SCALE > 0 {
            write!(f, ".{:0width$}", units % one, width = SCALE as usize)?;
        }
        Ok(())
    }
}

impl<'de, const SCALE: u32> Deserialize<'de> for Decimal<SCALE> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any<const SCALE: u32>;

        impl<const SCALE: u32> Visitor<'_> for Any<SCALE> {
            type Value = Decimal<SCALE>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "a decimal number with up to {SCALE} digits behind the point, best as text")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Self::Value, E> {
                text.parse().map_err(E::custom)
            }

            fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<Self::Value, E> {
                self.visit_str(&number.to_string())
            }

            fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<Self::Value, E> {
                self.visit_str(&number.to_string())
            }

            fn visit_f64<E: serde::de::Error>(self, number: f64) -> Result<Self::Value, E> {
                // The shortest text of this f64: what was written, when that has up to 15 digits.
                let text = number.to_string();
                let digits = text.bytes().filter(u8::is_ascii_digit).skip_while(|digit| *digit == b'0').count();
                if digits > 15 {
                    return Err(E::custom(format!(
                        "{text} has more than 15 digits, which an f64 does not keep; write it as text"
                    )));
                }
                self.visit_str(&text)
            }
        }

        deserializer.deserialize_any(Any)
    }
}

impl<const SCALE: u32> Addend for Decimal<SCALE> {
    type Total = i128;

    fn total(self) -> i128 {
        self.0
    }

    fn from_total(total: i128) -> Option<Self> {
        Number::Int(total).is_in_range().then_some(Self(total))
    }

    fn name() -> String {
        format!("Decimal<{SCALE}>")
    }
}

/// 16 bytes, little-endian: the units.
impl<const SCALE: u32> Value for Decimal<SCALE> {
    const MAX_BYTES: usize = size_of::<i128>();
    type Timed = types::TimedString;

    fn name() -> String {
        <Self as Addend>::name()
    }

    fn order(&self, other: &Self) -> Ordering {
        self.cmp(other)
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.0.to_le_bytes());
    }

    fn decode(bytes: &[u8]) -> Result<Self, super::DecodeError> {
        let units = bytes.try_into().ok().and_then(|bytes| Self::from_total(i128::from_le_bytes(bytes)));
        units.ok_or_else(|| super::DecodeError(format!("{} bytes that are no decimal", bytes.len())))
    }

    fn timed(&self, at: Timestamp) -> Self::Timed {
        types::TimedString { at: Some(at), value: self.to_string() }
    }
}

impl<const SCALE: u32> Term for Decimal<SCALE> {
    fn term(&self) -> Option<FloatTotal> {
        // A power of ten up to the 22nd is an `f64` without a rest.
        Some(FloatTotal::of_integer(self.0).over(Self::ONE as f64))
    }
}

macro_rules! given {
    ($($ty:ty, $value:pat => $given:expr;)*) => {$(
        impl<const SCALE: u32> Given<Decimal<SCALE>> for $ty {
            fn given(self) -> Option<Decimal<SCALE>> {
                let $value = self;
                $given
            }
        }
    )*};
}

given! {
    Decimal<SCALE>, value => Some(value);
    &Decimal<SCALE>, value => Some(*value);
    Option<Decimal<SCALE>>, value => value;
    Option<&Decimal<SCALE>>, value => value.copied();
}

/// A text, which is there for 0 too: an empty text is no number.
impl<const SCALE: u32> WireField for Decimal<SCALE> {
    const PROTO: &'static str = "string";

    fn encode_field(&self, number: u32, buf: &mut impl BufMut) {
        self.to_string().encode_field(number, buf);
    }

    fn merge_field(
        &mut self,
        wire_type: WireType,
        buf: &mut impl Buf,
        context: DecodeContext,
    ) -> Result<(), DecodeError> {
        let mut text = String::new();
        WireField::merge_field(&mut text, wire_type, buf, context)?;
        *self = Self::read(&text).map_err(refused)?;
        Ok(())
    }

    fn field_len(&self, number: u32) -> usize {
        self.to_string().field_len(number)
    }
}

impl<const SCALE: u32> WireValue for Decimal<SCALE> {
    const OPTIONAL: &'static str = "optional string";

    fn encode_value(&self, number: u32, buf: &mut impl BufMut) {
        self.to_string().encode_value(number, buf);
    }

    fn value_len(&self, number: u32) -> usize {
        self.to_string().value_len(number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;
    use crate::aggregate::{Average, First, Last, Latest, Max, Min, Monoid, Question, Sum, laws};

    type Cents = Decimal<2>;

    fn cents(text: &str) -> Cents {
        text.parse().unwrap()
    }

    #[test]
    fn decimals_are_read_and_written_as_they_are() {
        let same = ["0.00", "12.30", "-0.01", "-12.34", "92233720368547758.07", "-92233720368547758.08"];
        for text in same {
            assert_eq!(cents(text).to_string(), text);
        }
        assert_eq!(["7", "+7.0", "007.000"].map(cents), [Cents::from_units(700); 3]);
        assert_eq!("-5".parse::<Decimal<0>>().unwrap().to_string(), "-5");
        assert_eq!("0.000000000000000001".parse::<Decimal<18>>().unwrap().units(), 1);
        assert_eq!("-0".parse::<Cents>().unwrap(), Cents::default());
    }

    #[test]
    fn what_is_not_exact_is_refused() {
        let refusal = |text: &str| text.parse::<Cents>().unwrap_err().to_string();
        assert!(refusal("1.005").contains("\"1.005\" has more than 2 digits behind the point"));
        for text in ["", "-", "1.", ".5", "1e3", "1,5", " 1", "NaN", "--1", "1.-5", "١"] {
            assert!(refusal(text).contains("is not a decimal number"), "{text:?}: {}", refusal(text));
        }
        assert!(refusal("92233720368547758.08").contains("92233720368547758.07 is the largest"));
        assert!(refusal(&"9".repeat(60)).contains("too large"));
    }

    #[test]
    fn json_may_have_texts_and_numbers() {
        let read = |json: &str| serde_json::from_str::<Cents>(json).map_err(|error| error.to_string());
        for json in ["\"12.30\"", "12.3", "12.30"] {
            assert_eq!(read(json).unwrap(), cents("12.3"), "{json}");
        }
        assert_eq!(read("-7").unwrap(), cents("-7"));
        assert_eq!(read("0.1").unwrap().units(), 10);
        assert!(read("0.30000000000000004").unwrap_err().contains("write it as text"));
        assert!(read("12345678901234.56").unwrap_err().contains("more than 15 digits"));
        assert!(read("0.001").unwrap_err().contains("more than 2 digits"));
        assert!(read("1e300").is_err() && read("true").unwrap_err().contains("best as text"));
        assert!(read("18446744073709551615").unwrap_err().contains("is the largest"));
    }

    #[test]
    fn sums_of_decimals_keep_the_laws_and_every_digit() {
        let values = ["0.10", "-92233720368547758.08", "92233720368547758.07", "3"].map(|text| Sum::of(cents(text)));
        laws::check(&values);
        let mut sum = Sum::<Cents>::identity();
        for _ in 0..1_000 {
            sum.combine(Sum::of(Some(&cents("0.10"))));
            sum.combine(Sum::of(None::<Cents>));
        }
        assert_eq!(sum.reply(&Question::default()).unwrap().to_string(), "100.00");
        // Beyond what a single value may be.
        sum.combine(values[2]);
        sum.combine(values[2]);
        assert_eq!(sum.reply(&Question::default()).unwrap().to_string(), "184467440737095616.14");
        let over = Sum::<Cents>::decode(&i128::MAX.to_le_bytes()).unwrap();
        assert_eq!(over.reply(&Question::default()).unwrap_err().kind(), ErrorKind::Overflow);
    }

    #[test]
    fn stored_bytes_never_change_and_say_their_scale() {
        let mut bytes = Vec::new();
        Sum::of(cents("-0.02")).encode(&mut bytes);
        assert_eq!(bytes, (-2i128).to_le_bytes());
        let mut said = Vec::new();
        Sum::<Cents>::kept(3, &mut |number, kept| said.push((number, kept)));
        assert_eq!(said, [(3, Some("Sum<Decimal<2>>".into()))]);
    }

    #[test]
    fn extremes_firsts_and_lasts_keep_a_decimal_as_it_is() {
        let values = ["0.10", "-92233720368547758.08", "92233720368547758.07", "3"].map(cents);
        laws::check(&values.map(Min::of));
        laws::check(&values.map(|value| Latest::of((value.units() % 2) as i64, value)));
        let at = |value: Cents| Timestamp::from_seconds((value.units() % 3) as i64);
        laws::check(&values.map(|value| Last::at(at(value), value)));
        let mut both = (Min::<Cents>::identity(), Max::<Cents>::identity());
        for value in values {
            both.0.combine(Min::of(value));
            both.1.combine(Max::of(Some(&value)));
        }
        let question = Question::default();
        assert_eq!(
            (both.0.reply(&question).unwrap(), both.1.reply(&question).unwrap()),
            (Some(values[1]), Some(values[2]))
        );
        let first = First::at(Timestamp::from_seconds(7), cents("-0.5")).reply(&question).unwrap().unwrap();
        assert_eq!((first.value.as_str(), first.at), ("-0.50", Some(Timestamp::from_seconds(7))));
        let mut bytes = Vec::new();
        Max::of(cents("-0.02")).encode(&mut bytes);
        assert_eq!(bytes, [[1].as_slice(), &(-2i128).to_le_bytes()].concat());
        assert!(Max::<Cents>::decode(&[[1].as_slice(), &i128::MIN.to_le_bytes()].concat()).is_err());
        // Those of another scale are something else.
        let mut said = Vec::new();
        Latest::<Cents>::kept(3, &mut |_, kept| said.extend(kept));
        Max::<Decimal<4>>::kept(3, &mut |_, kept| said.extend(kept));
        First::<Decimal<0>>::kept(3, &mut |_, kept| said.extend(kept));
        assert_eq!(said, ["Latest<Decimal<2>>", "Max<Decimal<4>>", "First<Decimal<0>>"]);
    }

    #[test]
    fn averages_of_decimals_lose_no_digit_before_the_end() {
        let mut average = Average::identity();
        for _ in 0..10_000 {
            average.combine(Average::of(cents("0.10")));
            average.combine(Average::of(Some(cents("-0.07"))));
            average.combine(Average::of(None::<&Cents>));
        }
        let reply = average.reply(&Question::default()).unwrap();
        assert_eq!((reply.count, reply.sum, reply.mean), (20_000, 300.0, Some(0.015)));
        let largest = Average::of(cents("92233720368547758.07")).reply(&Question::default()).unwrap();
        assert_eq!(largest.sum, "92233720368547758.07".parse::<f64>().unwrap());
    }

    #[test]
    fn answers_are_texts() {
        for text in ["0.00", "-12.34"] {
            let mut sent = Vec::new();
            cents(text).encode_field(7, &mut sent);
            assert_eq!(sent, [[0x3a, text.len() as u8].as_slice(), text.as_bytes()].concat());
            assert_eq!(sent.len(), cents(text).field_len(7));
            let mut read = Cents::from_units(9);
            let context = DecodeContext::default();
            WireField::merge_field(&mut read, WireType::LengthDelimited, &mut &sent[1..], context).unwrap();
            assert_eq!(read, cents(text));
        }
    }
}
