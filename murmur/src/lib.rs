//! Streaming aggregation from one annotated definition.
//!
//! Annotate an event and an aggregate function; from that one definition come the live worker, exact windows, the
//! typed query service and the contracts. The floors of the crate, each using only those above it:
//!
//! | module | what |
//! |---|---|
//! | [`mod@aggregate`] | the [`Monoid`](aggregate::Monoid) trait, every monoid, the laws |
//! | [`time`] | timestamps, windows, tiles, slots, retention |
//! | [`mod@event`], [`mod@key`], [`mod@pipeline`], [`wire`] | the traits that the macros implement |
//! | [`source`] | where events come from, and positions in it |
//! | [`store`] | where tiles live, and the conditional writes that make counting exact |
//! | [`engine`] | from a source to tiles: fold, flush, commit, catch up, rewind |
//! | [`query`] | from a question to tiles to an answer: plan, read, fold |
//! | [`metrics`] | what is measured, for any recorder |
//! | `grpc` | the typed service and client: gRPC, gRPC-Web, Connect and JSON on one port |
//! | `app` | `murmur::main!`: verbs, configuration, signals |

pub mod aggregate;
#[cfg(feature = "app")]
pub mod app;
#[doc(hidden)]
pub mod codegen;
#[cfg(test)]
mod emitted;
pub mod engine;
pub mod error;
pub mod event;
mod folder;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;
#[cfg(feature = "grpc")]
pub mod grpc;
pub mod key;
#[cfg_attr(not(feature = "jsonl"), allow(dead_code, reason = "only sources have options"))]
pub mod location;
pub mod metrics;
pub mod pipeline;
pub mod prelude;
pub mod query;
pub mod size;
pub mod source;
pub mod store;
pub mod time;
pub mod wire;

pub use error::{Error, ErrorKind, Result};

/// Makes a struct with named fields an [`Event`](event::Event): what a source's payload decodes to.
///
/// ```
/// use murmur::prelude::*;
///
/// #[murmur::event]
/// #[derive(serde::Deserialize)]
/// pub struct PageView {
///     pub page_id: String,
///     pub dwell_ms: u64,
///     #[murmur(time)]
///     pub viewed_at: Timestamp,
/// }
/// # use murmur::event::Event;
/// assert_eq!(PageView::FIELDS, ["page_id", "dwell_ms", "viewed_at"]);
/// ```
///
/// `#[murmur(...)]` on a field: `time` (when it happened), `was = "old_name"` (renamed without breaking the contract),
/// `number = 7` (a field number by hand), `as = "string"` (a type of another crate).
///
/// Fields can also come from what stands beside the payload of a record of Kafka:
///
/// | `#[murmur(...)]` | value | types, or `Option` of these |
/// |---|---|---|
/// | `header = "trace-id"` | the header of this name, of several the last one | `String`, `Vec<u8>`, and what is read from text: integers, floats, `bool` |
/// | `record_key` | the key of the record | `String`, `Vec<u8>` |
/// | `broker_time` | the time of the record: when the broker took it in (`message.timestamp.type=LogAppendTime` of the topic) or the producer made it (`CreateTime`); together with `time` it is that of the event | `Timestamp` |
///
/// ```
/// use murmur::prelude::*;
///
/// #[murmur::event]
/// #[derive(serde::Deserialize)]
/// pub struct Call {
///     #[murmur(header = "tenant")]
///     pub tenant: String,
///     #[murmur(record_key)]
///     pub caller: Option<String>,
///     #[murmur(time, broker_time)]
///     pub at: Timestamp,
///     pub cost: u64,
/// }
/// # let call: Call = murmur::engine::json(br#"{"cost":3,"tenant":"not from here"}"#).unwrap();
/// # assert_eq!((call.cost, call.tenant.as_str()), (3, ""));
/// ```
///
/// Such a field is not read from the payload: a `#[derive(Deserialize)]` below the attribute leaves it out. An event
/// without it is a dead letter, unless it is an `Option`; so is one with a header that cannot be read as its type. A
/// source without such a thing (files, standard input) is refused at start, unless all these fields are `Option`s.
pub use murmur_macros::event;

/// Makes a newtype, an enum or a struct a type that fields of events can have.
///
/// ```
/// #[murmur::value]
/// #[derive(serde::Deserialize)]
/// pub struct UserId(u64);
///
/// #[murmur::value]
/// #[derive(serde::Deserialize)]
/// pub enum Payment {
///     Card { network: String },
///     Cash,
/// }
/// ```
pub use murmur_macros::value;

