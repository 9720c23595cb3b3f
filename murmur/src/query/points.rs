//! The steps of a series.

use std::sync::Arc;

use super::{Limits, Plan};
use crate::time::{CalendarUnits, Level, Span, Tiling, TimeRange, Timestamp};
use crate::{Error, ErrorKind, Result};

/// How long each step of a series is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Every {
    /// One slot.
    Slot,
    /// A multiple of the slot, counted from where the series begins.
    Span(Span),
    /// Calendar units, counted from the one that the series begins in. Each must begin at the edge of a slot: a step
    /// has two neighbours, so it cannot be moved outwards as the sides of a whole interval are.
    Calendar(CalendarUnits),
}

/// The steps of a series, each a whole number of slots.
#[derive(Debug, Clone)]
pub(super) enum Points {
    /// Of one length.
    Even {
        /// Where the first one would start if retention had not cut it.
        first: Timestamp,
        step: Span,
        cut: TimeRange,
        count: u64,
    },
    /// Between two neighbours of this list each; empty, or two at least.
    Between(Arc<[Timestamp]>),
}

impl Points {
    /// The steps of a plan, counted from where the request began.
    pub(super) fn new(plan: &Plan, tiling: &Tiling, every: Every, limits: &Limits) -> Result<Self> {
        let Some(slot) = tiling.slot_length() else {
            return Err(refused("start", "this pipeline keeps one value over all time and no series; use `Get`"));
        };
        let points = match every {
            Every::Slot => Self::even(plan, slot, slot)?,
            Every::Span(step) => Self::even(plan, slot, step)?,
            Every::Calendar(units) => Self::between(plan, tiling, units, limits)?,
        };
        limits.check_points(points.count())?;
        Ok(points)
    }

    fn even(plan: &Plan, slot: Span, step: Span) -> Result<Self> {
        if step.is_zero() || step.as_micros() % slot.as_micros() != 0 {
            return Err(refused("step", format!("`step` {step} is not a multiple of the slot, {slot}")));
        }
        let cut = plan.cut;
        if plan.finest.is_none() {
            return Ok(Self::Even { first: cut.start, step, cut, count: 0 });
        }
        let skipped = cut.start.since(plan.origin).as_micros() / step.as_micros();
        let first = Timestamp::from_micros(plan.origin.as_micros() + skipped * step.as_micros());
        let count = (cut.end.since(first).as_micros() as u64).div_ceil(step.as_micros() as u64);
        Ok(Self::Even { first, step, cut, count })
    }

    fn between(plan: &Plan, tiling: &Tiling, units: CalendarUnits, limits: &Limits) -> Result<Self> {
        if plan.finest.is_none() {
            return Ok(Self::Between(Arc::default()));
        }
        let mut edges = vec![plan.cut.start];
        let inner = units.edges(plan.origin).skip_while(|edge| *edge <= plan.cut.start);
        // One more than the limit is enough to be refused by it.
        for edge in inner.take_while(|edge| *edge < plan.cut.end).take(limits.items + 1) {
            if tiling.floor_slot(edge) != edge {
                let slot = tiling.slot_length().unwrap_or_default();
                let why = format!(
                    "`calendar_step`: a {} of {} begins at {edge}, within a slot of {slot}; ask for each with `calendar` \
                     of `GetWindow`, which says how far it was moved, or keep slots that end there",
                    units.unit.name(),
                    units.zone,
                );
                return Err(refused("calendar_step", why));
            }
            // A unit that was left out begins where the next one does, and is no step.
            if edges.last() != Some(&edge) {
                edges.push(edge);
            }
        }
        edges.push(plan.cut.end);
        Ok(Self::Between(edges.into()))
    }

    /// How many.
    pub(super) fn count(&self) -> u64 {
        match self {
            Self::Even { count, .. } => *count,
            Self::Between(edges) => edges.len().saturating_sub(1) as u64,
        }
    }

    /// The step that this instant lies in.
    pub(super) fn index(&self, at: Timestamp) -> usize {
        match self {
            Self::Even { first, step, .. } => (at.since(*first).as_micros() / step.as_micros()) as usize,
            Self::Between(edges) => edges.partition_point(|edge| *edge <= at).saturating_sub(1),
        }
    }

    /// Whether no slot of this level lies in two steps.
    pub(super) fn fit(&self, tiling: &Tiling, level: Level) -> bool {
        let is_edge = |at: Timestamp| tiling.floor_unit(level, at) == at;
        match self {
            Self::Even { first, step, .. } => {
                let unit = tiling.unit_length(level).map_or(0, |unit| unit.as_micros());
                unit > 0 && step.as_micros() % unit == 0 && is_edge(*first)
            }
            Self::Between(edges) => edges.iter().all(|edge| is_edge(*edge)),
        }
    }

    /// The interval of each.
    pub(super) fn ranges(&self) -> impl Iterator<Item = TimeRange> {
        (0..self.count()).map(|n| match self {
            Self::Even { first, step, cut, .. } => {
                let at = |n: u64| first.as_micros().saturating_add((n as i64).saturating_mul(step.as_micros()));
                let at = |n: u64| Timestamp::from_micros(at(n));
                TimeRange::new(at(n).max(cut.start), at(n + 1).min(cut.end))
            }
            Self::Between(edges) => TimeRange::new(edges[n as usize], edges[n as usize + 1]),
        })
    }
}

fn refused(field: &'static str, why: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidArgument, why).of_field(field)
}
