//! The examples as whole programs: killed, stopped, and asked by clients of other languages.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]
#![allow(clippy::print_stdout, reason = "cargo shows it when a test fails")]

mod access;
mod beside_kafka;
mod buf;
mod clients;
mod command_line;
mod conformance;
mod estimates;
mod foreign_clients;
mod formats_kafka;
mod forms;
mod git_activity;
mod health;
mod kafka_secured;
mod kill;
mod letters_kafka;
mod memory_kafka;
mod observed;
mod openapi;
mod otlp;
mod own_worker;
mod page_views;
mod place;
mod readiness_kafka;
mod rolled_days;
mod rust_client;
mod services;
mod serving_killed;
mod size;
mod source_kafka;
mod spark;
mod stop_kafka;
mod store_dynamodb;
mod table_settings;
mod thirty_days;
mod tls;
mod tombstones_kafka;
mod watching;
mod workers;
