//! What is measured, through the facade of the crate [`metrics`](https://docs.rs/metrics): whatever recorder the program
//! installs gets it, and without one it costs next to nothing.
//!
//! Install the recorder before workers and servers are made, then call [`describe`]; the binaries of `murmur::main!` do
//! both, and serve the page of Prometheus. Nothing is measured per event: counts are taken over once a batch, times once
//! a flush, a call of the store, or a query. Labels have few values and never hold a key.
//!
//! [`catalogue`] has one line for each metric.

pub mod catalogue;
#[cfg(feature = "metrics")]
mod prometheus;
mod reference;
mod store;
#[cfg(test)]
pub(crate) mod tests;

use metrics::{Counter, Gauge, Histogram, Key, KeyName, Label, Level, Metadata, SharedString, Unit, with_recorder};

#[cfg(feature = "metrics")]
pub use prometheus::Prometheus;
pub use reference::reference;
#[cfg(test)]
pub(crate) use store::OPS;
pub(crate) use store::measured;

/// One line of the [`catalogue`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Metric {
    /// In the manner of Prometheus: `murmur_`, what, unit, and `_total` for counters.
    pub name: &'static str,
    /// How it is to be read.
    pub kind: Kind,
    /// Of its values.
    pub unit: Unit,
    /// Names of its labels.
    pub labels: &'static [&'static str],
    /// What it says, for a person.
    pub about: &'static str,
}

/// How a metric is to be read.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    /// Only grows, from 0 at the start of the process.
    Counter,
    /// As it is now.
    Gauge,
    /// How often values were at most as large as each of these bounds.
    Histogram(&'static [f64]),
}

/// Where it comes from, for recorders that choose by that.
static METADATA: Metadata<'static> = Metadata::new("murmur", Level::INFO, None);

impl Metric {
    pub(crate) fn counter<V: Into<SharedString>, const N: usize>(&self, values: [V; N]) -> Counter {
        debug_assert_eq!(self.kind, Kind::Counter, "{}", self.name);
        with_recorder(|recorder| recorder.register_counter(&self.key(values), &METADATA))
    }

    pub(crate) fn gauge<V: Into<SharedString>, const N: usize>(&self, values: [V; N]) -> Gauge {
        debug_assert_eq!(self.kind, Kind::Gauge, "{}", self.name);
        with_recorder(|recorder| recorder.register_gauge(&self.key(values), &METADATA))
    }

    pub(crate) fn histogram<V: Into<SharedString>, const N: usize>(&self, values: [V; N]) -> Histogram {
        debug_assert!(matches!(self.kind, Kind::Histogram(_)), "{}", self.name);
        with_recorder(|recorder| recorder.register_histogram(&self.key(values), &METADATA))
    }

    /// With the values of the labels, in their order.
    fn key<V: Into<SharedString>, const N: usize>(&self, values: [V; N]) -> Key {
        debug_assert_eq!(self.labels.len(), N, "{} has the labels {:?}", self.name, self.labels);
        let labels = self.labels.iter().zip(values).map(|(name, value)| Label::new(*name, value));
        Key::from_parts(self.name, labels.collect::<Vec<_>>())
    }
}

/// The values of no labels.
pub(crate) const PLAIN: [&str; 0] = [];

/// Tell the recorder what every metric means, and which program this is.
pub fn describe(program: &str) {
    with_recorder(|recorder| {
        for Metric { name, kind, unit, about, .. } in catalogue::ALL {
            let (name, unit) = (KeyName::from(*name), Some(*unit));
            match kind {
                Kind::Counter => recorder.describe_counter(name, unit, (*about).into()),
                Kind::Gauge => recorder.describe_gauge(name, unit, (*about).into()),
                Kind::Histogram(_) => recorder.describe_histogram(name, unit, (*about).into()),
            }
        }
    });
    catalogue::BUILD_INFO.gauge([env!("CARGO_PKG_VERSION").to_owned(), program.to_owned()]).set(1.0);
}
