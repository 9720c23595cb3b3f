//! How large DynamoDB counts an item.

use aws_sdk_dynamodb::types::AttributeValue;

use super::format::Attributes;

/// Bytes of names and values, and a little for each list.
pub(super) fn size(attributes: &Attributes) -> usize {
    attributes.iter().map(|(name, value)| name.len() + value_size(value)).sum()
}

fn value_size(value: &AttributeValue) -> usize {
    match value {
        AttributeValue::S(text) => text.len(),
        AttributeValue::B(bytes) => bytes.as_ref().len(),
        AttributeValue::N(digits) => number_size(digits),
        AttributeValue::Ns(numbers) => 3 + numbers.iter().map(|digits| 1 + number_size(digits)).sum::<usize>(),
        AttributeValue::L(values) => 3 + values.iter().map(|value| 1 + value_size(value)).sum::<usize>(),
        _ => 1,
    }
}

/// Two digits a byte, the exponent, and the sign.
fn number_size(digits: &str) -> usize {
    digits.len() / 2 + 2
}

#[cfg(test)]
mod tests {
    use super::super::format::encode_item;
    use super::*;
    use crate::aggregate::{Column, Number};
    use crate::source::{Offset, PartitionId};
    use crate::store::{Item, TileId};
    use crate::time::{Level, Slot, Tile};

    #[test]
    fn a_size_is_known_without_the_form_it_is_stored_in() {
        let start = "2026-05-16T12:00:00Z".parse().unwrap();
        let id = |level, part: Option<&str>| TileId {
            key: "=s/articles/2026/a-long-way".into(),
            tile: Tile { level, start },
            part: part.map(PartitionId::new),
        };
        let offsets =
            || (0..8).map(|p| (PartitionId::new(format!("k:{p}")), Offset::from_u64(4_711_000 + p))).collect();
        let number = |slot| ((Slot(slot), Column { field: 1, part: 0 }), Number::Int(i128::from(slot) * 977));
        let float = |slot| {
            let number = Number::Float { sum: f64::from(slot) * 0.37, rest: 1e-17 };
            ((Slot(slot), Column { field: 2, part: 1 }), number)
        };
        let expires = Some(start);
        let items = [
            (
                id(Level::Hour, None),
                Item { offsets: offsets(), numbers: (0..60).map(number).collect(), expires, ..Item::default() },
            ),
            (
                id(Level::Hour, None),
                Item { offsets: offsets(), numbers: (0..60).map(float).collect(), expires, ..Item::default() },
            ),
            (
                id(Level::Month, None),
                Item {
                    rolled: (0..31).map(Slot).collect(),
                    numbers: (0..31).map(number).collect(),
                    expires,
                    ..Item::default()
                },
            ),
            (
                id(Level::Slot, Some("k:3")),
                Item {
                    offsets: vec![(PartitionId::new("k:3"), Offset::from_u64(9))],
                    values: vec![(Slot(0), vec![7; 4_000].into())],
                    expires,
                    ..Item::default()
                },
            ),
        ];
        for (id, item) in items {
            let writes = (!item.numbers.is_empty()).then_some(17);
            let (ours, theirs) = (crate::store::stored_bytes(&id, &item), size(&encode_item(&id, &item, writes)));
            assert!(ours.abs_diff(theirs) <= theirs / 20, "{ours} for {theirs}");
        }
    }
}
