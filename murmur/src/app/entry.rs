use std::any::{Any, TypeId};
use std::fmt;
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, LocalBoxFuture};
use prost::Message;
use tokio::sync::watch;

use super::GENERATION;
use crate::aggregate::{Form, Monoid};
use crate::engine::{Format, Options, Progress, Summary, Worker, WorkerBuilder, readable};
use crate::event::Event;
use crate::grpc::ServerBuilder;
use crate::key::Key;
use crate::pipeline::{Pipeline, Spec};
use crate::query::{Limits, Reader, TileCache};
use crate::size::ItemSize;
use crate::source::{DeadLetters, Source};
use crate::store::Store;
use crate::time::Tiling;
use crate::{Error, ErrorKind, Result};

/// One pipeline of the binary, without its types.
#[derive(Clone, Copy)]
pub(super) struct Entry {
    pub(super) spec: Spec,
    pub(super) event: EventType,
    /// Pipelines of one event type read one form.
    pub(super) format: TypeId,
    /// Whether payloads can be read at all: a format can have been given wrongly.
    pub(super) readable_format: fn() -> Result<()>,
    pub(super) form: Form,
    /// How large its items can get.
    pub(super) size: ItemSize,
    /// The field that can take the most bytes, where the aggregate is a struct.
    pub(super) largest_field: Option<(&'static str, usize)>,
    pub(super) tiling: Tiling,
    pub(super) key_fields: &'static [&'static str],
    pub(super) grains: &'static [&'static [&'static str]],
    /// How far apart events that were sent twice may stand; `None` where every event counts.
    pub(super) within: Option<u64>,
    /// From the key's fields as a person types them to the key's message.
    pub(super) parse_key: fn(&[String]) -> Result<Vec<u8>, String>,
    /// From the stored text of a key to the key's message.
    pub(super) decode_key: fn(&str) -> Result<Vec<u8>, String>,
    /// Whether this program can read what a store holds of it.
    pub(super) readable: fn(Arc<dyn Store>) -> BoxFuture<'static, Result<()>>,
    /// Add its service to a server.
    pub(super) serve: fn(ServerBuilder, Arc<dyn Store>, Reading<'_>) -> ServerBuilder,
    build: Build,
}

/// How the readers of a server read.
#[derive(Clone, Copy, Default)]
pub(super) struct Reading<'a> {
    /// Which they share.
    pub(super) cache: Option<&'a TileCache>,
    pub(super) limits: Limits,
}

/// Pipelines of one event type share a worker.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct EventType {
    id: TypeId,
    pub(super) name: &'static str,
}

/// What every worker needs.
pub(super) struct Parts {
    pub(super) store: Arc<dyn Store>,
    pub(super) source: Box<dyn Source>,
    pub(super) dead_letters: Box<dyn DeadLetters>,
    pub(super) options: Options,
    /// Where it says how far it is.
    pub(super) gauge: watch::Sender<Progress>,
}

/// Building a worker for events of a type that only the entry knows. The builder travels as `Any`: each function gets
/// back what another one of the same event type returned.
#[derive(Clone, Copy)]
struct Build {
    begin: fn(Parts) -> Result<AnyBuilder>,
    pipeline: fn(AnyBuilder) -> Option<AnyBuilder>,
    finish: fn(AnyBuilder, watch::Sender<Progress>) -> Option<Box<dyn AnyWorker>>,
}

/// A [`WorkerBuilder`] of some event type.
type AnyBuilder = Box<dyn Any>;

/// A worker of any event type.
pub(super) trait AnyWorker {
    /// See [`Worker::work_until_the_end`].
    fn work(&mut self, shutdown: watch::Receiver<bool>) -> LocalBoxFuture<'_, Result<Summary>>;

    /// See [`Worker::let_go_and_finish`].
    fn finish(self: Box<Self>, summary: Summary, shutdown: watch::Receiver<bool>) -> LocalBoxFuture<'static, Summary>;
}

impl<E: Event> AnyWorker for Worker<E> {
    fn work(&mut self, shutdown: watch::Receiver<bool>) -> LocalBoxFuture<'_, Result<Summary>> {
        self.work_until_the_end(shutdown).boxed_local()
    }

    fn finish(self: Box<Self>, summary: Summary, shutdown: watch::Receiver<bool>) -> LocalBoxFuture<'static, Summary> {
        self.let_go_and_finish(summary, shutdown).boxed_local()
    }
}

impl Entry {
    /// The entry of a pipeline whose events are read from payloads of this form.
    pub(super) fn of<P: Pipeline, F: Format<P::Event>>() -> Self {
        Self {
            spec: P::SPEC,
            event: EventType { id: TypeId::of::<P::Event>(), name: P::Event::NAME },
            format: TypeId::of::<F>(),
            readable_format: || F::decoder().map(drop),
            form: P::Aggregate::FORM,
            size: ItemSize::of::<P::Aggregate>(&P::SPEC.window),
            largest_field: P::Aggregate::LARGEST_FIELD,
            tiling: P::tiling(),
            key_fields: P::Key::FIELDS,
            grains: P::Key::GRAINS,
            within: P::DEDUP.map(|dedup| dedup.within),
            parse_key: |texts| P::Key::parse(texts).map(|key| key.encode_to_vec()),
            decode_key: |text| <P::Key as Key>::decode(text).map(|key| key.encode_to_vec()),
            readable: |store| async move { readable::<P>(&*store, GENERATION).await }.boxed(),
            serve: |server, store, Reading { cache, limits }| {
                let reader = Reader::<P>::new(store, GENERATION).limits(limits).rolling();
                server.pipeline(match cache {
                    Some(cache) => reader.caching(cache),
                    None => reader,
                })
            },
            build: Build {
                begin: |parts| {
                    let Parts { store, source, dead_letters, options, .. } = parts;
                    let builder = Worker::builder(store, source, F::decoder()?, dead_letters);
                    Ok(Box::new(builder.options(options)))
                },
                pipeline: |builder| {
                    let builder = builder.downcast::<WorkerBuilder<P::Event>>().ok()?;
                    Some(Box::new(builder.pipeline::<P>()))
                },
                finish: |builder, gauge| {
                    let builder = builder.downcast::<WorkerBuilder<P::Event>>().ok()?;
                    Some(Box::new(builder.build().report_to(gauge)))
                },
            },
        }
    }
}

/// Whether these pipelines can share a worker.
pub(super) fn same_events(entries: &[Entry]) -> Result<()> {
    let [first, rest @ ..] = entries else {
        return Err(Error::new(ErrorKind::InvalidArgument, "there is no pipeline to run"));
    };
    let Some(other) = rest.iter().find(|entry| entry.event != first.event) else { return Ok(()) };
    let context = format!(
        "`{}` reads `{}` and `{}` reads `{}`, which are not in one source; choose with `--pipeline`",
        first.spec.name, first.event.name, other.spec.name, other.event.name
    );
    Err(Error::new(ErrorKind::InvalidArgument, context))
}

/// One worker for all these pipelines, which read the same events.
pub(super) fn worker(entries: &[Entry], parts: Parts) -> Result<Box<dyn AnyWorker>> {
    same_events(entries)?;
    let first = &entries[0];
    let gauge = parts.gauge.clone();
    let begun = Some((first.build.begin)(parts)?);
    let built = entries.iter().fold(begun, |builder, entry| (entry.build.pipeline)(builder?));
    built
        .and_then(|builder| (first.build.finish)(builder, gauge))
        .ok_or_else(|| Error::new(ErrorKind::Internal, "pipelines of one event type have different builders"))
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Entry").field(&self.spec.name).finish()
    }
}
