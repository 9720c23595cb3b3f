//! No item is larger than the compiler says.

use aws_sdk_dynamodb::types::AttributeValue;
use proptest::prelude::*;

use super::format::{Attributes, encode_item};
use crate::aggregate::{Column, Count, Max, Moments, Monoid, Number, Set, Sum, TopK, envelope};
use crate::size::{ItemSize, PARTITION_BYTES, PARTITIONS};
use crate::source::{Offset, PartitionId};
use crate::store::{Item, TileId};
use crate::time::{Level, Slot, Span, Tile, Timestamp, Window};

#[derive(Clone, Debug)]
struct Sums {
    count: Count,
    cents: Sum<i64>,
    heat: Sum<f64>,
    spread: Moments,
}

crate::aggregate_struct! {
    impl Sums;
    /// Numbers only.
    struct SumsReply: "sizes.v1.Sums" {
        /// Whole.
        count: Count = 1,
        /// Whole.
        cents: Sum<i64> = 536_870_911,
        /// A float.
        heat: Sum<f64> = 3,
        /// A whole number and two floats.
        spread: Moments = 4,
    }
    retired [];
}

#[derive(Clone, Debug)]
struct Bytes {
    count: Count,
    slowest: Max<u64>,
    pages: Set<String, 3>,
    top: TopK<1>,
}

crate::aggregate_struct! {
    impl Bytes;
    /// Bytes.
    struct BytesReply: "sizes.v1.Bytes" {
        /// A number.
        count: Count = 1,
        /// A number.
        slowest: Max<u64> = 2,
        /// Texts.
        pages: Set<String, 3> = 3,
        /// A sketch.
        top: TopK<1> = 4,
    }
    retired [];
}

/// Bytes of an item as DynamoDB counts them: "DynamoDB item sizes and formats" in its developer guide.
pub(super) fn size(attributes: &Attributes) -> usize {
    attributes.iter().map(|(name, value)| name.len() + value_size(value)).sum()
}

pub(super) fn value_size(value: &AttributeValue) -> usize {
    match value {
        AttributeValue::S(text) => text.len(),
        AttributeValue::B(bytes) => bytes.as_ref().len(),
        AttributeValue::N(number) => number_size(number),
        AttributeValue::Ns(numbers) => numbers.iter().map(|number| 1 + number_size(number)).sum::<usize>() + 3,
        AttributeValue::L(values) => values.iter().map(|value| 1 + value_size(value)).sum::<usize>() + 3,
        other => panic!("no item has {other:?}"),
    }
}

/// A byte for two significant digits, one more, and one for the sign.
fn number_size(number: &str) -> usize {
    let digits = number.split('e').next().unwrap().chars().filter(char::is_ascii_digit).count();
    digits.div_ceil(2) + 1 + usize::from(number.starts_with('-'))
}

/// An item with everything that it can have: of Form A from all partitions, of Form B from one.
fn item(slots: u16, partitions: usize) -> (TileId, Item) {
    let partition = |n: usize| PartitionId::new(format!("{n:0>PARTITION_BYTES$}"));
    let key = "k".repeat(crate::key::MAX_KEY_BYTES).into();
    let start = Timestamp::from_micros(1);
    let part = (partitions == 1).then(|| partition(0));
    let id = TileId { key, tile: Tile { level: Level::Month, start }, part };
    let offset = Offset::from_words([u64::MAX >> 1, u64::MAX, u64::MAX, u64::MAX]);
    let offsets = (0..partitions).map(|n| (partition(n), offset)).collect();
    let rolled = (0..slots).map(Slot).collect();
    (id, Item { offsets, rolled, expires: Some(Timestamp::from_micros(i64::MAX / 64)), ..Item::default() })
}

fn half_hours() -> Window {
    Window::Sliding { span: Span::from_seconds(30 * 86_400), slot: Span::from_seconds(1_800) }
}

fn largest_number() -> impl Strategy<Value = i128> {
    prop_oneof![Just(Number::MAX_INT), Just(-Number::MAX_INT), -Number::MAX_INT..Number::MAX_INT]
}

fn float() -> impl Strategy<Value = f64> {
    prop_oneof![any::<f64>().prop_filter("finite", |float| float.is_finite()), Just(f64::MIN), Just(-f64::MIN_POSITIVE)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn no_item_that_the_store_adds_to_is_larger_than_said(
        whole in proptest::collection::vec(largest_number(), 31 * 3),
        floats in proptest::collection::vec((float(), float()), 31 * 3),
    ) {
        let slots = 31;
        let (id, mut item) = item(slots, PARTITIONS);
        let (mut whole, mut floats) = (whole.into_iter(), floats.into_iter());
        for slot in 0..slots {
            Sums::identity().numbers(0, &mut |column, number| {
                let number = match number {
                    Number::Int(_) => Number::Int(whole.next().unwrap()),
                    Number::Float { .. } => floats.next().map(|(sum, rest)| Number::Float { sum, rest }).unwrap(),
                };
                item.numbers.push(((Slot(slot), column), number));
            });
        }
        let size = size(&encode_item(&id, &item, Some(u64::MAX)));
        let said = ItemSize::of::<Sums>(&half_hours()).largest;
        prop_assert!(size <= said, "{size} bytes, and {said} are said");
        // Nor is it said to be many times as large.
        prop_assert!(size * 4 > said, "{size} bytes, and {said} are said");
    }

    #[test]
    fn no_item_of_folds_is_larger_than_said(texts in proptest::collection::vec("[a-zé]{0,256}", 0..40)) {
        let mut value = Bytes::identity();
        for text in texts {
            let one = Bytes {
                count: Count::one(),
                slowest: Max::of(u64::MAX),
                pages: Set::of(text.clone()),
                top: TopK::of(text.as_str()),
            };
            if one.refusal().is_none() {
                value.combine(one);
            }
        }
        let (id, mut item) = item(1, 1);
        item.values.push((Slot(0), envelope::seal(&value).into()));
        let size = size(&encode_item(&id, &item, None));
        let said = ItemSize::of::<Bytes>(&Window::AllTime).largest;
        prop_assert!(size <= said, "{size} bytes, and {said} are said");
    }
}

#[test]
fn a_number_of_any_field_is_within_what_is_said() {
    let (id, empty) = item(1, PARTITIONS);
    let column = Column { field: u32::MAX, part: u8::MAX };
    let number = Number::Float { sum: f64::MIN, rest: -f64::MIN_POSITIVE };
    let full = Item { numbers: vec![((Slot(u16::MAX), column), number)], ..empty };
    assert!(size(&encode_item(&id, &full, Some(u64::MAX))) <= ItemSize::of::<Count>(&Window::AllTime).largest);
}
