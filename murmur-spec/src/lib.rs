//! The model of a pipeline that macros, build step and command share, and the subset of Rust that it is read from.
//!
//! Both sides read the same items by the same code: a macro one item at a time ([`item::parse`]), the build step all
//! annotated items of a crate ([`find::annotated`], then [`item::parse`], then [`package::lower`]). What a macro
//! cannot see is checked by the build step ([`check`]) and handed over to be shown on the user's tokens
//! ([`handover`]). Every finding has a number ([`codes`]); every derived name comes from [`names`].
//!
//! # What is read
//!
//! | attribute | on | arguments |
//! |---|---|---|
//! | `#[murmur::event]` | a struct with named fields | `crate` |
//! | `#[murmur::value]` | `struct Id(u64);`, a struct with named fields, an enum | `crate` |
//! | `#[murmur::aggregate]` | a struct with named fields | `crate` |
//! | `#[murmur::pipeline]` | a function, or the struct of an event | `key window rollup fields dedup unbounded name package crate` |
//!
//! | argument | form |
//! |---|---|
//! | `key` | `key = page_id`, `key = (shop_id, sku)` |
//! | `rollup` | `rollup = [(post_id, country), (post_id), ()]`; gives the key when there is no `key` |
//! | `window` | `sliding("90d", slot = "1m")`, `tumbling("1h", keep = "30d")`; without it, all time |
//! | `dedup` | `dedup = event_id`, `dedup = (shop_id, order_id)`, `dedup = within(1_000_000, event_id)`; without a number 100,000 |
//! | `fields` | `fields(views, visitors)`: the names of the members of a tuple; each may have what a field of an aggregate has, `fields(visitors(was = "fans"))` |
//! | `unbounded` | alone: values of the user's own monoid may be of any size |
//! | `name` | `name = "likes"`, in snake_case; the function's name without it |
//! | `package` | `package = "shop.orders.v1"`; `<crate>.v1` without it |
//! | `crate` | `crate = path`, where the runtime is found; `::murmur` without it |
//!
//! | `#[murmur(...)]` on a field | of an event | of a pipeline's struct | of a value | of an aggregate |
//! |---|---|---|---|---|
//! | `time` | x | x | | |
//! | `header = "trace-id"`, `record_key`, `broker_time`: not from the payload (see [`beside`]) | x | x | | |
//! | `key`, `sum`, `average`, `moments`, `quantiles`, `min`, `max`, `first`, `last`, `distinct`, `distinct_set`, `set(100)`, `top_k(10)`, `membership(10_000)`, `frequency` | | x | | |
//! | `was = "old"`, `number = 7` | x | x | x | x |
//! | `as = "string"` | x | x | x | reply of a monoid of the user's own |
//!
//! Variants of enums take `was` and `number`.
//!
//! # Types of fields
//!
//! | Rust | protobuf |
//! |---|---|
//! | `bool u32 u64 i32 i64 f32 f64 String` | of that name |
//! | `u8 u16`, `i8 i16` | `uint32`, `int32` |
//! | `Vec<u8>`, `Bytes` | `bytes` |
//! | `Timestamp` (Murmur's, jiff's), `SystemTime`, `DateTime<Tz>` | `google.protobuf.Timestamp` |
//! | `Duration`, `Span` | `google.protobuf.Duration` |
//! | `Uuid` | `string` |
//! | `#[value] struct Id(T)` | as `T` |
//! | `#[value] enum` without fields | `enum`, with `..._UNSPECIFIED = 0` added |
//! | `#[value] enum` with fields | message with a `oneof` |
//! | `#[value] struct` | message |
//! | `Option<T>`, `Vec<T>` | `optional`, `repeated` |
//! | `HashMap<K, T>`, `BTreeMap<K, T>` | `map`; `K` is `String`, `bool`, or an integer of 32 or 64 bits |
//! | `Box<T>` | as `T` |
//!
//! Refused, each with its reason: `usize`, `isize`, 128-bit integers, `char`, references, tuples, arrays, containers in
//! containers, items with parameters, fields under `cfg`.
//!
//! # Functions
//!
//! Attributes and signature are read; the body stays tokens. `fn(&Event) -> A` keeps one aggregate for each event,
//! `-> Option<A>` leaves events out, `-> impl Iterator<Item = (Key, A)>`, `Vec<(Key, A)>` or an array of them fans
//! out, where `Key` is the type of the one key field or a tuple of their types. `A` is an aggregate, a struct of them, or
//! a tuple of them whose members `fields` names.

pub mod aggregate;
pub mod attr;
pub mod beside;
pub mod check;
pub mod codes;
pub mod ctxt;
pub mod dedup;
#[cfg(feature = "emit")]
pub mod diff;
#[cfg(feature = "emit")]
pub mod emit;
pub mod event;
pub mod find;
pub mod fingerprint;
#[cfg(all(test, feature = "emit"))]
mod fixtures;
pub mod handover;
pub mod item;
#[cfg(feature = "emit")]
pub mod lock;
pub mod model;
pub mod names;
pub mod package;
pub mod pipeline;
#[cfg(feature = "emit")]
pub mod schema;
pub mod totals;
pub mod types;
pub mod value;
mod window;
mod written;

#[cfg(test)]
mod tests;
