//! Kafka as a source, with a real broker and the real worker.

mod begins;
mod compressed;
mod group;
mod letters;
mod log;
mod waits;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use murmur::aggregate::{Count, Number};
use murmur::engine::{DeadLetterLimit, Options, Progress, Summary, Unreadable, Worker, WorkerBuilder};
use murmur::event::Event;
use murmur::pipeline::{Emissions, Pipeline, Spec};
use murmur::source::kafka::{self, KafkaConfig};
use murmur::source::{DeadLetters, FileDeadLetters, KafkaDeadLetters, KafkaLettersConfig};
use murmur::store::{EmbeddedConfig, EmbeddedStore, MemoryStore, Store, Table};
use murmur::time::{Span, Timestamp, Window};
use murmur::{ErrorKind, Result};
use murmur_tests::kafka::Cluster;
use rdkafka::Message;
use rdkafka::message::Headers;
use tokio::sync::watch;

struct Word(String);

impl Event for Word {
    const NAME: &'static str = "Word";
    const FIELDS: &'static [&'static str] = &["text"];

    fn time(&self) -> Option<Timestamp> {
        None
    }
}

/// Every text but `!`. A text that begins with `stall` takes [`STALL`] when it comes first.
fn decode(payload: &[u8]) -> Result<Word, Unreadable> {
    static STALLED: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    match std::str::from_utf8(payload) {
        Ok("!") => Err("an exclamation".into()),
        Ok(text) => {
            if text.starts_with("stall") && STALLED.lock().unwrap().insert(text.to_owned()) {
                std::thread::sleep(STALL);
            }
            Ok(Word(text.to_owned()))
        }
        Err(error) => Err(error.to_string().into()),
    }
}

/// Longer than the group waits for a member with [`IMPATIENT`].
const STALL: Duration = Duration::from_secs(9);
const IMPATIENT: &str = "&librdkafka.session.timeout.ms=6000&librdkafka.max.poll.interval.ms=6000\
                         &librdkafka.heartbeat.interval.ms=500";

murmur::key! {
    /// A word.
    struct WordKey: "tests.v1.WordKey" {
        /// Itself.
        text: String = 1,
    }
}

struct Words;

impl Pipeline for Words {
    type Event = Word;
    type Key = WordKey;
    type Aggregate = Count;
    const SPEC: Spec = Spec {
        name: "words",
        package: "tests.v1",
        service: "WordsService",
        about: "Words, counted.",
        window: Window::AllTime,
        fingerprint: 0,
    };

    fn apply(event: &Word, out: &mut Emissions<Count>) {
        out.begin("").field(&event.0);
        out.emit(Count::one());
    }
}

/// The same in a table of its own.
struct Later;

impl Pipeline for Later {
    type Event = Word;
    type Key = WordKey;
    type Aggregate = Count;
    const SPEC: Spec = Spec { name: "later", about: "Words, counted by one who came later.", ..Words::SPEC };

    fn apply(event: &Word, out: &mut Emissions<Count>) {
        Words::apply(event, out);
    }
}

type Counts = BTreeMap<String, i128>;

pub(crate) async fn counts(store: &dyn Store) -> Counts {
    counts_in(store, "words").await
}

async fn counts_in(store: &dyn Store, table: &str) -> Counts {
    let mut counts = Counts::new();
    for (id, item) in store.scan(&Table::new(table, 1), None, usize::MAX).await.unwrap() {
        for (_, number) in &item.numbers {
            let Number::Int(count) = number else { panic!("{item:?}") };
            *counts.entry(id.key.trim_start_matches('=').to_owned()).or_default() += count;
        }
    }
    counts
}

pub(crate) fn words(range: std::ops::Range<u64>) -> impl Iterator<Item = String> {
    range.map(|n| format!("word {}", n * 7 % 997))
}

pub(crate) fn count<T: Into<String>>(words: impl IntoIterator<Item = T>) -> Counts {
    let mut counts = Counts::new();
    words.into_iter().for_each(|word| *counts.entry(word.into()).or_default() += 1);
    counts
}

/// A worker on a thread with a runtime of its own, as the binary has it.
pub(crate) struct Running {
    stop: watch::Sender<bool>,
    progress: watch::Receiver<Progress>,
    thread: JoinHandle<Result<Summary>>,
}

