//! The program's own metrics, as sums.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use metrics::{Counter, Gauge, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder, SharedString, Unit};

/// Values of counters, and how often something was recorded in each histogram.
#[derive(Clone, Default)]
pub(crate) struct Tally(Arc<Mutex<HashMap<Key, Arc<AtomicU64>>>>);

struct Times(Arc<AtomicU64>);

impl HistogramFn for Times {
    fn record(&self, _: f64) {
        self.0.fetch_add(1, Ordering::Relaxed);
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
        let series = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let wanted = series.iter().filter(|(key, _)| key.name() == name && has(key));
        wanted.map(|(_, value)| value.load(Ordering::Relaxed)).sum()
    }

    fn of(&self, key: &Key) -> Arc<AtomicU64> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(key.clone()).or_default().clone()
    }
}

impl Recorder for Tally {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(self.of(key))
    }

    fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::noop()
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::from_arc(Arc::new(Times(self.of(key))))
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
            histogram!("calls", "op" => "write", "outcome" => "failed").record(0.5);
        });
        assert_eq!(tally.sum("units", None), 7);
        assert_eq!(tally.sum("units", Some(("op", "read"))), 4);
        assert_eq!(tally.sum("calls", Some(("op", "write"))), 2);
        assert_eq!(tally.sum("none", None), 0);
    }
}
