use metrics::{Counter, Gauge, Histogram, Key, KeyName, Label, Metadata, Recorder, SharedString, Unit};

use crate::metrics::{Metric, catalogue};

/// A metric of the catalogue that OpenTelemetry's semantic conventions have a name for.
struct Convention {
    ours: Metric,
    name: &'static str,
    /// Our labels and its attributes, in the order of the labels.
    attributes: &'static [&'static str],
}

/// An attribute of calls that have failed alone.
const ERROR: &str = "error.type";
/// Outcomes that are no failures.
const DONE: [&str; 2] = ["ok", "refused"];

static ALL: [Convention; 3] = [
    Convention { ours: catalogue::EVENTS_RECEIVED, name: "messaging.client.consumed.messages", attributes: &[] },
    Convention {
        ours: catalogue::STORE_REQUEST_DURATION,
        name: "db.client.operation.duration",
        attributes: &["db.operation.name", ERROR],
    },
    Convention {
        ours: catalogue::QUERY_DURATION,
        name: "rpc.server.call.duration",
        attributes: &["rpc.method", "rpc.response.status_code"],
    },
];

impl Convention {
    fn of(name: &str) -> Option<&'static Self> {
        ALL.iter().find(|convention| convention.ours.name == name)
    }

    /// The key by its names.
    fn key(&self, key: &Key) -> Key {
        let attributes = key.labels().zip(self.attributes);
        let attributes = attributes.filter(|(label, name)| **name != ERROR || !DONE.contains(&label.value()));
        let attributes = attributes.map(|(label, name)| Label::new(*name, label.value().to_owned()));
        Key::from_parts(self.name, attributes.collect::<Vec<_>>())
    }
}

/// The names of histograms, and of which of ours each has the bounds.
pub(super) fn histograms() -> impl Iterator<Item = (&'static str, Metric)> {
    ALL.iter().map(|convention| (convention.name, convention.ours))
}

/// A recorder that gets what the conventions have a name for, by that name, and nothing else.
pub(super) struct Conventional<R>(pub(super) R);

impl<R: Recorder> Recorder for Conventional<R> {
    fn describe_counter(&self, key: KeyName, unit: Option<Unit>, description: SharedString) {
        if let Some(convention) = Convention::of(key.as_str()) {
            self.0.describe_counter(convention.name.into(), unit, description);
        }
    }

    fn describe_gauge(&self, key: KeyName, unit: Option<Unit>, description: SharedString) {
        if let Some(convention) = Convention::of(key.as_str()) {
            self.0.describe_gauge(convention.name.into(), unit, description);
        }
    }

    fn describe_histogram(&self, key: KeyName, unit: Option<Unit>, description: SharedString) {
        if let Some(convention) = Convention::of(key.as_str()) {
            self.0.describe_histogram(convention.name.into(), unit, description);
        }
    }

    fn register_counter(&self, key: &Key, metadata: &Metadata<'_>) -> Counter {
        let known = Convention::of(key.name());
        known.map_or_else(Counter::noop, |known| self.0.register_counter(&known.key(key), metadata))
    }

    fn register_gauge(&self, key: &Key, metadata: &Metadata<'_>) -> Gauge {
        let known = Convention::of(key.name());
        known.map_or_else(Gauge::noop, |known| self.0.register_gauge(&known.key(key), metadata))
    }

    fn register_histogram(&self, key: &Key, metadata: &Metadata<'_>) -> Histogram {
        let known = Convention::of(key.name());
        known.map_or_else(Histogram::noop, |known| self.0.register_histogram(&known.key(key), metadata))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    /// What was asked for.
    #[derive(Default)]
    struct Keys(Mutex<Vec<String>>);

    impl Recorder for Keys {
        fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

        fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

        fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

        fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
            self.0.lock().unwrap().push(key.to_string());
            Counter::noop()
        }

        fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
            self.0.lock().unwrap().push(key.to_string());
            Gauge::noop()
        }

        fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
            self.0.lock().unwrap().push(key.to_string());
            Histogram::noop()
        }
    }

    #[test]
    fn what_the_conventions_know_has_their_names_and_attributes_and_failures_alone_have_a_type() {
        let keys = Keys::default();
        metrics::with_local_recorder(&Conventional(&keys), || {
            catalogue::EVENTS_RECEIVED.counter(crate::metrics::PLAIN).increment(3);
            catalogue::EVENTS_AHEAD.counter(crate::metrics::PLAIN).increment(3);
            catalogue::STORE_REQUEST_DURATION.histogram(["write", "refused"]).record(0.5);
            catalogue::STORE_REQUEST_DURATION.histogram(["write", "ambiguous"]).record(0.5);
            catalogue::QUERY_DURATION.histogram(["Get", "ok"]).record(0.5);
        });
        let right = [
            "Key(messaging.client.consumed.messages)",
            "Key(db.client.operation.duration, [db.operation.name = write])",
            "Key(db.client.operation.duration, [db.operation.name = write, error.type = ambiguous])",
            "Key(rpc.server.call.duration, [rpc.method = Get, rpc.response.status_code = ok])",
        ];
        assert_eq!(*keys.0.lock().unwrap(), right);
    }

    #[test]
    fn every_label_has_an_attribute() {
        for Convention { ours, attributes, .. } in &ALL {
            assert_eq!(ours.labels.len(), attributes.len(), "{}", ours.name);
        }
    }
}
