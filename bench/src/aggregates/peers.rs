//! The sketches of the crate `datasketches`, updated in place with the same elements: one sketch, and nothing of what a
//! worker needs around it.

use datasketches::bloom::BloomFilterBuilder;
use datasketches::common::NumStdDev;
use datasketches::countmin::CountMinSketch;
use datasketches::frequencies::FrequentItemsSketch;
use datasketches::hash::value::raw_bytes::from_str;
use datasketches::hll::{HllSketch, HllType};
use datasketches::kll::{KllFloat, KllSketch};
use datasketches::theta::ThetaSketchBuilder;

use crate::draws::Draws;
use crate::resources::{Meter, Used};

/// What a peer used for all updates, and whether it came out right.
type Ran = (Used, bool);

/// The peer of the aggregate of this name; `None` where there is none.
pub(super) fn run(name: &str, draws: &Draws) -> Result<Option<Ran>, String> {
    let failed = |error: datasketches::error::Error| error.to_string();
    let (names, events) = (&draws.names, draws.events());
    let ran = match name {
        "distinct" => {
            let sketch = || HllSketch::new(12, HllType::Hll8);
            updated(
                draws,
                sketch,
                |sketch, at| sketch.update(from_str(&names[at])),
                |sketch| {
                    let width = sketch.upper_bound(NumStdDev::Two) - sketch.lower_bound(NumStdDev::Two);
                    (sketch.estimate() - draws.distinct() as f64).abs() <= 1.5 * width
                },
            )
        }
        "distinct-set" => {
            let sketch = || ThetaSketchBuilder::default().lg_k(12).build();
            updated(
                draws,
                sketch,
                |sketch, at| sketch.update(from_str(&names[at])),
                |sketch| {
                    let width = sketch.upper_bound(NumStdDev::Two) - sketch.lower_bound(NumStdDev::Two);
                    (sketch.estimate() - draws.distinct() as f64).abs() <= 1.5 * width
                },
            )
        }
        "top-k" => {
            let sketch = || FrequentItemsSketch::<String>::new(128);
            updated(
                draws,
                sketch,
                |sketch, at| sketch.update_ref(names[at].as_str()),
                |sketch| sketch.total_weight() == events && sketch.upper_bound(names[0].as_str()) >= draws.counts[0],
            )
        }
        "quantiles" => {
            let sketch = || KllSketch::<KllFloat<f64>>::new(200);
            let numbers: Result<Vec<_>, _> = (0..names.len()).map(|n| KllFloat::<f64>::new(n as f64)).collect();
            let numbers = numbers.map_err(failed)?;
            updated(draws, sketch, |sketch, at| sketch.update(numbers[at]), |sketch| sketch.n() == events)
        }
        "frequency" => {
            let sketch = || CountMinSketch::<u64>::new(5, 272);
            updated(
                draws,
                sketch,
                |sketch, at| sketch.update(from_str(&names[at])),
                |sketch| sketch.total_weight() == events && sketch.upper_bound(from_str(&names[0])) >= draws.counts[0],
            )
        }
        "membership" => {
            let filter = || BloomFilterBuilder::with_accuracy(10_000, 0.01).build();
            updated(
                draws,
                filter,
                |filter, at| filter.insert(from_str(&names[at])),
                |filter| draws.order.iter().take(100).all(|at| filter.contains(&from_str(&names[*at as usize]))),
            )
        }
        _ => return Ok(None),
    };
    ran.map(Some)
}

fn updated<S>(
    draws: &Draws,
    empty: impl Fn() -> Result<S, datasketches::error::Error>,
    update: impl Fn(&mut S, usize),
    right: impl Fn(&S) -> bool,
) -> Result<Ran, String> {
    super::best(|| {
        let mut sketch = empty().map_err(|error| error.to_string())?;
        let meter = Meter::start();
        for element in &draws.order {
            update(&mut sketch, *element as usize);
        }
        let sketch = std::hint::black_box(sketch);
        let used = meter.used();
        Ok((used, right(&sketch)))
    })
}
