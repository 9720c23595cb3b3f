//! The distribution of numbers: the KLL sketch, in the format of Apache DataSketches.

use super::{DecodeError, Form, Monoid, Question, Term};
use crate::wire::types::{self, QuantilePoint, RankPoint};
use crate::{Error, ErrorKind};

mod image;
mod sketch;
#[cfg(test)]
pub(super) mod tests;

use sketch::{RANK_ERROR, Sketch, View};

/// The quantiles that are told when a request asks for none.
const UNASKED: [f64; 4] = [0.5, 0.9, 0.95, 0.99];

/// Quantiles and ranks of numbers, with bounds.
///
/// A KLL sketch ([Karnin, Lang and Liberty 2016](https://arxiv.org/abs/1603.05346)) with k 200: up to 200 numbers every
/// answer is exact. Beyond, a rank is off by at most 1.33 % of all numbers with 99 % confidence, which is what
/// DataSketches measured for it (`2.296 / k^0.9723`); the smallest and the largest number are always exact. NaN is
/// refused; integers over 53 bits are rounded. What is stored is a sketch of doubles of Apache DataSketches, which Spark
/// (`kll_sketch_agg_double`) reads and writes; a sketch takes 8 KiB at most.
///
/// Unlike in the DataSketches, no random number decides which half of a compacted level is kept, but a hash of what is
/// compacted: the same numbers in the same order give the same bytes, also when the sketch was stored and loaded again in
/// between. Up to 200 numbers the bytes depend on no order at all.
#[derive(Clone, Debug)]
pub struct Quantiles(State);

#[derive(Clone, Debug)]
enum State {
    None,
    /// One number, without allocation.
    One(f64),
    Many(Box<Sketch>),
}

impl Quantiles {
    /// The number of one event; nothing when it is `None`.
    pub fn of(number: impl Term) -> Self {
        Self(number.term().map_or(State::None, |number| State::One(number.rounded())))
    }
}

impl State {
    /// As a sketch, to add to.
    fn sketch(&mut self) -> &mut Sketch {
        if !matches!(self, Self::Many(_)) {
            let mut sketch = Box::<Sketch>::default();
            if let Self::One(number) = self {
                sketch.insert(*number);
            }
            *self = Self::Many(sketch);
        }
        match self {
            Self::Many(sketch) => sketch,
            Self::None | Self::One(_) => unreachable!("made above"),
        }
    }
}

impl Monoid for Quantiles {
    const FORM: Form = Form::Put;
    const MAX_BYTES: usize = image::MAX_BYTES;
    /// In another order, other answers within the bounds.
    const COMMUTATIVE: bool = true;
    type Reply = types::Quantiles;

    fn identity() -> Self {
        Self(State::None)
    }

    fn combine(&mut self, later: Self) {
        match (&mut self.0, later.0) {
            (_, State::None) => {}
            (present @ State::None, later) => *present = later,
            (present, State::One(number)) => present.sketch().insert(number),
            (present, State::Many(later)) => present.sketch().merge(*later),
        }
    }

    fn refusal(&self) -> Option<String> {
        matches!(self.0, State::One(number) if number.is_nan()).then(|| "a NaN has no place in an order".to_owned())
    }

    fn encode(&self, out: &mut Vec<u8>) {
        image::write(self.clone().0.sketch(), out);
    }

    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let sketch = image::read(bytes).map_err(|why| DecodeError(format!("not a sketch of `Quantiles`: {why}")))?;
        Ok(Self(if sketch.is_empty() { State::None } else { State::Many(Box::new(sketch)) }))
    }

    fn kept(field: u32, visit: &mut dyn FnMut(u32, Option<String>)) {
        visit(field, Some(format!("Quantiles<k {}>", sketch::K)));
    }

    fn reply(&self, question: &Question) -> Result<types::Quantiles, Error> {
        let mut state = self.clone();
        let sketch = state.0.sketch();
        let view = match View::of(sketch) {
            Some(view) => view,
            None if sketch.is_empty() => return Ok(types::Quantiles::default()),
            None => return Err(Error::new(ErrorKind::Overflow, "the numbers counted exceed 2^56")),
        };
        let error = if sketch.is_exact() { 0.0 } else { RANK_ERROR };
        let shares = if question.quantiles.is_empty() { &UNASKED[..] } else { &question.quantiles };
        let quantile = |&quantile: &f64| QuantilePoint {
            quantile,
            value: view.quantile(quantile),
            lower: view.quantile(quantile - error),
            upper: view.quantile(quantile + error),
        };
        let rank = |&value: &f64| {
            let rank = view.rank(value);
            // Outside of what there was nothing is estimated.
            let known = rank == 0.0 && value < view.min || value >= view.max;
            let error = if known { 0.0 } else { error };
            RankPoint { value, rank, lower: (rank - error).max(0.0), upper: (rank + error).min(1.0) }
        };
        Ok(types::Quantiles {
            count: sketch.count(),
            min: Some(view.min),
            max: Some(view.max),
            rank_error: error,
            quantiles: shares.iter().map(quantile).collect(),
            ranks: question.ranks.iter().map(rank).collect(),
        })
    }
}
