//! What is said of numbers.

use murmur::Result;
use murmur::prelude::*;

use super::SEED;
use super::table::{Row, Table};
use crate::draws::{Shape, order};

/// How many different numbers there could be.
const ELEMENTS: u32 = 1_000_000;

pub(super) fn quantiles(lengths: &[u64]) -> Result<Table> {
    let mut rows = Vec::new();
    for shape in Shape::ALL {
        for &length in lengths {
            let mut numbers = order(shape, length, ELEMENTS, SEED);
            let mut value = Quantiles::identity();
            numbers.iter().for_each(|number| value.combine(Quantiles::of(*number)));
            let quantiles = vec![0.01, 0.5, 0.99];
            let reply = value.reply(&Question { quantiles, ..Question::default() })?;
            numbers.sort_unstable();
            for point in &reply.quantiles {
                let at = (point.quantile * length as f64).ceil() as usize;
                let share = |count: usize| count as f64 / length as f64;
                let below = share(numbers.partition_point(|number| f64::from(*number) < point.value));
                let upto = share(numbers.partition_point(|number| f64::from(*number) <= point.value));
                // Where many numbers are equal, all ranks from `below` to `upto` are that of the estimate.
                let error = (below - point.quantile).max(point.quantile - upto).max(0.0);
                rows.push(Row {
                    data: shape.to_string(),
                    elements: length,
                    what: format!("quantile {}", point.quantile),
                    truth: f64::from(numbers[at - 1]),
                    estimate: point.value,
                    lower: point.lower,
                    upper: point.upper,
                    error: 100.0 * error,
                    bound: 100.0 * reply.rank_error,
                });
            }
        }
    }
    Ok(Table {
        title: "`Quantiles`",
        text: "Three quantiles of numbers from 0 to 999,999; by Zipf's law small ones are the more frequent. `error` is that of the rank: percent of the length of the stream between the rank that was asked about and the true rank of the answer. The bounds hold with 99 %.",
        always: false,
        rows,
    })
}

/// A row of what is exact but for the rounding of the answer.
fn exact(data: &str, elements: u64, what: &str, truth: f64, estimate: f64) -> Row {
    // A few steps of `f64`: the reference is rounded as well.
    let width = truth.abs() * 1e-14;
    Row {
        data: data.into(),
        elements,
        what: what.into(),
        truth,
        estimate,
        lower: truth - width,
        upper: truth + width,
        ..Row::default()
    }
}

pub(super) fn decayed(lengths: &[u64]) -> Result<Table> {
    const HALF_LIFE: u32 = 3_600;
    /// Seconds in which the events of a stream lie: ten half-lives.
    const SECONDS: u64 = 36_000;
    let mut rows = Vec::new();
    for shape in Shape::ALL {
        for &length in lengths {
            let amounts = order(shape, length, 1_000, SEED);
            let times = order(Shape::Uniform, length, SECONDS as u32, SEED + 1);
            let mut value = Decayed::<HALF_LIFE>::identity();
            let mut seconds = vec![0u64; SECONDS as usize];
            for (amount, second) in amounts.iter().zip(&times) {
                value.combine(Decayed::of(f64::from(*amount), Timestamp::from_micros(i64::from(*second) * 1_000_000)));
                seconds[*second as usize] += u64::from(*amount);
            }
            let as_of = Timestamp::from_micros(SECONDS as i64 * 1_000_000);
            let told = value.reply(&Question::at(as_of))?.value;
            // Whole numbers are added exactly; then one product a second, the small ones first.
            let truth = seconds.iter().enumerate().fold(0.0, |sum: f64, (second, amount)| {
                let age = (SECONDS - second as u64) as f64 / f64::from(HALF_LIFE);
                sum + *amount as f64 * (-age).exp2()
            });
            let row = exact(&shape.to_string(), length, "score", truth, told);
            // The reference adds 36,000 rounded products.
            let width = truth * 1e-12;
            rows.push(Row { lower: truth - width, upper: truth + width, ..row }.settled());
        }
    }
    Ok(Table {
        title: "`Decayed<3600>`",
        text: "Amounts from 0 to 999 at any second of ten hours, in any order, as of the end. Exact but for rounding: `lower` and `upper` are 10^-12 of the true value apart from it, which is what the plain sum that it is compared with is good for.",
        always: true,
        rows,
    })
}

pub(super) fn moments(lengths: &[u64]) -> Result<Table> {
    let mut rows = Vec::new();
    for shape in Shape::ALL {
        for &length in lengths {
            // Far from zero beside their spread: here the sums of squares in plain `f64` leave no digit of the variance.
            let numbers = order(shape, length, 1_000, SEED);
            let mut value = Moments::identity();
            let (mut sum, mut squares) = (0i128, 0i128);
            for number in &numbers {
                let number = 1_000_000_000 + i64::from(*number);
                value.combine(Moments::of(number));
                sum += i128::from(number);
                squares += i128::from(number) * i128::from(number);
            }
            let reply = value.reply(&Question::default())?;
            let n = i128::from(length);
            let mean = sum as f64 / length as f64;
            let variance = (n * squares - sum * sum) as f64 / (n * (n - 1)) as f64;
            let data = shape.to_string();
            rows.push(exact(&data, length, "mean", mean, reply.mean.unwrap_or(f64::NAN)).settled());
            rows.push(exact(&data, length, "variance", variance, reply.variance.unwrap_or(f64::NAN)).settled());
        }
    }
    Ok(Table {
        title: "`Moments`",
        text: "Mean and variance of whole numbers from 1,000,000,000 to 1,000,000,999, beside those from sums of 128 bits. Exact but for the rounding of the answer: `lower` and `upper` are 10^-14 of the true value apart from it.",
        always: true,
        rows,
    })
}

impl Row {
    /// The estimate has to be between the bounds, which stand around the true value here.
    fn settled(self) -> Self {
        let (estimate, truth) = (self.estimate, self.truth);
        // Told by the same test as all others: the width moved onto the estimate.
        let (lower, upper) = (estimate - (truth - self.lower), estimate + (self.upper - truth));
        Self { lower, upper, ..self }.relative()
    }
}
