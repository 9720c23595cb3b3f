//! Test with this what Murmur promises: the real engine under a seeded simulation.
//!
//! ```text
//! cargo run --release -p murmur-testkit -- simulate --schedules 20000
//! cargo run --release -p murmur-testkit -- simulate --break claim-before-apply
//! ```

pub mod simulation;
