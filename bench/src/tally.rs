//! The program's own metrics, as sums.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use metrics::{Counter, Gauge, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder, SharedString, Unit};

/// Values of counters, and how often something was recorded in each histogram, and how much.
#[derive(Clone, Default)]
pub(crate) struct Tally {
    counts: Series,
    /// Of histograms, in millionths.
    sums: Series,
}

type Series = Arc<Mutex<HashMap<Key, Arc<AtomicU64>>>>;

struct Times {
    count: Arc<AtomicU64>,
    sum: Arc<AtomicU64>,
}

impl HistogramFn for Times {
    fn record(&self, value: f64) {
        self.count.fetch_add(1, Ordering::Relaxed);
        self.sum.fetch_add((value * 1e6) as u64, Ordering::Relaxed);
    }
}

impl Tally {
    /// Count from now on, in whatever is made from now on.
    pub(crate) fn install() -> Result<Self, String> {
        let tally = Self::default();
        metrics::set_global_recorder(tally.clone()).map_err(|error| error.to_string())?;
        Ok(tally)
    }

    /// The sum over all series of this name that have the label, if one is given.
    pub(crate) fn sum(&self, name: &str, label: Option<(&str, &str)>) -> u64 {
        let has = |key: &Key| label.is_none_or(|(of, is)| key.labels().any(|l| l.key() == of && l.value() == is));
        add_up(&self.counts, |key| key.name() == name && has(key))
    }

    /// All that was recorded in the histograms of this name, in their unit.
    pub(crate) fn recorded(&self, name: &str) -> f64 {
        add_up(&self.sums, |key| key.name() == name) as f64 / 1e6
    }
}

fn add_up(series: &Series, wanted: impl Fn(&Key) -> bool) -> u64 {
    let series = series.lock().unwrap_or_else(PoisonError::into_inner);
    series.iter().filter(|(key, _)| wanted(key)).map(|(_, value)| value.load(Ordering::Relaxed)).sum()
}

fn of(series: &Series, key: &Key) -> Arc<AtomicU64> {
    series.lock().unwrap_or_else(PoisonError::into_inner).entry(key.clone()).or_default().clone()
}

impl Recorder for Tally {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(of(&self.counts, key))
    }

    fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::noop()
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::from_arc(Arc::new(Times { count: of(&self.counts, key), sum: of(&self.sums, key) }))
    }
}

#[cfg(test)]
mod tests {
    use metrics::{counter, histogram, with_local_recorder};

    use super::*;

    #[test]
    fn series_of_a_name_add_up() {
        let tally = Tally::default();
        with_local_recorder(&tally, || {
            counter!("units", "op" => "write").increment(3);
            counter!("units", "op" => "read").increment(4);
            counter!("others").increment(5);
            histogram!("calls", "op" => "write", "outcome" => "ok").record(0.5);
            histogram!("calls", "op" => "write", "outcome" => "failed").record(0.25);
        });
        assert_eq!(tally.sum("units", None), 7);
        assert_eq!(tally.sum("units", Some(("op", "read"))), 4);
        assert_eq!(tally.sum("calls", Some(("op", "write"))), 2);
        assert_eq!((tally.sum("none", None), tally.recorded("none")), (0, 0.0));
        assert_eq!(tally.recorded("calls"), 0.75);
    }
}
