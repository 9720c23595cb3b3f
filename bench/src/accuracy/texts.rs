//! What is said of single elements.

use std::cmp::Reverse;
use std::collections::HashSet;
use std::fmt::Write as _;

use murmur::aggregate::Probe;
use murmur::prelude::*;
use murmur::{Error, ErrorKind, Result};

use super::SEED;
use super::table::{Row, Table};
use crate::draws::{Shape, counts, order};

/// How many different elements there could be.
const ELEMENTS: u32 = 100_000;

fn row(data: impl ToString, elements: u64, what: impl ToString) -> Row {
    Row { data: data.to_string(), elements, what: what.to_string(), ..Row::default() }
}

pub(super) fn top(lengths: &[u64]) -> Result<Table> {
    let mut rows = Vec::new();
    for shape in Shape::ALL {
        for &length in lengths {
            let order = order(shape, length, ELEMENTS, SEED);
            let counts = counts(&order, ELEMENTS);
            let (mut value, mut name) = (TopK::<10>::identity(), String::new());
            for element in &order {
                name.clear();
                // Writing into a `String` does not fail.
                let _ = write!(name, "{element}");
                value.combine(TopK::of(name.as_str()));
            }
            let reply = value.reply(&Question::default())?;
            let mut ranked: Vec<u32> = (0..ELEMENTS).collect();
            ranked.sort_by_key(|element| Reverse(counts[*element as usize]));
            let best: HashSet<String> = ranked[..10].iter().map(u32::to_string).collect();
            let found = reply.items.iter().filter(|item| best.contains(&item.item)).count();
            for (place, item) in reply.items.iter().enumerate().filter(|(place, _)| [0, 9].contains(place)) {
                let truth = item.item.parse::<usize>().map_or(0, |element| counts[element]) as f64;
                let of_total = |distance: f64| 100.0 * distance / length as f64;
                rows.push(Row {
                    truth,
                    estimate: item.count as f64,
                    lower: item.lower as f64,
                    upper: item.upper as f64,
                    error: of_total((item.count as f64 - truth).abs()),
                    bound: of_total(reply.maximum_error as f64),
                    ..row(shape, length, format_args!("place {}; {found} of the true 10 listed", place + 1))
                });
            }
        }
    }
    Ok(Table {
        title: "`TopK<10>`",
        text: "The first and the last of ten items, of 100,000 that there could be. Percent of the length of the stream; the bounds hold always. Of items that are equally frequent none is a top item, and the bounds say that: which ones are listed is chance there.",
        always: true,
        rows,
    })
}

pub(super) fn frequency(lengths: &[u64]) -> Result<Table> {
    let mut rows = Vec::new();
    for shape in Shape::ALL {
        for &length in lengths {
            let order = order(shape, length, ELEMENTS, SEED);
            let counts = counts(&order, ELEMENTS);
            let mut value = Frequency::identity();
            order.iter().for_each(|element| value.combine(Frequency::of(*element)));
            let asked = [0, 9, 99];
            let elements = asked.iter().map(|element| Probe::Integer(*element)).collect();
            let reply = value.reply(&Question { elements, ..Question::default() })?;
            for (element, told) in asked.iter().zip(&reply.frequencies) {
                let truth = counts[*element as usize] as f64;
                let of_total = |distance: f64| 100.0 * distance / length as f64;
                rows.push(Row {
                    truth,
                    estimate: told.count as f64,
                    lower: told.lower as f64,
                    upper: told.upper as f64,
                    error: of_total((told.count as f64 - truth).abs()),
                    bound: of_total(reply.maximum_error as f64),
                    ..row(shape, length, format_args!("element {}", element + 1))
                });
            }
        }
    }
    Ok(Table {
        title: "`Frequency`",
        text: "How often the first, the tenth and the hundredth of 100,000 elements occurred. Percent of the length of the stream; a count is never too low, and with 99.3 % not too high by more than the bound.",
        always: false,
        rows,
    })
}

pub(super) fn membership(lengths: &[u64]) -> Result<Table> {
    const FOR: u32 = 10_000;
    const ABSENT: u32 = 100_000;
    let mut rows = Vec::new();
    for shape in Shape::ALL {
        for &length in lengths {
            let order = order(shape, length, FOR, SEED);
            let mut value = Membership::<FOR>::identity();
            order.iter().for_each(|element| value.combine(Membership::of(*element)));
            if order.iter().any(|element| !value.contains(element)) {
                return Err(Error::new(ErrorKind::Internal, "an element that was counted is said not to be there"));
            }
            let alarms = (FOR..FOR + ABSENT).filter(|element| value.contains(element)).count() as f64;
            let told = value.reply(&Question::default())?.false_positive_rate * f64::from(ABSENT);
            // Alarms are independent of each other: a binomial distribution.
            let deviation = (told * (1.0 - told / f64::from(ABSENT))).sqrt();
            let of_absent = |distance: f64| 100.0 * distance / f64::from(ABSENT);
            rows.push(Row {
                truth: alarms,
                estimate: told,
                lower: (told - 3.0 * deviation).max(0.0),
                upper: told + 3.0 * deviation,
                error: of_absent((told - alarms).abs()),
                bound: of_absent(3.0 * deviation),
                ..row(shape, length, "false alarms")
            });
        }
    }
    Ok(Table {
        title: "`Membership<10_000>`",
        text: "Streams over 10,000 elements. `true` are the false alarms among 100,000 elements that never came, `estimate` what the reply's `false_positive_rate` says, `lower` and `upper` three standard deviations of that many chances. Percent of the 100,000. That no element that came is missing is checked for each row.",
        always: false,
        rows,
    })
}
