//! Numbers of different elements.

use murmur::Result;
use murmur::prelude::*;
use murmur::wire::types::Estimate;

use super::SEED;
use super::table::{Row, Table};
use crate::draws::{Shape, counts, order};

fn row(data: impl ToString, elements: u64, what: &str, truth: u64, estimate: &Estimate) -> Row {
    let Estimate { value, lower, upper } = *estimate;
    let row = Row { data: data.to_string(), elements, what: what.into(), truth: truth as f64, ..Row::default() };
    Row { estimate: value, lower, upper, ..row }.relative()
}

fn streams<A: Monoid<Reply = Estimate>>(lengths: &[u64], of: fn(u32) -> A) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for shape in Shape::ALL {
        for &length in lengths {
            // As many elements as draws: about 63 % of them come, by Zipf's law fewer.
            let order = order(shape, length, length as u32, SEED);
            let mut value = A::identity();
            order.iter().for_each(|element| value.combine(of(*element)));
            let truth = counts(&order, length as u32).iter().filter(|count| **count > 0).count() as u64;
            rows.push(row(shape, length, "different", truth, &value.reply(&Question::default())?));
        }
    }
    Ok(rows)
}

pub(super) fn distinct(lengths: &[u64]) -> Result<Table> {
    Ok(Table {
        title: "`Distinct`",
        text: "How many different elements; as many could come as the stream is long. Percent of the true value; the bounds are two standard deviations (95 %).",
        always: false,
        rows: streams(lengths, Distinct::of)?,
    })
}

pub(super) fn distinct_set(lengths: &[u64]) -> Result<Table> {
    Ok(Table {
        title: "`DistinctSet`",
        text: "The same streams. Exact up to 4,096 different elements.",
        always: false,
        rows: streams(lengths, DistinctSet::of)?,
    })
}

/// Two sets with a known overlap, over all of which the distribution is the same.
pub(super) fn algebra(lengths: &[u64]) -> Result<Table> {
    let mut rows = Vec::new();
    for &length in lengths {
        let set = |from: u64, to: u64| {
            let mut set = DistinctSet::identity();
            (from..to).for_each(|element| set.combine(DistinctSet::of(element)));
            set
        };
        let (most, tenth) = (length * 6 / 10, length / 10);
        let (a, b, c) = (set(0, most), set(length - most, length), set(length - tenth / 10, length));
        let question = Question::default();
        rows.push(row("a, b", length, "union", length, &a.union(&b).reply(&question)?));
        rows.push(row("a, b", length, "intersection", 2 * most - length, &a.intersection(&b).reply(&question)?));
        rows.push(row("a, b", length, "difference", length - most, &a.difference(&b).reply(&question)?));
        rows.push(row("b, c", length, "intersection", tenth / 10, &b.intersection(&c).reply(&question)?));
    }
    Ok(Table {
        title: "`DistinctSet`: set algebra",
        text: "Of all elements `a` has the first 60 %, `b` the last 60 % and `c` the last 1 %, each once. An intersection that is small beside the sets it is made of is known less well than they are, and its bounds say so.",
        always: false,
        rows,
    })
}
