//! The same updates inside the real worker: decoding, keys, windows, fold table, flushes and the memory store.

use std::marker::PhantomData;
use std::sync::{Arc, OnceLock};

use murmur::aggregate::{Form, Monoid, envelope};
use murmur::engine::{Options, Worker};
use murmur::event::Event;
use murmur::pipeline::{Emissions, Pipeline, Spec};
use murmur::store::{MemoryStore, Store, Table};
use murmur::time::{Span, Timestamp, Window};
use tokio::sync::watch;

use super::cases::Case;
use crate::draws::Draws;
use crate::pool::Pool;
use crate::resources::{Meter, Used};
use crate::views::NoLetters;

/// How many keys the events are spread over, evenly.
const KEYS: u32 = 100;

/// An event that costs next to nothing to decode: its texts lie in [`NAMES`].
struct Draw {
    element: u32,
    n: usize,
}

/// The texts of all elements; every run has the same ones.
static NAMES: OnceLock<Vec<String>> = OnceLock::new();

impl Event for Draw {
    const NAME: &'static str = "Draw";
    const FIELDS: &'static [&'static str] = &["element", "n"];

    fn time(&self) -> Option<Timestamp> {
        // All in one hour.
        Some(Timestamp::from_micros(self.n as i64))
    }
}

murmur::key! {
    /// One of [`KEYS`].
    struct PartKey: "bench.v1.PartKey" {
        /// Which.
        part: u32 = 1,
    }
}

struct Fed<C>(PhantomData<C>);

impl<C: Case> Pipeline for Fed<C> {
    type Event = Draw;
    type Key = PartKey;
    type Aggregate = C::Value;
    const SPEC: Spec = Spec {
        name: C::NAME,
        package: "bench.v1",
        service: "DrawService",
        about: "",
        window: Window::Tumbling { size: Span::from_seconds(3_600), keep: Span::from_seconds(100 * 365 * 86_400) },
        fingerprint: 0,
    };

    fn apply(draw: &Draw, out: &mut Emissions<C::Value>) {
        let Some(name) = NAMES.get().and_then(|names| names.get(draw.element as usize)) else { return };
        out.begin("").field(&(draw.n as u32 % KEYS));
        out.emit(C::of(name, draw.element, draw.n));
    }
}

/// Fold all of it by a worker; what that used, and whether the store then holds what it should.
pub(super) fn run<C: Case>(draws: &Draws) -> Result<(Used, bool), String> {
    let names = NAMES.get_or_init(|| draws.names.clone());
    if names.len() != draws.names.len() {
        return Err("the elements of all runs have to be the same".into());
    }
    let mut bytes = Vec::with_capacity(12 * draws.order.len());
    for (n, element) in draws.order.iter().enumerate() {
        bytes.extend_from_slice(&(n as u64).to_le_bytes());
        bytes.extend_from_slice(&element.to_le_bytes());
    }
    let ends = (1..=draws.order.len()).map(|n| 12 * n).collect();
    let pool = Pool::new(bytes, ends, draws.events());
    let store = Arc::new(MemoryStore::default());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    let runtime = runtime.map_err(|error| error.to_string())?;
    let worker = Worker::builder(store.clone(), Box::new(pool), decode, Box::new(NoLetters))
        .options(Options::default())
        .pipeline::<Fed<C>>()
        .build();
    let (_stop, stopped) = watch::channel(false);
    let meter = Meter::start();
    runtime.block_on(worker.run(stopped)).map_err(|error| error.to_string())?;
    let used = meter.used();
    let value = runtime.block_on(whole::<C::Value>(&*store, C::NAME)).map_err(|error| error.to_string())?;
    Ok((used, C::is_right(&value, draws)))
}

fn decode(payload: &[u8]) -> Result<Draw, murmur::engine::Unreadable> {
    let (n, element) = payload.split_first_chunk().ok_or("cut off")?;
    let element = u32::from_le_bytes(element.try_into().map_err(|_| "cut off")?);
    // Whoever decodes a text has it at hand afterwards, in the processor's cache.
    std::hint::black_box(NAMES.get().and_then(|names| names.get(element as usize)?.as_bytes().last()));
    Ok(Draw { n: u64::from_le_bytes(*n) as usize, element })
}

/// Everything that the store holds, as one value.
async fn whole<A: Monoid>(store: &dyn Store, name: &'static str) -> murmur::Result<A> {
    let (mut whole, mut after) = (A::identity(), None);
    loop {
        let page = store.scan(&Table::new(name, 1), after.as_ref(), 10_000).await?;
        let Some((last, _)) = page.last() else { return Ok(whole) };
        after = Some(last.clone());
        let bad =
            |error: murmur::aggregate::DecodeError| murmur::Error::new(murmur::ErrorKind::Corrupt, error.to_string());
        for (_, item) in page {
            match A::FORM {
                Form::Add => {
                    for ((_, column), number) in item.numbers {
                        whole.add_number(column.field, column, number).map_err(bad)?;
                    }
                }
                Form::Put => {
                    for (_, value) in item.values {
                        whole.combine(A::decode(envelope::unseal(&value).map_err(bad)?).map_err(bad)?);
                    }
                }
            }
        }
    }
}
