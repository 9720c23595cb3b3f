//! `cargo murmur` from outside, and what Cargo makes of the projects it made.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on has failed")]

mod building;
mod clients;
mod commands;
mod project;
