//! Test with this what Murmur promises: the real engine under a seeded simulation, and real processes, brokers and
//! tables under faults.
//!
//! ```text
//! cargo run --release -p murmur-testkit -- simulate --schedules 20000
//! cargo run --release -p murmur-testkit -- simulate --break claim-before-apply
//! cargo run --release -p murmur-testkit -- faults all --minutes 2
//! ```
//!
//! [`simulate`] runs a pipeline of your own through such schedules in a line of `cargo test`. It needs neither Kafka nor
//! DynamoDB, and without default features nothing of them is built:
//!
//! ```toml
//! [dev-dependencies]
//! murmur-testkit = { version = "0.1", default-features = false }
//! ```
//!
//! [`Oracle`] says what must stand in a table once all that was sent is counted, and whether it does. What
//! [`faults`] has beside it kills [your own worker](faults#a-worker-of-your-own) under load.

#[cfg(feature = "faults")]
pub mod faults;
mod oracle;
mod pipelines;
pub mod simulation;

pub use oracle::{Oracle, Verdict};
pub use simulation::simulate;
