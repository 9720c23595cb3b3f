//! What the tests of this folder share: two pipelines, their descriptor, and a server in this process.

mod access;
mod calendar;
mod calls;
mod cors;
mod explaining;
mod frames;
pub(super) mod http;
mod json;
mod kept;
mod layered;
mod lengths;
mod limits;
mod maps;
#[cfg(feature = "metrics")]
mod measured;
mod mounted;
mod partitions;
mod questions;
mod refusals;
mod serving;
pub(crate) mod sets;
mod silent;
mod stopping;
#[cfg(feature = "otlp")]
mod traces;
mod unkept;
mod untaken;
mod watching;
mod web;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::net::TcpListener;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;
use tonic::transport::Channel;

use super::drain::Drain;
use super::router::Router;
use super::{Client, Server, ServerBuilder};
use crate::aggregate::{Column, Count, DecodeError, Form, Monoid, Number, Question, envelope};
use crate::engine::PartitionRecord;
use crate::event::Event;
use crate::key::{Key, KeyBuf};
use crate::pipeline::{Emissions, Pipeline, Spec};
use crate::query::Reader;
use crate::query::tests::Standing;
use crate::query::tests::hooked::{Hook, Hooked};
use crate::source::{Offset, PartitionId};
use crate::store::{Applied, MemoryStore, Outcome, Table, TileId, Touched, Write};
use crate::time::{Span, Timestamp, Window};
use crate::{Error, ErrorKind};

/// Nothing is applied in these tests: tiles are written directly.
pub(crate) struct Nothing;

impl Event for Nothing {
    const NAME: &'static str = "Nothing";
    const FIELDS: &'static [&'static str] = &[];

    fn time(&self) -> Option<Timestamp> {
        None
    }
}

crate::key! {
    /// Which item, on which shelf of which shop.
    pub(crate) struct StockKey: "test.v1.StockKey" {
        /// The shop.
        shop: u64 = 1,
        /// The item.
        sku: String = 2,
        /// The shelf; those in the cellar are negative.
        shelf: i64 = 3,
    }
}

crate::key! {
    /// Which note.
    pub(crate) struct NoteKey: "test.v1.NoteKey" {
        /// Its name.
        id: String = 1,
    }
}

/// The last text written.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Text(pub(super) String);

impl Monoid for Text {
    const FORM: Form = Form::Put;
    const MAX_BYTES: usize = usize::MAX;
    type Reply = String;

    fn identity() -> Self {
        Self(String::new())
    }

    fn combine(&mut self, later: Self) {
        *self = later;
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.0.as_bytes());
    }

    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        String::from_utf8(bytes.to_vec()).map(Self).map_err(|e| DecodeError(e.to_string()))
    }

    /// The text, and what was asked beside it.
    fn reply(&self, question: &Question) -> crate::Result<String> {
        let Question { as_of, quantiles, ranks, elements } = question;
        if *question == Question::at(*as_of) {
            return Ok(self.0.clone());
        }
        Ok(format!("{}; {quantiles:?} {ranks:?} {elements:?} at {as_of}", self.0))
    }
}

/// Counts, over up to two days.
pub(crate) struct Stock;

impl Pipeline for Stock {
    type Event = Nothing;
    type Key = StockKey;
    type Aggregate = Count;
    const SPEC: Spec = Spec {
        name: "stock",
        package: "test.v1",
        service: "StockService",
        about: "What lies on the shelves.",
        window: Window::Sliding { span: Span::from_seconds(2 * 86_400), slot: Span::from_seconds(3_600) },
        fingerprint: 0,
    };

    fn apply(_: &Nothing, _: &mut Emissions<Count>) {}
}

/// Texts, over all time.
pub(super) struct Notes;

impl Pipeline for Notes {
    type Event = Nothing;
    type Key = NoteKey;
    type Aggregate = Text;
    const SPEC: Spec = Spec {
        name: "notes",
        package: "test.v1",
        service: "NotesService",
        about: "What was noted.",
        window: Window::AllTime,
        fingerprint: 0,
    };

    fn apply(_: &Nothing, _: &mut Emissions<Text>) {}
}

pub(super) const STOCK: &str = "test.v1.StockService";
pub(super) const NOTES: &str = "test.v1.NotesService";

