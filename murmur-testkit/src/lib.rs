//! Test with this what Murmur promises: the real engine under a seeded simulation, and real processes, brokers and
//! tables under faults.
//!
//! ```text
//! cargo run --release -p murmur-testkit -- simulate --schedules 20000
//! cargo run --release -p murmur-testkit -- simulate --break claim-before-apply
//! cargo run --release -p murmur-testkit -- faults all --minutes 2
//! ```

#[cfg(feature = "faults")]
pub mod faults;
mod oracle;
mod pipelines;
pub mod simulation;

pub use simulation::simulate;