/// Makes a struct of aggregates an aggregate: a [`Monoid`](aggregate::Monoid), with a struct for its replies.
///
/// ```
/// use murmur::prelude::*;
///
/// #[murmur::aggregate]
/// pub struct Traffic {
///     pub views: Count,
///     pub slowest: Max<u64>,
/// }
///
/// let traffic = Traffic { views: Count::one(), slowest: Max::of(20u64) };
/// assert_eq!(traffic.reply(&Question::default())?, TrafficReply { views: 1, slowest: Some(20) });
/// # Ok::<(), murmur::Error>(())
/// ```
///
/// The struct is given `Clone` and `Debug`; derive others below this attribute.
pub use murmur_macros::aggregate;

/// Makes a function from an event to an aggregate a [`Pipeline`](pipeline::Pipeline).
///
/// ```
/// # use murmur::prelude::*;
/// # #[murmur::event]
/// # pub struct PageView { pub page_id: String, #[murmur(time)] pub viewed_at: Timestamp }
/// /// Views per page, over any window of up to 90 days.
/// #[murmur::pipeline(key = page_id, window = sliding("90d", slot = "1m"))]
/// pub fn page_views(_view: &PageView) -> Count {
///     Count::one()
/// }
///
/// assert_eq!(PageViews::SPEC.service, "PageViewsService");
/// let key = PageViewsKey { page_id: "/home".into() };
/// # let _ = key;
/// ```
///
/// `fn page_views` stays as it is; beside it stand the marker type `PageViews` and the key `PageViewsKey`. It may
/// return `Option` of an aggregate (a filter), or an iterator of `(Key, Aggregate)` (a fan-out). On the struct of an
/// event, its fields say what is kept: `#[murmur(key)]`, `#[murmur(distinct)]` and so on.
///
/// An aggregate can be a tuple, whose members get their names from `fields`. They are the fields of a struct
/// `PageReadersTotals` with a message of that name, numbered in the lock like those of an `#[murmur::aggregate]`, and may
/// have what such a field has: `fields(views, readers(was = "visitors"))`.
///
/// ```
/// # use murmur::prelude::*;
/// # #[murmur::event]
/// # pub struct PageView { pub page_id: String, pub user_id: String }
/// /// Views and readers per page.
/// #[murmur::pipeline(key = page_id, fields(views, readers))]
/// pub fn page_readers(view: &PageView) -> (Count, Distinct) {
///     (Count::one(), Distinct::of(&view.user_id))
/// }
///
/// # let view = PageView { page_id: "/home".into(), user_id: "ada".into() };
/// let kept = PageReadersTotals::from(page_readers(&view));
/// assert_eq!(kept.reply(&Question::default())?.views, 1);
/// # Ok::<(), murmur::Error>(())
/// ```
///
/// | argument | form |
/// |---|---|
/// | `key` | `key = page_id`, `key = (shop_id, sku)` |
/// | `rollup` | `rollup = [(post_id, country), (post_id), ()]` |
/// | `window` | `sliding("90d", slot = "1m")`, `tumbling("1h", keep = "30d")`; without it, all time |
/// | `dedup` | `dedup = event_id`, `dedup = within(1_000_000, (shop_id, order_id))`: of events that were sent twice the first counts; without a number, of those that stand at most 100,000 apart in their partition |
/// | `fields` | `fields(views, readers)`: the names of the members of a tuple, in their order |
/// | `unbounded` | alone: accepts an [`impl Monoid`](aggregate::Monoid) without a bound; what a full item of the store cannot take is a dead letter |
/// | `name` | `name = "likes"`; the function's name without it |
/// | `package` | `package = "shop.orders.v1"`; the crate's name and `v1` without it |
/// | `crate` | `crate = path`, where the runtime is found; `::murmur` without it |
pub use murmur_macros::pipeline;

/// The `main` of a binary that is worker, query server and operator tool: `murmur::main!(page_traffic);`.
///
/// Pipelines are given by the path of their function, or by their name beside the struct they stand on. A generator of
/// events can follow: `murmur::main!(page_traffic, likes; generator = generator::line);`.
///
/// Payloads are JSON, unless a [`Format`](engine::Format) says otherwise. Pipelines of one event have one format:
///
/// ```ignore
/// murmur::main!(page_traffic: protobuf<proto::PageView>);
/// murmur::main!(
///     page_traffic: descriptor(include_bytes!(concat!(env!("OUT_DIR"), "/page_view.bin")), "shop.v1.PageView"),
///     likes: confluent<json>,
/// );
/// ```
///
/// It sets the hook of panics: one that was there before is not called, as the log is to have no words of a panic, which may quote an
/// event. Who wants to be told of panics writes the `main` by hand, with [`App::on_panic`](app::App::on_panic).
#[cfg(feature = "app")]
pub use murmur_macros::main;

/// What macro output names. Not for people: it changes with every release.
#[doc(hidden)]
pub mod __private {
    pub use bytes::{Buf, BufMut};
    pub use prost;
    pub use prost::encoding::{DecodeContext, WireType, skip_field};
}