/// The descriptor set of all services, as protoc would make it of the filled templates.
pub(crate) static DESCRIPTOR: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let templates = Path::new(env!("CARGO_MANIFEST_DIR")).join("../proto-templates");
    let template = std::fs::read_to_string(templates.join("pipeline.proto.template")).unwrap();
    let fill = |about: &str, service: &str, key: &str, value: &str, stem: &str| {
        let filled = template.replace("{{about}}", about).replace("{{service}}", service).replace("{{key}}", key);
        let filled = filled.replace("{{value}}", value).replace("{{entry}}", &format!("{stem}Entry"));
        filled.replace("{{point}}", &format!("{stem}Point"))
    };
    let head = "syntax = \"proto3\";\npackage test.v1;\nimport \"google/protobuf/duration.proto\";\n\
                import \"google/protobuf/timestamp.proto\";\nimport \"murmur/v1/types.proto\";\n\
                import \"murmur/v1/query.proto\";\n\
                message StockKey { uint64 shop = 1; string sku = 2; int64 shelf = 3; }\n\
                message NoteKey { string id = 1; }\n\
                message Traffic { uint64 views = 1; murmur.v1.Estimate readers = 2; murmur.v1.Estimate buyers = 3; }\n\
                message CountByString { map<string, uint64> entries = 1; bool truncated = 2; }\n\
                message MaxI64ByI64 { map<int64, int64> entries = 1; bool truncated = 2; }\n\
                message AverageByBool { map<bool, murmur.v1.Average> entries = 1; bool truncated = 2; }\n\
                message Tastes { CountByString cups = 1; MaxI64ByI64 hottest = 2; AverageByBool stay = 3; }\n";
    let stock = fill("Stock.", "StockService", "StockKey", "uint64", "Stock");
    let notes = fill("Notes.", "NotesService", "NoteKey", "string", "Notes");
    let visits = fill("Visits.", "VisitsService", "NoteKey", "Traffic", "Visits");
    let guests = fill("Guests.", "GuestsService", "NoteKey", "Tastes", "Guests");
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("test.proto"), format!("{head}{stock}{notes}{visits}{guests}")).unwrap();
    let mut compiler = protox::Compiler::new([folder.path(), &templates]).unwrap();
    compiler.include_imports(true).open_file("test.proto").unwrap();
    compiler.encode_file_descriptor_set()
});

/// How a store behaves at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mood {
    Fine,
    Down,
    /// It does not let anyone in.
    Closed,
    Hanging,
}

/// A mood that can change while reads wait, how many reads have begun, and how many of them were dropped before they ended.
pub(super) struct Moody {
    pub(super) mood: watch::Sender<Mood>,
    pub(super) reads: watch::Sender<usize>,
    pub(super) dropped: AtomicUsize,
}

/// A read, until it ends.
struct Unfinished<'a> {
    dropped: &'a AtomicUsize,
    ended: bool,
}

impl Unfinished<'_> {
    fn end(&mut self) {
        self.ended = true;
    }
}

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        self.dropped.fetch_add(usize::from(!self.ended), Ordering::SeqCst);
    }
}

impl Hook for Moody {
    fn before_read<'a>(&'a self, _: &'a [TileId]) -> BoxFuture<'a, crate::Result<()>> {
        self.reads.send_modify(|reads| *reads += 1);
        let mut mood = self.mood.subscribe();
        let mut unfinished = Unfinished { dropped: &self.dropped, ended: false };
        Box::pin(async move {
            let now = *mood.wait_for(|mood| *mood != Mood::Hanging).await.unwrap();
            unfinished.end();
            match now {
                Mood::Down => Err(Error::new(ErrorKind::Unavailable, "no route to host 10.1.2.3")),
                Mood::Closed => Err(Error::new(ErrorKind::Denied, "the token of AKIA123 has expired")),
                _ => Ok(()),
            }
        })
    }
}

impl Moody {
    /// Until so many reads have begun.
    pub(super) async fn reads(&self, count: usize) {
        self.reads.subscribe().wait_for(|reads| *reads >= count).await.unwrap();
    }
}

/// A store, and everything that is made of it.
pub(crate) struct World {
    pub(super) store: Arc<Hooked<Moody>>,
    pub(super) moody: Arc<Moody>,
    /// Told of what is written below.
    pub(super) touched: Touched,
}

pub(super) fn now() -> Timestamp {
    "2026-03-01T12:30:00Z".parse().unwrap()
}

pub(super) fn hours_ago(hours: u64) -> Timestamp {
    now().saturating_sub(Span::from_seconds(hours * 3_600))
}

pub(super) fn stock(shop: u64, sku: &str, shelf: i64) -> StockKey {
    StockKey { shop, sku: sku.into(), shelf }
}

pub(super) fn note(id: &str) -> NoteKey {
    NoteKey { id: id.into() }
}

fn text_of(key: &impl Key) -> Arc<str> {
    let mut buffer = KeyBuf::default();
    let place = Key::encode(key, &mut buffer).unwrap();
    buffer.slice(place).into()
}

impl World {
    pub(super) fn new() -> Self {
        let (mood, reads) = (watch::Sender::new(Mood::Fine), watch::Sender::new(0));
        let moody = Arc::new(Moody { mood, reads, dropped: AtomicUsize::new(0) });
        let store = Arc::new(Hooked { inner: Arc::new(MemoryStore::new()), hook: moody.clone() });
        Self { store, moody, touched: Touched::new() }
    }

