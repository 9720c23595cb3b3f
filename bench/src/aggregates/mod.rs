//! What an update and a merge of each aggregate cost, on elements that are equally frequent and on elements by Zipf's
//! law: alone, beside the sketches of the crate `datasketches`, and inside the real worker. And what a whole pipeline of
//! five of them costs.

mod cases;
mod peers;
mod traffic;
mod worker;

use cases::Case;
#[cfg(feature = "services")]
pub(crate) use cases::is_near;
use murmur::aggregate::Monoid;
use serde_json::Map;

use crate::draws::{Draws, Shape};
use crate::measurement::Measurement;
use crate::resources::{Meter, Used};

const SEED: u64 = 11;
/// Of how many parts a merge makes one value.
const PARTS: usize = 64;
/// How often what is updated is run.
const RUNS: usize = 3;
/// The name of the whole pipeline among the aggregates.
const TRAFFIC: &str = "page-traffic";
/// CPU time in seconds that merges are repeated for, so that the clock can tell.
const LONG_ENOUGH: f64 = 0.05;

/// Lines of each aggregate and shape: `update`, `worker`, `merge`.
pub(crate) fn measure(
    events: Option<u64>,
    keys: Option<u64>,
    variant: Option<&str>,
    report: &mut dyn FnMut(Measurement),
) -> Result<(), String> {
    let elements = keys.unwrap_or(10_000).try_into().map_err(|_| "so many different elements are too many")?;
    let mut bench = Bench { variant, report, shape: Shape::Uniform, baseline: 0.0, found: false };
    for shape in Shape::ALL {
        let draws = Draws::new(shape, events.unwrap_or(2_000_000), elements, SEED);
        bench.shape = shape;
        // A worker that counts: what a worker costs without any sketch.
        bench.baseline = per_event(&best(|| worker::run::<cases::Counts>(&draws))?.0, &draws);
        bench.all(&draws)?;
    }
    match (bench.found, variant) {
        (false, Some(variant)) => {
            Err(format!("there is no aggregate `{variant}`; without `--variant` all are measured"))
        }
        _ => Ok(()),
    }
}

struct Bench<'a> {
    variant: Option<&'a str>,
    report: &'a mut dyn FnMut(Measurement),
    shape: Shape,
    /// Nanoseconds of an event in the worker that counts.
    baseline: f64,
    found: bool,
}

impl Bench<'_> {
    fn all(&mut self, draws: &Draws) -> Result<(), String> {
        self.each::<cases::Counts>(draws)?;
        self.each::<cases::Sums>(draws)?;
        self.each::<cases::Floats>(draws)?;
        self.each::<cases::Decimals>(draws)?;
        self.each::<cases::Averages>(draws)?;
        self.each::<cases::Spreads>(draws)?;
        self.each::<cases::Smallest>(draws)?;
        self.each::<cases::Largest>(draws)?;
        self.each::<cases::Firsts>(draws)?;
        self.each::<cases::Lasts>(draws)?;
        self.each::<cases::Newest>(draws)?;
        self.each::<cases::Names>(draws)?;
        self.each::<cases::Groups>(draws)?;
        self.each::<cases::Fading>(draws)?;
        self.each::<cases::Visitors>(draws)?;
        self.each::<cases::Sets>(draws)?;
        self.each::<cases::Top>(draws)?;
        self.each::<cases::Spread>(draws)?;
        self.each::<cases::Often>(draws)?;
        self.each::<cases::Members>(draws)?;
        self.traffic(draws)
    }

    /// The pipeline of `examples/page-traffic`, beside one that counts the same events.
    fn traffic(&mut self, draws: &Draws) -> Result<(), String> {
        if self.variant.is_some_and(|variant| variant != TRAFFIC) {
            return Ok(());
        }
        self.found = true;
        let traffic = traffic::Traffics::new(draws);
        let (count, counted) = best(|| traffic.run_count())?;
        let (used, right) = best(|| traffic.run())?;
        let over = per_event(&used, draws) - per_event(&count, draws);
        self.line((TRAFFIC, "pipeline"), draws.events(), used, counted && right, None, &[("ns_over_count", over)]);
        Ok(())
    }

    fn each<C: Case>(&mut self, draws: &Draws) -> Result<(), String> {
        if self.variant.is_some_and(|variant| variant != C::NAME) {
            return Ok(());
        }
        self.found = true;
        self.update::<C>(draws)?;
        let (used, right) = best(|| worker::run::<C>(draws))?;
        let over = per_event(&used, draws) - self.baseline;
        self.line((C::NAME, "worker"), draws.events(), used, right, None, &[("ns_over_count", over)]);
        self.merge::<C>(draws);
        Ok(())
    }

    /// The value of one event, put after the fold of those before it: what a worker does with each.
    fn update<C: Case>(&mut self, draws: &Draws) -> Result<(), String> {
        let (used, right) = best(|| {
            let meter = Meter::start();
            let value = std::hint::black_box(fold::<C>(draws, 0..draws.order.len()));
            Ok((meter.used(), C::is_right(&value, draws)))
        })?;
        let Some((peer, peer_right)) = peers::run(C::NAME, draws)? else {
            self.line((C::NAME, "update"), draws.events(), used, right, None, &[]);
            return Ok(());
        };
        let (ratio, theirs) = (used.cpu_s / peer.cpu_s, per_event(&peer, draws));
        let ratio = Some((ratio, "datasketches".to_owned()));
        self.line(
            (C::NAME, "update"),
            draws.events(),
            used,
            right && peer_right,
            ratio,
            &[("ns_datasketches", theirs)],
        );
        Ok(())
    }

    /// The folds of consecutive parts of the stream, put after each other.
    fn merge<C: Case>(&mut self, draws: &Draws) {
        let length = draws.order.len().div_ceil(PARTS).max(1);
        let starts = (0..draws.order.len()).step_by(length);
        let parts: Vec<C::Value> =
            starts.map(|start| fold::<C>(draws, start..draws.order.len().min(start + length))).collect();
        let (mut merges, mut used, mut made) = (0, Used::default(), None);
        while used.cpu_s < LONG_ENOUGH {
            let copies = parts.clone();
            let meter = Meter::start();
            let mut whole = C::Value::identity();
            for part in copies {
                whole.combine(part);
            }
            let whole = std::hint::black_box(whole);
            used += meter.used();
            merges += parts.len() as u64;
            made.get_or_insert(whole);
        }
        let right = made.is_some_and(|whole| C::is_right(&whole, draws));
        self.line((C::NAME, "merge"), merges, used, right, None, &[]);
    }

    fn line(
        &mut self,
        (name, what): (&str, &str),
        events: u64,
        used: Used,
        exact: bool,
        ratio: Option<(f64, String)>,
        figures: &[(&str, f64)],
    ) {
        let mut more = Map::new();
        let each = [("ns", used.cpu_s * 1e9 / events as f64)];
        for (name, figure) in each.iter().chain(figures) {
            more.insert((*name).to_owned(), ((figure * 10.0).round() / 10.0).into());
        }
        let variant = format!("{name}/{}/{what}", self.shape);
        (self.report)(Measurement { name: "aggregates", variant, events, used, exact, ratio, more });
    }
}

