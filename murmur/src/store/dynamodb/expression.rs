//! The one conditional update of Form A, and that of a roll, as DynamoDB's expressions.

use std::collections::HashMap;
use std::fmt::Write as _;

use aws_sdk_dynamodb::types::AttributeValue;
use bytes::Bytes;

use super::format::{self, Attributes};
use super::{number, size};
use crate::aggregate::{Column, Number};
use crate::source::{Offset, PartitionId};
use crate::store::Applied;
use crate::time::{Slot, Timestamp};

/// Longest expression that DynamoDB takes.
const MOST_BYTES: usize = 4096;
/// DynamoDB takes 300 operators and functions in an expression; each partition has four of them.
const MOST_PARTITIONS: usize = 70;
/// Deltas up to this one are added without looking. See [`BLIND_WRITES`].
const BLIND_DELTA: i128 = 10i128.pow(26);
/// Above this no number may be when the count of writes is below [`BLIND_WRITES`].
const HIGH: i128 = 10i128.pow(37);
/// As long as fewer writes than this were counted, no number of the item can leave its range by one more blind delta:
/// it was at most [`HIGH`] when it was last looked at or set, and 10^11 times 10^26 was added since, which is 2 * 10^37
/// of the 10^38 that fit. An item with a number above [`HIGH`] is given a count beyond this one.
const BLIND_WRITES: u64 = 100_000_000_000;

/// `ADD`, `SET` and their condition.
#[derive(Debug, Default)]
pub(super) struct Expression {
    pub(super) update: String,
    pub(super) condition: String,
    pub(super) names: HashMap<String, String>,
    pub(super) values: Attributes,
}

impl Expression {
    /// The addition of these numbers; `None` when DynamoDB cannot carry it out by itself: floats, whose sums it would
    /// round, deltas that might overflow, more than fits into an expression.
    pub(super) fn add(
        numbers: &[((Slot, Column), Number)],
        applied: &[Applied],
        expires: Option<Timestamp>,
    ) -> Option<Self> {
        if applied.len() > MOST_PARTITIONS {
            return None;
        }
        let mut out = Self::default();
        out.update.push_str("ADD v :v");
        out.values.insert(":v".to_owned(), AttributeValue::N("1".to_owned()));
        for (at, ((slot, column), number)) in numbers.iter().enumerate() {
            let Number::Int(delta) = number else { return None };
            if delta.unsigned_abs() > BLIND_DELTA.unsigned_abs() {
                return None;
            }
            out.update.push_str(", ");
            format::push_number_name(&mut out.update, *slot, *column);
            // Writing to a string cannot fail.
            let _ = write!(out.update, " :a{at}");
            out.values.insert(format!(":a{at}"), AttributeValue::N(delta.to_string()));
        }
        let _ = write!(out.condition, "(attribute_not_exists(v) OR v < :w)");
        out.values.insert(":w".to_owned(), AttributeValue::N(BLIND_WRITES.to_string()));
        for (at, Applied { partition, first, last }) in applied.iter().enumerate() {
            let _ = write!(out.condition, " AND (attribute_not_exists(#{at}) OR #{at} < :f{at})");
            let _ = write!(out.update, "{} #{at} = :l{at}", if at == 0 { " SET" } else { "," });
            out.names.insert(format!("#{at}"), format::offset_name(partition));
            out.offset(format!(":f{at}"), *first);
            out.offset(format!(":l{at}"), *last);
        }
        if let Some(at) = expires {
            out.update.push_str(", ");
            out.expire(at);
        }
        out.if_it_fits()
    }

    /// The roll of these slots, without a condition; `None` when DynamoDB cannot carry it out by itself: more than fits
    /// into an expression, numbers that are not to be added to without looking.
    pub(super) fn roll(
        slots: &[Slot],
        numbers: &[((Slot, Column), Number)],
        values: &[(Slot, Bytes)],
        expires: Option<Timestamp>,
    ) -> Option<Self> {
        if numbers.iter().any(|(_, number)| is_high(*number)) {
            return None;
        }
        let mut out = Self::default();
        // The count is for whoever looks and puts meanwhile: they are to notice. Writing to a string cannot fail.
        let _ = write!(out.update, "ADD v :v, {} :r", format::ROLLED);
        out.values.insert(":v".to_owned(), AttributeValue::N("1".to_owned()));
        out.values.insert(":r".to_owned(), format::encode_slots(slots));
        let mut separator = " SET ";
        for (at, ((slot, column), number)) in numbers.iter().enumerate() {
            out.update.push_str(std::mem::replace(&mut separator, ", "));
            format::push_number_name(&mut out.update, *slot, *column);
            let _ = write!(out.update, " = :a{at}");
            out.values.insert(format!(":a{at}"), number::encode_number(*number));
        }
        for (at, (slot, value)) in values.iter().enumerate() {
            let name = format::value_name(*slot);
            let _ = write!(out.update, "{}{name} = :b{at}", std::mem::replace(&mut separator, ", "));
            out.values.insert(format!(":b{at}"), format::encode_value(value));
        }
        if let Some(at) = expires {
            out.update.push_str(separator);
            out.expire(at);
        }
        out.if_it_fits()
    }

    /// The last assignments: when the item expires.
    fn expire(&mut self, at: Timestamp) {
        let (seconds, earlier) = format::encode_expiry(at);
        self.values.insert(":x".to_owned(), seconds);
        self.update.push_str("x = :x");
        match earlier {
            Some(earlier) => {
                self.values.insert(":y".to_owned(), earlier);
                self.update.push_str(", y = :y");
            }
            None => self.update.push_str(" REMOVE y"),
        }
    }

