//! Contracts as files: `.proto`, descriptor set, tables.
//!
//! ```text
//! proto/murmur.lock                     the numbers, see `lock`
//! proto/<package>/<crate>.proto         services, keys, events, aggregates, values
//! proto/murmur/v1/*.proto               what they import, so that foreign compilers find it
//! schema/dynamodb/<table>.json          CreateTable
//! schema/dynamodb/<table>.ttl.json      UpdateTimeToLive
//! schema/cloudformation.json            all tables
//! schema/terraform/<table>.tf.json      one table each
//! schema/openapi.json                   what HTTP with JSON reaches, of all services
//! ```
//!
//! Nothing here reads a clock, a path of the machine or an order that could differ: equal definitions are equal bytes.

mod client;
mod contract;
mod descriptor;
mod file;
mod json;
mod openapi;
mod read;
mod tables;
mod text;

#[cfg(test)]
mod tests;

use crate::diff::Review;
use crate::fingerprint;
use crate::lock::{Lock, Service};
use crate::names;

pub use json::Json;

pub use client::Client;
pub use contract::REVISION;
pub(crate) use contract::rpcs as pipeline_rpcs;

/// Where the lock lies, relative to the user's package.
pub const LOCK: &str = "proto/murmur.lock";

/// The template with all tables.
const CLOUDFORMATION: &str = "schema/cloudformation.json";

/// The paths of all services.
const OPENAPI: &str = "schema/openapi.json";

/// A file for the user's package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// Relative to the user's package, with `/`.
    pub path: String,
    /// Its whole text.
    pub text: String,
}

/// The committed files, in order of their paths. `crate_name` names the `.proto`.
pub fn outputs(review: &Review, crate_name: &str) -> Vec<Output> {
    let schema = &review.schema;
    let mut out = vec![Output { path: LOCK.to_owned(), text: review.lock.to_string() }];
    let files = files(review, crate_name);
    for file in &files {
        // Every protobuf compiler brings these itself.
        if !file.path.starts_with("google/") {
            out.push(Output { path: format!("proto/{}", file.path), text: text::text(file) });
        }
    }
    let mut json = |path: String, json: Json| out.push(Output { path, text: format!("{json}\n") });
    for table in &schema.tables {
        let [create, ttl, terraform] = table_files(&table.name);
        json(create, tables::create_table(schema, table));
        json(ttl, tables::ttl(table));
        json(terraform, tables::terraform(schema, table));
    }
    if !schema.tables.is_empty() {
        json(CLOUDFORMATION.into(), tables::cloudformation(schema));
    }
    if !schema.services.is_empty() {
        json(OPENAPI.into(), openapi::document(&files, crate_name, &contract(&served(review))));
    }
    out.sort_by(|a, b| a.path.cmp(&b.path));
    out
}

/// Files that an earlier [`outputs`] made by this lock, and that the present one does not make.
pub fn stale(lock: &Lock, review: &Review, crate_name: &str) -> Vec<String> {
    let mut out: Vec<String> = lock.tables.keys().flat_map(|table| table_files(table)).collect();
    if !lock.tables.is_empty() {
        out.push(CLOUDFORMATION.into());
    }
    if !lock.services.is_empty() {
        out.push(OPENAPI.into());
    }
    if !lock.package.is_empty() {
        out.push(format!("proto/{}", names::file(&lock.package, crate_name)));
    }
    let made = outputs(review, crate_name);
    out.retain(|path| made.iter().all(|output| output.path != *path));
    out
}

fn table_files(table: &str) -> [String; 3] {
    [
        format!("schema/dynamodb/{table}.json"),
        format!("schema/dynamodb/{table}.ttl.json"),
        format!("schema/terraform/{table}.tf.json"),
    ]
}

/// A serialized `google.protobuf.FileDescriptorSet` of the package and everything it imports, in the order of imports.
pub fn descriptor_set(review: &Review, crate_name: &str) -> Vec<u8> {
    descriptor::set(&files(review, crate_name))
}

/// The full name of each service, and the fingerprints of the contracts whose clients it answers, the present one last.
pub fn served(review: &Review) -> Vec<(String, Vec<String>)> {
    let Review { schema, lock, .. } = review;
    let full = |name: &str| format!("{}.{name}", schema.package);
    lock.services.iter().map(|(name, service)| (full(name), service.serves.clone())).collect()
}

/// What a client of each service says that it was made from, by the name of the service.
pub fn contracts(review: &Review) -> Vec<(String, String)> {
    let present = |service: &Service| service.serves.last().map_or("", String::as_str).to_owned();
    let services = review.lock.services.iter();
    services.map(|(name, service)| (name.clone(), format!("{REVISION}-{}", present(service)))).collect()
}

/// What the clients of a package rely on: the revision of Murmur's own messages, and the fingerprint of its service, or one of those
/// of all.
fn contract(served: &[(String, Vec<String>)]) -> String {
    let present = |(_, fingerprints): &(String, Vec<String>)| fingerprints.last().cloned().unwrap_or_default();
    let all: Vec<String> = served.iter().map(present).collect();
    match &*all {
        [one] => format!("{REVISION}-{one}"),
        _ => format!("{REVISION}-{:016x}", fingerprint::hash(&all.join("\n"))),
    }
}

fn files(review: &Review, crate_name: &str) -> Vec<file::File> {
    let path = names::file(&review.schema.package, crate_name);
    let mut files = contract::fixed();
    files.push(contract::package(&review.schema, &review.lock, &path));
    files
}
