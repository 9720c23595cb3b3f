//! The rows that a request writes.

use super::format;
use crate::store::TileId;

/// The rows of some tiles, one behind the other: one piece of memory, however many there are.
#[derive(Debug, Default)]
pub(super) struct Rows {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Rows {
    /// Of these tiles, in their order.
    pub(super) fn of<'a>(ids: impl ExactSizeIterator<Item = &'a TileId>) -> Self {
        let mut rows = Self { bytes: Vec::new(), ends: Vec::with_capacity(ids.len()) };
        for id in ids {
            format::push_row(id, &mut rows.bytes);
            rows.ends.push(rows.bytes.len());
        }
        rows
    }

    pub(super) fn get(&self, at: usize) -> &[u8] {
        let start = if at == 0 { 0 } else { self.ends[at - 1] };
        &self.bytes[start..self.ends[at]]
    }

    fn iter(&self) -> impl Iterator<Item = &[u8]> {
        (0..self.ends.len()).map(|at| self.get(at))
    }

    /// Their places in the order of the rows: so each page of the tree is met once. Equal rows stay in their order.
    ///
    /// Nearly every comparison is one of two numbers that lie beside each other: the 16 bytes behind what all rows begin
    /// with. Looking at the rows themselves would miss the cache twice each time.
    pub(super) fn order(&self) -> impl Iterator<Item = usize> {
        let common = self.iter().map(|row| common(row, self.get(0))).min().unwrap_or(0);
        let mut order: Vec<(u128, usize)> =
            self.iter().map(|row| number(&row[common..])).enumerate().map(|(at, number)| (number, at)).collect();
        order.sort_unstable_by(|(a, at_a), (b, at_b)| {
            a.cmp(b).then_with(|| self.get(*at_a).cmp(self.get(*at_b))).then(at_a.cmp(at_b))
        });
        order.into_iter().map(|(_, at)| at)
    }
}

/// How many bytes two rows have in common at their beginning.
fn common(a: &[u8], b: &[u8]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}

/// The first 16 bytes, as a number that compares as they do; what is missing counts as zero.
fn number(bytes: &[u8]) -> u128 {
    let mut first = [0; 16];
    let length = bytes.len().min(first.len());
    first[..length].copy_from_slice(&bytes[..length]);
    u128::from_be_bytes(first)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_order_is_that_of_the_rows(rows in prop::collection::vec("x[ab\0]{0,3}([ab\0]{20})?", 0..40)) {
            let mut all = Rows::default();
            for row in &rows {
                all.bytes.extend_from_slice(row.as_bytes());
                all.ends.push(all.bytes.len());
            }
            let mut expected: Vec<usize> = (0..rows.len()).collect();
            expected.sort_by_key(|at| rows[*at].as_bytes());
            prop_assert_eq!(all.order().collect::<Vec<_>>(), expected);
        }
    }
}
