//! Numbers as DynamoDB has them: N, with 38 digits and exponents from -130 to 125.

use aws_sdk_dynamodb::types::AttributeValue;

use crate::aggregate::Number;

pub(super) fn encode_number(number: Number) -> AttributeValue {
    match number {
        Number::Int(whole) => AttributeValue::N(whole.to_string()),
        Number::Float { sum, rest } => AttributeValue::L(vec![encode_float(sum), encode_float(rest)]),
    }
}

/// An N has 38 digits, which is more than any double needs, but not its range.
fn encode_float(float: f64) -> AttributeValue {
    let magnitude = float.abs();
    if (float == 0.0 && float.is_sign_positive()) || (1e-130..1e125).contains(&magnitude) {
        AttributeValue::N(format!("{float:e}"))
    } else {
        AttributeValue::S(format!("{float:e}"))
    }
}

pub(super) fn decode_number(value: &AttributeValue) -> Option<Number> {
    match value {
        AttributeValue::N(text) => decode_whole(text).map(Number::Int).filter(|number| number.is_in_range()),
        AttributeValue::L(pair) => {
            let [sum, rest] = pair.as_slice() else { return None };
            Some(Number::Float { sum: decode_float(sum)?, rest: decode_float(rest)? })
        }
        _ => None,
    }
}

fn decode_float(value: &AttributeValue) -> Option<f64> {
    let (AttributeValue::N(text) | AttributeValue::S(text)) = value else { return None };
    text.parse().ok().filter(|float: &f64| float.is_finite())
}

/// Servers write whole numbers with and without an exponent.
pub(super) fn decode_whole(text: &str) -> Option<i128> {
    let (digits, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let (before, after) = digits.split_once('.').unwrap_or((digits, ""));
    let exponent = exponent.parse::<i32>().ok()?.checked_sub(i32::try_from(after.len()).ok()?)?;
    let number: i128 = format!("{before}{after}").parse().ok()?;
    let scale = 10i128.checked_pow(exponent.unsigned_abs())?;
    match exponent {
        0.. => number.checked_mul(scale),
        _ => (number % scale == 0).then_some(number / scale),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn whole_numbers_are_read_in_every_notation(number in -Number::MAX_INT..=Number::MAX_INT, zeros in 0u32..20) {
            prop_assert_eq!(decode_whole(&number.to_string()), Some(number));
            if let Some(larger) = number.checked_mul(10i128.pow(zeros)) {
                prop_assert_eq!(decode_whole(&format!("{number}E+{zeros}")), Some(larger));
                prop_assert_eq!(decode_whole(&format!("{larger}e-{zeros}")), Some(number));
                prop_assert_eq!(decode_whole(&format!("{number}.{}", "0".repeat(zeros as usize))), Some(number));
            }
        }
    }
}
