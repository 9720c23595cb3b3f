//! `window = sliding("90d", slot = "1m")`, `window = tumbling("1h", keep = "30d")`, and lengths of time.

use syn::parse::{Parse, ParseStream};
use syn::{Ident, LitStr, Token, parenthesized};

use crate::attr::{Entry, text};
use crate::codes;
use crate::ctxt::{Ctxt, Finding};
use crate::model::Window;

const FORM: &str = "`window = sliding(\"90d\", slot = \"1m\")` or `window = tumbling(\"1h\", keep = \"30d\")`";

/// Units with their length in microseconds; the grammar of `murmur::time::Span`.
const UNITS: [(&str, u64); 7] = [
    ("w", 604_800_000_000),
    ("d", 86_400_000_000),
    ("h", 3_600_000_000),
    ("m", 60_000_000),
    ("s", 1_000_000),
    ("ms", 1_000),
    ("us", 1),
];

/// `name("length", key = "length")`, not yet understood.
struct Call {
    name: Ident,
    length: LitStr,
    key: Ident,
    second: LitStr,
}

impl Parse for Call {
    fn parse(input: ParseStream) -> syn::Result<Self> {
        let name = input.parse()?;
        let inside;
        parenthesized!(inside in input);
        let length = inside.parse()?;
        inside.parse::<Token![,]>()?;
        let key = inside.parse()?;
        inside.parse::<Token![=]>()?;
        let second = inside.parse()?;
        inside.parse::<Option<Token![,]>>()?;
        if !inside.is_empty() {
            return Err(inside.error("nothing more"));
        }
        Ok(Self { name, length, key, second })
    }
}

/// Read the window of an entry.
pub(crate) fn parse(entry: &Entry, ctxt: &Ctxt) -> Option<Window> {
    let call = entry.parse(FORM, Call::parse, ctxt)?;
    let (name, key) = (text(&call.name), text(&call.key));
    let lengths = (length(&call.length, ctxt), length(&call.second, ctxt));
    let (first, second) = (lengths.0?, lengths.1?);
    let shown = (call.length.value(), call.second.value());
    match (name.as_str(), key.as_str()) {
        ("sliding", "slot") if second > first => {
            let message = format!(
                "the slot `{}` is longer than the window `{}`, which could never be answered",
                shown.1, shown.0
            );
            ctxt.say(codes::RETENTION, &call.second, message);
            None
        }
        ("sliding", "slot") if first % second != 0 => {
            let message = format!("`{}` is not a whole number of slots of `{}`", shown.0, shown.1);
            ctxt.say(codes::WINDOW_FIT, &call.length, message);
            None
        }
        ("sliding", "slot") => Some(Window::Sliding { span: first, slot: second }),
        ("tumbling", "keep") if second < first => {
            let message = format!(
                "kept for `{}`, a window of `{}` would expire before it ends; keep at least `{}`",
                shown.1, shown.0, shown.0
            );
            ctxt.say(codes::RETENTION, &call.second, message);
            None
        }
        ("tumbling", "keep") => Some(Window::Tumbling { size: first, keep: second }),
        _ => {
            ctxt.push(Finding::new(codes::ATTRIBUTE_FORM, entry.at(), format!("`window` is written {FORM}")));
            None
        }
    }
}

/// A length in microseconds, more than nothing.
fn length(literal: &LitStr, ctxt: &Ctxt) -> Option<u64> {
    let written = literal.value();
    match micros(&written) {
        Some(0) => {
            ctxt.say(codes::WINDOW_FIT, literal, format!("`{written}` is no time at all; give a length"));
            None
        }
        Some(length) => Some(length),
        None => {
            let message =
                format!("`{written}` is not a length of time; write a number and a unit such as `30s`, `15m`, `90d`");
            ctxt.say(codes::DURATION, literal, message);
            None
        }
    }
}

/// `1h30m` in microseconds, at most what 63 bits hold.
pub(crate) fn micros(written: &str) -> Option<u64> {
    let mut rest = written.trim();
    let mut total: u64 = 0;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let number: u64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let letters = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len());
        let (_, unit) = UNITS.iter().find(|(name, _)| *name == &rest[..letters])?;
        total = total.checked_add(number.checked_mul(*unit)?)?;
        rest = &rest[letters..];
    }
    (total <= i64::MAX as u64).then_some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_those_of_the_runtime() {
        let good = [
            ("90d", 7_776_000_000_000),
            ("1h30m", 5_400_000_000),
            ("2w", 1_209_600_000_000),
            ("5ms7us", 5_007),
            ("0s", 0),
        ];
        for (written, want) in good {
            assert_eq!(micros(written), Some(want), "{written}");
        }
        for bad in ["", "90", "d", "1.5h", "90 d", "1y", "-1d", "300000000w", "18446744073709551616s"] {
            assert_eq!(micros(bad), None, "{bad}");
        }
    }
}