/// Of a few runs the one that used the least: what others do on the machine only ever adds. All have to come out right.
fn best(run: impl Fn() -> Result<(Used, bool), String>) -> Result<(Used, bool), String> {
    let (mut best, mut all_right) = run()?;
    for _ in 1..RUNS {
        let (used, right) = run()?;
        all_right &= right;
        if used.cpu_s < best.cpu_s {
            best = used;
        }
    }
    Ok((best, all_right))
}

fn per_event(used: &Used, draws: &Draws) -> f64 {
    used.cpu_s * 1e9 / draws.order.len() as f64
}

/// The fold of a part of the stream.
fn fold<C: Case>(draws: &Draws, part: std::ops::Range<usize>) -> C::Value {
    let mut value = C::Value::identity();
    for n in part {
        let element = draws.order[n];
        value.combine(C::of(&draws.names[element as usize], element, n));
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measurement::json;

    #[test]
    fn every_aggregate_has_a_line_of_each_kind_and_a_right_end_state() {
        let mut lines = Vec::new();
        measure(Some(5_000), Some(500), None, &mut |measured| {
            assert!(measured.exact, "{}", measured.variant);
            lines.push(json(&measured));
        })
        .unwrap();
        let of = |end: &str| lines.iter().filter(|line| line["variant"].as_str().unwrap().ends_with(end)).count();
        assert_eq!((of("/uniform/update"), of("/uniform/merge"), of("/uniform/worker")), (20, 20, 20));
        assert_eq!((of("/zipf/update"), of("/zipf/merge"), of("/zipf/worker")), (20, 20, 20));
        assert_eq!((of("page-traffic/uniform/pipeline"), of("page-traffic/zipf/pipeline")), (1, 1));
        let error = measure(Some(10), Some(500), Some("hll"), &mut |_| ()).unwrap_err();
        assert!(error.contains("`hll`"), "{error}");
    }

    #[test]
    fn a_wrong_end_state_shows() {
        let draws = Draws::new(Shape::Zipf, 20_000, 5_000, SEED);
        let part = 0..draws.order.len() / 2;
        assert!(cases::Visitors::is_right(&fold::<cases::Visitors>(&draws, 0..draws.order.len()), &draws));
        assert!(!cases::Visitors::is_right(&fold::<cases::Visitors>(&draws, part.clone()), &draws));
        assert!(!cases::Top::is_right(&fold::<cases::Top>(&draws, part.clone()), &draws));
        assert!(!cases::Often::is_right(&fold::<cases::Often>(&draws, part), &draws));
    }
}
