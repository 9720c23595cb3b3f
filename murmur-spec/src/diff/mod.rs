//! The lock as it is committed against the source as it is now: what changed, and what of it breaks clients or
//! stored data.
//!
//! The rules are buf's `WIRE_JSON` set, and beyond it: no method and no service goes, and nothing changes that stored
//! items of a live table are laid out by. A break is a finding until `cargo murmur accept` records it.

mod changes;
mod fields;
pub mod rules;
mod tables;
#[cfg(test)]
mod tests;

use std::fmt;

use crate::codes::{self, Code};
use crate::lock::{Decision, Lock, Problem};
use crate::model::Package;
use crate::schema::{Place, Schema};

pub use changes::Change;

/// A change that clients or stored data would feel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Break {
    /// The code of the finding.
    pub code: Code,
    /// What it is about: `PageView.at`, `PageTrafficService`, `page_traffic_v1`.
    pub subject: String,
    /// Where it belongs.
    pub place: Place,
    /// From what to what: `string -> uint64`.
    pub change: String,
    /// What is wrong.
    pub message: String,
}

/// What came out of comparing.
#[derive(Debug, Clone)]
pub struct Review {
    /// The schema of the source.
    pub schema: Schema,
    /// The lock as `cargo murmur sync` would write it.
    pub lock: Lock,
    /// All differences, for people.
    pub changes: Vec<Change>,
    /// Breaks that nobody accepted.
    pub breaks: Vec<Break>,
    /// What is wrong in itself, and cannot be accepted.
    pub problems: Vec<Problem>,
}

impl Review {
    /// Compare the committed lock with the source.
    pub fn of(committed: &Lock, package: &Package) -> Self {
        let schema = Schema::of(package);
        let plan = committed.plan(&schema);
        let mut lock = plan.lock;
        let changes = changes::between(committed, &lock);
        let found = if committed.package.is_empty() { Vec::new() } else { find(committed, &lock, &schema) };
        let covers = |decision: &Decision, found: &Break| {
            decision.code == found.code.id && decision.subject == found.subject && decision.change == found.change
        };
        let (accepted, breaks): (Vec<Break>, Vec<Break>) = found
            .into_iter()
            .partition(|found| committed.decisions.iter().any(|decision| !decision.done && covers(decision, found)));
        // A decision about a change that was taken back is no history.
        lock.decisions.retain(|decision| decision.done || accepted.iter().any(|found| covers(decision, found)));
        for decision in &mut lock.decisions {
            decision.done = true;
        }
        Self { schema, lock, changes, breaks, problems: plan.problems }
    }

    /// Nothing stands against writing the lock.
    pub fn is_sound(&self) -> bool {
        self.breaks.is_empty() && self.problems.is_empty()
    }
}

impl Break {
    /// The way out.
    pub fn help(&self) -> String {
        format!("{} The command is `cargo murmur accept {} {}`.", self.code.help, self.code, self.subject)
    }

    /// The decision that accepts it.
    pub fn accept(&self) -> Decision {
        Decision {
            code: self.code.id.to_owned(),
            subject: self.subject.clone(),
            change: self.change.clone(),
            done: false,
        }
    }
}

impl fmt::Display for Break {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.message)
    }
}

/// Every break, accepted or not.
fn find(old: &Lock, new: &Lock, schema: &Schema) -> Vec<Break> {
    let mut found = Vec::new();
    if old.package != new.package {
        found.push(Break {
            code: codes::PACKAGE_CHANGED,
            subject: "package".into(),
            place: Place::Gone,
            change: format!("{} -> {}", old.package, new.package),
            message: format!("the protobuf package was `{}` and is `{}` now", old.package, new.package),
        });
    }
    fields::find(old, new, schema, &mut found);
    tables::find(old, new, schema, &mut found);
    found
}
