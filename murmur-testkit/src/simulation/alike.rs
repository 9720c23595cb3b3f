//! Whether two answers say the same: bit for bit, but for [`Moments`], whose last digits may depend on how events were
//! grouped.

use murmur::wire::WireField;
use murmur::wire::types::Moments;

/// Whether both are equal, or differ only in [`Moments`] that are [near](Moments::is_near), wherever in them these are.
pub(super) fn alike<R: WireField>(a: &R, b: &R) -> bool {
    let bytes = |reply: &R| {
        let mut out = Vec::new();
        reply.encode_field(1, &mut out);
        out
    };
    a == b || are_messages_alike(&bytes(a), &bytes(b))
}

fn are_messages_alike(a: &[u8], b: &[u8]) -> bool {
    let (Some(a), Some(b)) = (fields(a), fields(b)) else { return false };
    if let (Some(a), Some(b)) = (moments(&a), moments(&b)) {
        return a.is_near(&b);
    }
    let is_alike = |(a, b): (&Field<'_>, &Field<'_>)| match (a, b) {
        ((a_number, Content::Bytes(a)), (b_number, Content::Bytes(b))) => {
            a_number == b_number && (a == b || are_messages_alike(a, b))
        }
        (a, b) => a == b,
    };
    a.len() == b.len() && a.iter().zip(&b).all(is_alike)
}

/// A field of a message: its number, and what stands there.
type Field<'b> = (u64, Content<'b>);

#[derive(Debug, PartialEq)]
enum Content<'b> {
    Varint(u64),
    Fixed64(u64),
    Fixed32(u32),
    Bytes(&'b [u8]),
}

/// The fields of a message, as protobuf writes them; `None` when these bytes are none.
fn fields(mut bytes: &[u8]) -> Option<Vec<Field<'_>>> {
    let mut fields = Vec::new();
    while !bytes.is_empty() {
        let tag = varint(&mut bytes)?;
        let content = match tag & 7 {
            0 => Content::Varint(varint(&mut bytes)?),
            1 => Content::Fixed64(u64::from_le_bytes(take(&mut bytes, 8)?.try_into().ok()?)),
            2 => {
                let length = usize::try_from(varint(&mut bytes)?).ok()?;
                Content::Bytes(take(&mut bytes, length)?)
            }
            5 => Content::Fixed32(u32::from_le_bytes(take(&mut bytes, 4)?.try_into().ok()?)),
            _ => return None,
        };
        fields.push((tag >> 3, content));
    }
    Some(fields)
}

fn take<'b>(bytes: &mut &'b [u8], length: usize) -> Option<&'b [u8]> {
    let (taken, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    Some(taken)
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let byte = take(bytes, 1)?[0];
        number |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(number);
        }
    }
    None
}

/// What these fields are as moments; `None` when they are another message, which shows in their kinds and in that mean and
/// deviation belong to sum and variance.
fn moments(fields: &[Field<'_>]) -> Option<Moments> {
    let mut read = Moments::default();
    for (number, content) in fields {
        match (number, content) {
            (1, Content::Varint(count)) => read.count = *count,
            (2, Content::Fixed64(bits)) => read.sum = f64::from_bits(*bits),
            (3, Content::Fixed64(bits)) => read.mean = Some(f64::from_bits(*bits)),
            (4, Content::Fixed64(bits)) => read.variance = Some(f64::from_bits(*bits)),
            (5, Content::Fixed64(bits)) => read.population_variance = Some(f64::from_bits(*bits)),
            (6, Content::Fixed64(bits)) => read.standard_deviation = Some(f64::from_bits(*bits)),
            _ => return None,
        }
    }
    let is_one = read.count > 0
        && read.mean == Some(read.sum / read.count as f64)
        && read.population_variance.is_some()
        && read.variance.is_some() == (read.count > 1)
        && read.standard_deviation == read.variance.map(f64::sqrt);
    is_one.then_some(read)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use murmur::aggregate::{MapReply, Monoid, Question};

    use super::*;
    use crate::pipelines::BalanceReply;

    fn moments(variance: f64) -> Moments {
        let reply = murmur::aggregate::Moments::of(3).reply(&Question::default()).unwrap();
        Moments {
            count: 2,
            sum: 6.0,
            variance: Some(2.0 * variance),
            population_variance: Some(variance),
            standard_deviation: Some((2.0 * variance).sqrt()),
            ..reply
        }
    }

    fn balance(spread: Moments, heat: f64) -> BalanceReply {
        BalanceReply { count: 2, spread, heat, ..BalanceReply::default() }
    }

    #[test]
    fn moments_that_are_near_are_alike_wherever_they_are() {
        let [none, near, far] = [0.0, 1e-30, 1e-20].map(moments);
        assert!(alike(&none, &near) && !alike(&none, &far));
        assert!(alike(&balance(none.clone(), 0.5), &balance(near.clone(), 0.5)));
        assert!(!alike(&balance(none.clone(), 0.5), &balance(far.clone(), 0.5)));
        let map = |moments: &Moments| MapReply { entries: BTreeMap::from([(7u64, moments.clone())]), truncated: false };
        assert!(alike(&map(&none), &map(&near)) && !alike(&map(&none), &map(&far)));
        assert!(alike(&Some(none.clone()), &Some(near)) && !alike(&Some(none), &None));
    }

    #[test]
    fn everything_else_is_compared_bit_for_bit() {
        let spread = moments(1.0);
        let next = 0.5f64.next_up();
        assert!(!alike(&balance(spread.clone(), 0.5), &balance(spread.clone(), next)));
        assert!(!alike(&0.5, &next) && alike(&0.5, &0.5));
        let more = BalanceReply { count: 3, ..balance(spread.clone(), 0.5) };
        assert!(!alike(&more, &balance(spread, 0.5)));
    }
}