impl Running {
    pub(crate) fn start(store: &Arc<dyn Store>, config: KafkaConfig, letters: impl Into<Letters>) -> Self {
        Self::begin(store, config, letters, DeadLetterLimit::default(), WorkerBuilder::pipeline::<Words>)
    }

    /// With a limit of its own; 100 % for a test that has nothing but bad messages.
    pub(crate) fn start_with(
        store: &Arc<dyn Store>,
        config: KafkaConfig,
        letters: impl Into<Letters>,
        limit: DeadLetterLimit,
    ) -> Self {
        Self::begin(store, config, letters, limit, WorkerBuilder::pipeline::<Words>)
    }

    fn with(
        store: &Arc<dyn Store>,
        config: KafkaConfig,
        letters: impl Into<Letters>,
        pipelines: fn(WorkerBuilder<Word>) -> WorkerBuilder<Word>,
    ) -> Self {
        Self::begin(store, config, letters, DeadLetterLimit::default(), pipelines)
    }

    fn begin(
        store: &Arc<dyn Store>,
        config: KafkaConfig,
        letters: impl Into<Letters>,
        limit: DeadLetterLimit,
        pipelines: fn(WorkerBuilder<Word>) -> WorkerBuilder<Word>,
    ) -> Self {
        let (store, letters) = (store.clone(), letters.into());
        let (stop, stopped) = watch::channel(false);
        let (sender, receiver) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let source = kafka::open(config)?;
                let mut options = Options::default();
                options.flush_interval = Span::from_millis(100);
                options.dead_letter_limit = limit;
                let worker = Worker::builder(store, source, decode, letters.open()).options(options);
                let worker = pipelines(worker).build();
                sender.send(worker.progress()).unwrap();
                worker.run(stopped).await
            })
        });
        let progress = receiver.recv().unwrap();
        Self { stop, progress, thread }
    }

    pub(crate) fn wait(self) -> Result<Summary> {
        let summary = self.thread.join().unwrap();
        drop(self.stop);
        summary
    }

    pub(crate) fn stop(self) -> Result<Summary> {
        self.stop.send_replace(true);
        self.wait()
    }

    pub(crate) async fn until(&mut self, what: &str, is_so: impl FnMut(&Progress) -> bool) {
        let waited = tokio::time::timeout(Duration::from_secs(60), self.progress.wait_for(is_so)).await;
        waited.unwrap_or_else(|_| panic!("not within a minute: {what}")).unwrap();
    }
}

pub(crate) enum Letters {
    Folder(tempfile::TempDir),
    Topic(KafkaLettersConfig),
}

impl Letters {
    fn folder() -> Self {
        Self::Folder(tempfile::tempdir().unwrap())
    }

    fn open(self) -> Box<dyn DeadLetters> {
        match self {
            Self::Folder(folder) => Box::new(FileDeadLetters::open(folder.keep()).unwrap()),
            Self::Topic(config) => Box::new(KafkaDeadLetters::open(&config).unwrap()),
        }
    }
}

impl From<()> for Letters {
    fn from((): ()) -> Self {
        Self::folder()
    }
}

impl From<KafkaLettersConfig> for Letters {
    fn from(config: KafkaLettersConfig) -> Self {
        Self::Topic(config)
    }
}

pub(crate) fn memory() -> Arc<dyn Store> {
    Arc::new(MemoryStore::new())
}

fn embedded(folder: &Path) -> Arc<dyn Store> {
    Arc::new(EmbeddedStore::open(&EmbeddedConfig::new(folder)).unwrap())
}

pub(crate) fn config(cluster: &Cluster, topic: &str, group: &str, options: &str) -> KafkaConfig {
    KafkaConfig::parse(&format!("kafka://{}/{topic}?group={group}{options}", cluster.brokers)).unwrap()
}

/// Read what is there.
fn read(store: &Arc<dyn Store>, cluster: &Cluster, topic: &str, group: &str, options: &str) -> Result<Summary> {
    let mut config = config(cluster, topic, group, options);
    config.until_end = true;
    Running::start(store, config, ()).wait()
}

pub(crate) fn header(message: &impl Message, name: &str) -> Option<String> {
    let headers = message.headers()?;
    let header = headers.iter().find(|header| header.key == name)?;
    header.value.map(|value| String::from_utf8_lossy(value).into_owned())
}