    fn if_it_fits(self) -> Option<Self> {
        (self.update.len() <= MOST_BYTES && self.condition.len() <= MOST_BYTES).then_some(self)
    }

    /// The put of the fold of one partition.
    pub(super) fn put(partition: &PartitionId, last: Offset) -> Self {
        let mut out = Self { condition: "attribute_not_exists(#0) OR #0 < :l".to_owned(), ..Self::default() };
        out.names.insert("#0".to_owned(), format::offset_name(partition));
        out.offset(":l".to_owned(), last);
        out
    }

    /// That the item is still the one with this count of writes, or still absent.
    pub(super) fn unchanged(writes: Option<u64>) -> Self {
        let mut out = Self::default();
        match writes {
            None => out.condition.push_str("attribute_not_exists(pk)"),
            Some(writes) => {
                out.condition.push_str("v = :v");
                out.values.insert(":v".to_owned(), AttributeValue::N(writes.to_string()));
            }
        }
        out
    }

    fn offset(&mut self, name: String, offset: Offset) {
        self.values.insert(name, format::encode_offset(offset));
    }

    /// About how many bytes it is to send.
    pub(super) fn bytes(&self) -> usize {
        self.update.len() + self.condition.len() + size::size(&self.values) + 256
    }
}

/// Whether additions to this number need a look at it.
fn is_high(number: Number) -> bool {
    matches!(number, Number::Int(n) if n.unsigned_abs() > HIGH.unsigned_abs())
}

/// The count of writes after one that has looked at all numbers.
pub(super) fn next_count(before: Option<u64>, numbers: &[((Slot, Column), Number)]) -> u64 {
    let next = before.map_or(1, |writes| writes.saturating_add(1));
    if numbers.iter().any(|(_, number)| is_high(*number)) { next.max(BLIND_WRITES) } else { next }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(slot: u16) -> (Slot, Column) {
        (Slot(slot), Column { field: 1, part: 0 })
    }

    fn applied(count: usize) -> Vec<Applied> {
        let one = |n| Applied { partition: PartitionId::new(format!("p{n}")), first: Offset::ZERO, last: Offset::ZERO };
        (0..count).map(one).collect()
    }

    #[test]
    fn an_addition_reads_as_the_design_says() {
        let expression = Expression::add(&[(place(7), Number::Int(3))], &applied(1), Some(Timestamp::EPOCH)).unwrap();
        assert_eq!(expression.update, "ADD v :v, n1s7 :a0 SET #0 = :l0, x = :x REMOVE y");
        assert_eq!(
            expression.condition,
            "(attribute_not_exists(v) OR v < :w) AND (attribute_not_exists(#0) OR #0 < :f0)"
        );
    }

    #[test]
    fn what_dynamodb_cannot_add_by_itself_is_told() {
        let add = |number, partitions| Expression::add(&[(place(0), number)], &applied(partitions), None);
        assert!(add(Number::Int(BLIND_DELTA), 70).is_some());
        assert!(add(Number::Int(-BLIND_DELTA - 1), 1).is_none());
        assert!(add(Number::Int(1), 71).is_none());
        assert!(add(Number::Float { sum: 1.0, rest: 0.0 }, 1).is_none());
        let many: Vec<_> = (0..600).map(|slot| (place(slot), Number::Int(1))).collect();
        assert!(Expression::add(&many[..60], &applied(8), None).is_some());
        assert!(Expression::add(&many, &applied(1), None).is_none());
    }

    #[test]
    fn a_roll_reads_as_the_design_says() {
        let roll = |slots: &[u16], numbers: &[_], values: &[_], expires| {
            let slots: Vec<Slot> = slots.iter().copied().map(Slot).collect();
            Expression::roll(&slots, numbers, values, expires).map(|out| (out.update, out.condition, out.values))
        };
        let (update, condition, values) = roll(
            &[7, 3, 9],
            &[(place(7), Number::Int(5)), (place(3), Number::Float { sum: 0.5, rest: 0.0 })],
            &[(Slot(7), Bytes::from_static(b"fold"))],
            Some(Timestamp::EPOCH),
        )
        .unwrap();
        assert_eq!(update, "ADD v :v, r :r SET n1s7 = :a0, n1s3 = :a1, b7 = :b0, x = :x REMOVE y");
        assert_eq!(condition, "");
        assert_eq!(values[":r"], AttributeValue::Ns(vec!["7".into(), "3".into(), "9".into()]));
        assert_eq!(roll(&[7], &[], &[], None).unwrap().0, "ADD v :v, r :r");
        assert_eq!(roll(&[7], &[], &[], Some(Timestamp::EPOCH)).unwrap().0, "ADD v :v, r :r SET x = :x REMOVE y");
        assert!(roll(&[7], &[(place(7), Number::Int(HIGH))], &[], None).is_some());
        assert!(roll(&[7], &[(place(7), Number::Int(-HIGH - 1))], &[], None).is_none());
        let many: Vec<_> = (0..400).map(|slot| (place(slot), Number::Int(1))).collect();
        assert!(roll(&(0..400).collect::<Vec<_>>(), &many, &[], None).is_none());
    }

    #[test]
    fn a_number_near_the_end_of_its_range_is_never_added_to_blindly() {
        let numbers = |n| [(place(0), Number::Int(n))];
        assert_eq!(next_count(None, &numbers(5)), 1);
        assert_eq!(next_count(Some(7), &numbers(HIGH)), 8);
        assert_eq!(next_count(Some(7), &numbers(-HIGH - 1)), BLIND_WRITES);
        let most = HIGH + BLIND_DELTA * (BLIND_WRITES as i128 + 1);
        assert!(most <= Number::MAX_INT, "the proof of `BLIND_WRITES` holds");
    }
}
