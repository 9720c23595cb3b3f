use clap::ValueEnum;
use serde_json::{Map, Value, json};

use crate::resources::{Used, peak_rss_mib};

/// How to print a measurement.
#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum Output {
    /// For a person.
    Table,
    /// One object a line.
    Json,
}

/// One figure.
pub(crate) struct Measurement {
    pub(crate) name: &'static str,
    pub(crate) variant: String,
    pub(crate) events: u64,
    pub(crate) used: Used,
    /// Whether the end state equals the oracle's.
    pub(crate) exact: bool,
    /// CPU time divided by that of the variant named.
    pub(crate) ratio: Option<(f64, String)>,
    /// What only this measurement has.
    pub(crate) more: Map<String, Value>,
}

impl Measurement {
    pub(crate) fn events_per_cpu_s(&self) -> f64 {
        self.events as f64 / self.used.cpu_s
    }

    fn end_state(&self) -> &'static str {
        if self.exact { "exact" } else { "wrong" }
    }
}

#[allow(clippy::print_stdout, reason = "the result of the command")]
pub(crate) fn print(measurement: &Measurement, output: Output) {
    match output {
        Output::Json => println!("{}", json(measurement)),
        Output::Table => {
            let Measurement { name, variant, events, used, ratio, more, .. } = measurement;
            let (end_state, rate) = (measurement.end_state(), measurement.events_per_cpu_s());
            let ratio = ratio.as_ref().map(|(ratio, to)| format!("  {ratio:.2} x {to}")).unwrap_or_default();
            let more: String = more.iter().map(|(name, value)| format!("  {name} {value}")).collect();
            println!(
                "{name:<11} {variant:<14} {events:>10} events  {:>8.3} s wall  {:>8.3} s cpu  {:>12.0} events/cpu-s  \
                 {:>7.1} MiB  {end_state}{ratio}{more}",
                used.wall_s,
                used.cpu_s,
                rate,
                peak_rss_mib()
            );
        }
    }
}

/// The measurement as the one object whose fields stay the same for the life of the project.
pub(crate) fn json(measurement: &Measurement) -> Value {
    let Measurement { name, variant, events, used, ratio, more, .. } = measurement;
    let mut line = json!({
        "name": name, "variant": variant, "events": events,
        "wall_s": round(used.wall_s, 4), "cpu_s": round(used.cpu_s, 4),
        "events_per_cpu_s": measurement.events_per_cpu_s().round(), "rss_mib": round(peak_rss_mib(), 1),
        "end_state": measurement.end_state(),
    });
    if let Some(object) = line.as_object_mut() {
        if let Some((ratio, against)) = ratio {
            object.insert("ratio".into(), json!(round(*ratio, 3)));
            object.insert("ratio_to".into(), json!(against));
        }
        object.extend(more.clone());
    }
    line
}

fn round(number: f64, digits: i32) -> f64 {
    let scale = 10f64.powi(digits);
    (number * scale).round() / scale
}
