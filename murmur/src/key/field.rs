//! The types that a key may be made of. Their errors say what a text is not, and nothing of it.

use std::fmt::Display;

use super::KeyField;
use crate::time::Timestamp;

impl KeyField for String {
    type Wire = Self;

    fn write(&self, out: &mut String) {
        let mut rest = self.as_str();
        while let Some(at) = rest.find(['\0', '\x01']) {
            out.push_str(&rest[..at]);
            out.push_str(if rest.as_bytes()[at] == 0 { "\x01\x01" } else { "\x01\x02" });
            rest = &rest[at + 1..];
        }
        out.push_str(rest);
    }

    fn read(text: &str) -> Result<Self, String> {
        let mut out = Self::with_capacity(text.len());
        let mut rest = text;
        while let Some(at) = rest.find(['\0', '\x01']) {
            out.push_str(&rest[..at]);
            match rest.as_bytes()[at..] {
                [1, 1, ..] => out.push('\0'),
                [1, 2, ..] => out.push('\x01'),
                _ => return Err("not an escaped text".to_owned()),
            }
            rest = &rest[at + 2..];
        }
        out.push_str(rest);
        Ok(out)
    }

    fn parse(text: &str) -> Result<Self, String> {
        Ok(text.to_owned())
    }

    fn show(&self) -> String {
        self.clone()
    }

    fn to_wire(&self) -> Self {
        self.clone()
    }

    fn from_wire(wire: Self) -> Result<Self, String> {
        Ok(wire)
    }
}

/// Append a whole number that is not negative: a letter for the number of its digits, then the digits.
fn push_digits(number: u64, out: &mut String) {
    let mut buffer = [0u8; 20];
    let digits = write_digits(number, &mut buffer);
    out.push(char::from(b'a' + (digits.len() - 1) as u8));
    out.extend(digits.iter().map(|&digit| char::from(digit)));
}

/// The decimal digits, in ASCII, at the end of `buffer`.
fn write_digits(mut number: u64, buffer: &mut [u8; 20]) -> &[u8] {
    let mut start = buffer.len();
    loop {
        start -= 1;
        buffer[start] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            return &buffer[start..];
        }
    }
}

/// What [`push_digits`] wrote; `None` for anything else, other spellings of a number among it.
fn take_digits(text: &str) -> Option<u64> {
    let (&letter, digits) = text.as_bytes().split_first()?;
    let count = usize::from(letter.checked_sub(b'a')?) + 1;
    if digits.len() != count || (count > 1 && digits[0] == b'0') || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    text[1..].parse().ok()
}

fn push_signed(number: i64, out: &mut String) {
    if number >= 0 {
        return push_digits(number.unsigned_abs(), out);
    }
    let mut buffer = [0u8; 20];
    let digits = write_digits(number.unsigned_abs(), &mut buffer);
    out.push('-');
    out.push(char::from(b'z' - (digits.len() - 1) as u8));
    out.extend(digits.iter().map(|&digit| char::from(b'0' + b'9' - digit)));
}

fn take_signed(text: &str) -> Option<i64> {
    let Some(negative) = text.strip_prefix('-') else { return i64::try_from(take_digits(text)?).ok() };
    let (&letter, complement) = negative.as_bytes().split_first()?;
    let count = usize::from(b'z'.checked_sub(letter)?) + 1;
    if complement.len() != count || complement[0] == b'9' {
        return None;
    }
    let mut number: i64 = 0;
    for &digit in complement {
        let digit = digit.is_ascii_digit().then(|| i64::from(b'9' - digit))?;
        number = number.checked_mul(10)?.checked_sub(digit)?;
    }
    Some(number)
}

fn out_of(least: impl Display, most: impl Display) -> String {
    format!("not a whole number from {least} to {most}")
}

/// Integers: `$wide` is what the text form is made from, `$wire` what protobuf carries.
macro_rules! integer {
    ($($ty:ty as $wide:ty, $push:ident, $take:ident, $wire:ty;)*) => {$(
        impl KeyField for $ty {
            type Wire = $wire;

            fn write(&self, out: &mut String) {
                $push(<$wide>::from(*self), out);
            }

            fn read(text: &str) -> Result<Self, String> {
                let number = $take(text).and_then(|number| Self::try_from(number).ok());
                number.ok_or_else(|| concat!("not a stored ", stringify!($ty)).to_owned())
            }

            fn parse(text: &str) -> Result<Self, String> {
                text.trim().parse().map_err(|_| out_of(Self::MIN, Self::MAX))
            }

            fn show(&self) -> String {
                self.to_string()
            }

            fn to_wire(&self) -> $wire {
                <$wire>::from(*self)
            }

            fn from_wire(wire: $wire) -> Result<Self, String> {
                Self::try_from(wire).map_err(|_| out_of(Self::MIN, Self::MAX))
            }
        }
    )*};
}

integer! {
    u8 as u64, push_digits, take_digits, u32;
    u16 as u64, push_digits, take_digits, u32;
    u32 as u64, push_digits, take_digits, u32;
    u64 as u64, push_digits, take_digits, u64;
    i8 as i64, push_signed, take_signed, i32;
    i16 as i64, push_signed, take_signed, i32;
    i32 as i64, push_signed, take_signed, i32;
    i64 as i64, push_signed, take_signed, i64;
}

impl KeyField for bool {
    type Wire = Self;

    fn write(&self, out: &mut String) {
        out.push(if *self { '1' } else { '0' });
    }

    fn read(text: &str) -> Result<Self, String> {
        match text {
            "0" => Ok(false),
            "1" => Ok(true),
            _ => Err("not a stored bool".to_owned()),
        }
    }

    fn parse(text: &str) -> Result<Self, String> {
        text.trim().parse().map_err(|_| "neither `true` nor `false`".to_owned())
    }

    fn show(&self) -> String {
        self.to_string()
    }

    fn to_wire(&self) -> Self {
        *self
    }

    fn from_wire(wire: Self) -> Result<Self, String> {
        Ok(wire)
    }
}

impl KeyField for Timestamp {
    type Wire = Self;

    fn write(&self, out: &mut String) {
        push_signed(self.as_micros(), out);
    }

    fn read(text: &str) -> Result<Self, String> {
        take_signed(text).and_then(Self::exactly).ok_or_else(|| "not a stored time".to_owned())
    }

    fn parse(text: &str) -> Result<Self, String> {
        let said = "not an RFC 3339 time of the years 1 to 9999, such as 2026-05-16T12:00:00Z";
        text.trim().parse().map_err(|_: String| said.to_owned())
    }

    fn show(&self) -> String {
        self.to_string()
    }

    fn to_wire(&self) -> Self {
        *self
    }

    fn from_wire(wire: Self) -> Result<Self, String> {
        Ok(wire)
    }
}