    /// Count so many more at this time.
    pub(super) async fn count(&self, key: &StockKey, at: Timestamp, count: u64) {
        let (tile, slot) = Stock::tiling().locate(at);
        let number = ((slot, Column { field: 0, part: 0 }), Number::Int(count.into()));
        // Each write from a partition of its own is new.
        let partition = PartitionId::new(format!("{key:?}{at:?}{count}"));
        let applied = vec![Applied { partition, first: Offset::ZERO, last: Offset::ZERO }];
        let id = TileId { key: text_of(key), tile, part: None };
        let write = Write::Add {
            id,
            numbers: vec![number],
            applied,
            expires: Stock::tiling().expiry(tile, &Stock::SPEC.window),
        };
        self.write("stock", write).await;
    }

    /// Note a text; `version` goes up.
    pub(super) async fn note(&self, key: &NoteKey, version: u64, text: &str) {
        self.put_note(key, version, envelope::seal(&Text(text.into())).into()).await;
    }

    /// The same of bytes that need not be a text.
    pub(super) async fn put_note(&self, key: &NoteKey, version: u64, bytes: bytes::Bytes) {
        let (tile, slot) = Notes::tiling().locate(Timestamp::EPOCH);
        let id = TileId { key: text_of(key), tile, part: Some(PartitionId::new("p")) };
        let values = vec![(slot, bytes)];
        self.write(
            "notes",
            Write::Put { id, values, first: Offset::ZERO, last: Offset::from_u64(version), expires: None },
        )
        .await;
    }

    /// Workers have come so far in these partitions of the notes.
    pub(super) async fn reached(&self, partitions: &[PartitionId], offset: u64) {
        let table = Table::new("notes", 1);
        for partition in partitions {
            let standing = PartitionRecord::load(&*self.store, &table, partition).await.unwrap();
            let (commit, watermark) = (Some(Offset::from_u64(offset)), Some(hours_ago(1)));
            let record = PartitionRecord { commit, watermark, ..PartitionRecord::default() };
            record.raise(&*self.store, &table, partition, standing).await.unwrap();
        }
    }

    async fn write(&self, pipeline: &str, write: Write) {
        let store = self.touched.store(self.store.clone());
        let outcomes = store.write(&Table::new(pipeline, 1), [write].into()).await;
        assert_eq!(outcomes.into_iter().next().unwrap().unwrap(), Outcome::Applied);
    }

    pub(super) fn stock(&self) -> Reader<Stock> {
        Reader::new(self.store.clone(), 1).clock(Arc::new(Standing(now())))
    }

    pub(super) fn notes(&self) -> Reader<Notes> {
        Reader::new(self.store.clone(), 1).clock(Arc::new(Standing(now())))
    }

    pub(super) fn builder(&self) -> ServerBuilder {
        Server::builder().pipeline(self.stock()).pipeline(self.notes()).descriptor(&DESCRIPTOR)
    }

    /// Everything of a server but its sockets.
    pub(super) fn router(&self) -> Router {
        self.builder().build(Drain::never()).unwrap().0
    }

    pub(super) async fn serve(&self) -> Running {
        Running::start(self.builder()).await
    }
}

/// A server on a port of this machine.
pub(super) struct Running {
    pub(super) address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<crate::Result<()>>,
}

impl Running {
    pub(super) async fn start(builder: ServerBuilder) -> Self {
        Self::start_at("127.0.0.1:0".parse().unwrap(), builder).await
    }

    pub(super) async fn start_at(address: SocketAddr, builder: ServerBuilder) -> Self {
        // A port that was given before may be that of somebody's connection for a moment.
        let bound = async {
            loop {
                match TcpListener::bind(address).await {
                    Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => {
                        tokio::time::sleep(Duration::from_millis(5)).await;
                    }
                    bound => break bound.unwrap(),
                }
            }
        };
        let listener = tokio::time::timeout(Duration::from_secs(20), bound).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(builder.serve(listener, async move { drop(stopped.await) }));
        Self { address, stop: Some(stop), task }
    }

    pub(super) fn uri(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(super) async fn channel(&self) -> Channel {
        Channel::from_shared(self.uri()).unwrap().connect().await.unwrap()
    }

    pub(super) async fn client<P: Pipeline>(&self) -> Client<P> {
        Client::connect(self.uri()).await.unwrap()
    }

    /// Ask it to stop.
    pub(super) fn ask_to_stop(&mut self) {
        self.stop.take().unwrap().send(()).unwrap();
    }

    /// Until it has stopped by itself.
    pub(super) async fn stopped(self) {
        self.task.await.unwrap().unwrap();
    }
}
