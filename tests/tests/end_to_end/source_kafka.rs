//! Kafka as a source, with a real broker and the real worker.

mod group;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use murmur::aggregate::{Count, Number};
use murmur::engine::{
    Clock, DeadLetterLimit, Options, PartitionRecord, Progress, Standing, Summary, SystemClock, Worker, WorkerBuilder,
};
use murmur::event::Event;
use murmur::pipeline::{Emissions, Pipeline, Spec};
use murmur::source::kafka::{self, KafkaConfig};
use murmur::source::{DeadLetters, FileDeadLetters, KafkaDeadLetters, KafkaLettersConfig, Offset};
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
fn decode(payload: &[u8]) -> Result<Word, String> {
    static STALLED: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    match std::str::from_utf8(payload) {
        Ok("!") => Err("an exclamation".to_owned()),
        Ok(text) => {
            if text.starts_with("stall") && STALLED.lock().unwrap().insert(text.to_owned()) {
                std::thread::sleep(STALL);
            }
            Ok(Word(text.to_owned()))
        }
        Err(error) => Err(error.to_string()),
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

#[tokio::test]
async fn every_message_of_eight_partitions_counts_once_and_a_second_run_reads_nothing() {
    let cluster = Cluster::from_environment();
    let (topic, group) = (cluster.topic("whole", 8).await, Cluster::name("whole"));
    cluster.send(&topic, 8, words(0..40_000));
    let folder = tempfile::tempdir().unwrap();
    for (store, group) in [(memory(), format!("{group}-m")), (embedded(folder.path()), format!("{group}-e"))] {
        let summary = read(&store, &cluster, &topic, &group, "").unwrap();
        assert!(summary.ended);
        assert_eq!((summary.progress.read, summary.progress.lag), (40_000, Some(0)));
        assert_eq!(summary.progress.partitions.len(), 8);
        assert_eq!(counts(&*store).await, count(words(0..40_000)));
        let committed = cluster.committed(&group, &topic, 8);
        assert_eq!(committed, (0..8).map(|partition| (partition, 5_000)).collect());

        let again = read(&store, &cluster, &topic, &group, "").unwrap();
        assert_eq!((again.ended, again.progress.read), (true, 0));
    }

    // What comes later is read from the commit, by whoever takes over: the store has the position too.
    cluster.send(&topic, 8, words(40_000..41_000));
    let store = embedded(folder.path());
    let resumed = read(&store, &cluster, &topic, &format!("{group}-e"), "").unwrap();
    assert_eq!(resumed.progress.read, 1_000);
    assert_eq!(counts(&*store).await, count(words(0..41_000)));
    let other_group = read(&store, &cluster, &topic, &format!("{group}-x"), "").unwrap();
    assert_eq!(other_group.progress.read, 0, "the group knows nothing, and the store knows it all");
    let committed = cluster.committed(&format!("{group}-x"), &topic, 8);
    assert_eq!(committed.values().sum::<i64>(), 41_000, "the group has learnt it");
}

#[tokio::test]
async fn partitions_that_are_added_are_read_from_their_first_message_on() {
    let cluster = Cluster::from_environment();
    let (topic, group) = (cluster.topic("grows", 1).await, Cluster::name("grows"));
    let store = memory();
    cluster.send(&topic, 1, words(0..10));
    let mut member = Running::start(&store, config(&cluster, &topic, &group, "&start=latest"), ());
    let deadline = Instant::now() + Duration::from_secs(60);
    while cluster.committed(&group, &topic, 1) != [(0, 10)].into() {
        assert!(Instant::now() < deadline, "it does not begin");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    cluster.grow(&topic, 3).await;
    cluster.send(&topic, 3, words(10..40));
    member.until("all partitions are read", |progress| progress.read >= 30).await;
    assert_eq!(member.stop().unwrap().progress.partitions.len(), 3);
    assert_eq!(counts(&*store).await, count(words(10..40)));
}

#[tokio::test]
async fn an_offset_that_is_gone_is_an_error_with_the_way_out() {
    let cluster = Cluster::from_environment();
    let (topic, group) = (cluster.topic("gone", 1).await, Cluster::name("gone"));
    let store = memory();
    cluster.send(&topic, 1, words(0..100));
    read(&store, &cluster, &topic, &group, "").unwrap();
    cluster.send(&topic, 1, words(100..200));
    cluster.delete_records(&topic, 0, 150).await;
    let error = read(&store, &cluster, &topic, &group, "").unwrap_err();
    assert_eq!((error.kind(), error.is_retryable()), (ErrorKind::OutOfRange, false));
    for part in ["OFFSET_OUT_OF_RANGE", &topic, "from offset 100", "150 up to 200", "50 messages", "gap=accept"] {
        assert!(error.to_string().contains(part), "`{part}` is missing in: {error}");
    }
    assert_eq!(counts(&*store).await, count(words(0..100)), "nothing was skipped silently");

    // The group knows nothing, and the store does: no start in the middle either.
    for options in ["", "&start=latest"] {
        let error = read(&store, &cluster, &topic, &Cluster::name("gone"), options).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::OutOfRange, "{error}");
    }

    // Moving the group is none: what it has as its commit is for others to look at.
    cluster.commit(&group, &topic, 0, 150);
    assert_eq!(read(&store, &cluster, &topic, &group, "").unwrap_err().kind(), ErrorKind::OutOfRange);

    // The way out, which is taken once, also where nothing is left to be read.
    let summary = read(&store, &cluster, &topic, &group, "&gap=accept").unwrap();
    assert_eq!(summary.progress.read, 50);
    let all: Vec<String> = words(0..100).chain(words(150..200)).collect();
    assert_eq!(counts(&*store).await, count(all.iter().cloned()));
    cluster.send(&topic, 1, words(200..210));
    cluster.delete_records(&topic, 0, 210).await;
    let summary = read(&store, &cluster, &topic, &group, "&gap=accept").unwrap();
    assert_eq!((summary.progress.read, cluster.committed(&group, &topic, 1)), (0, [(0, 210)].into()));
    cluster.send(&topic, 1, words(210..220));
    assert_eq!(read(&store, &cluster, &topic, &group, "").unwrap().progress.read, 10);
    assert_eq!(counts(&*store).await, count(all.into_iter().chain(words(210..220))));
}

#[tokio::test]
async fn a_position_beyond_the_end_of_the_log_is_an_error() {
    let cluster = Cluster::from_environment();
    let (topic, group) = (cluster.topic("beyond", 1).await, Cluster::name("beyond"));
    let store = memory();
    cluster.send(&topic, 1, words(0..10));
    let summary = read(&store, &cluster, &topic, &group, "").unwrap();
    let partition = &summary.progress.partitions[0].partition;
    let beyond = PartitionRecord { commit: Some(Offset::from_u64(20)), ..PartitionRecord::default() };
    beyond.raise(&*store, &Table::new("words", 1), partition, Standing::default()).await.unwrap();
    let error = read(&store, &cluster, &topic, &group, "").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::OutOfRange);
    assert!(error.to_string().contains("from offset 21") && error.to_string().contains("0 up to 10"), "{error}");
}

#[tokio::test]
async fn a_topic_that_is_created_again_is_counted_anew() {
    let cluster = Cluster::from_environment();
    let (topic, group) = (cluster.topic("again", 2).await, Cluster::name("again"));
    let store = memory();
    cluster.send(&topic, 2, words(0..1_000));
    let first = read(&store, &cluster, &topic, &group, "").unwrap();
    cluster.delete(&topic).await;
    cluster.create(&topic, 2).await;
    cluster.send(&topic, 2, words(0..1_500));
    let second = read(&store, &cluster, &topic, &group, "").unwrap();
    assert_eq!((first.progress.read, second.progress.read), (1_000, 1_500));
    assert_ne!(first.progress.partitions[0].partition, second.progress.partitions[0].partition);
    assert_eq!(counts(&*store).await, count(words(0..1_000).chain(words(0..1_500))));
}

#[tokio::test]
async fn a_topic_that_is_created_again_while_it_is_read_stops_the_worker() {
    let cluster = Cluster::from_environment();
    let (topic, group) = (cluster.topic("swapped", 1).await, Cluster::name("swapped"));
    let store = memory();
    cluster.send(&topic, 1, words(0..100));
    let mut running = Running::start(&store, config(&cluster, &topic, &group, ""), ());
    running.until("it has read", |progress| progress.read == 100).await;
    cluster.delete(&topic).await;
    cluster.create(&topic, 1).await;
    let error = running.wait().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(error.to_string().contains("created again"), "{error}");
}

#[tokio::test]
async fn aborted_messages_do_not_count_and_markers_at_the_end_are_passed() {
    let cluster = Cluster::from_environment();
    let (topic, group) = (cluster.topic("transactions", 1).await, Cluster::name("transactions"));
    cluster.transaction(&topic, &["a", "b"], true);
    cluster.transaction(&topic, &["b", "c", "c"], false);
    cluster.transaction(&topic, &["a"], true);
    cluster.transaction(&topic, &["d"], false);
    let end = cluster.end(&topic, 0);
    assert_eq!(end, 7 + 4, "seven messages and four markers");

    let store = memory();
    let summary = read(&store, &cluster, &topic, &group, "").unwrap();
    assert_eq!((summary.ended, summary.progress.read, summary.progress.lag), (true, 3, Some(0)));
    assert_eq!(counts(&*store).await, count(["a", "b", "a"]));
    assert_eq!(cluster.committed(&group, &topic, 1), [(0, end)].into(), "the commit has passed the last marker");
    let again = read(&store, &cluster, &topic, &group, "").unwrap();
    assert_eq!((again.ended, again.progress.read), (true, 0));

    // Without an end as well.
    let live = Cluster::name("transactions");
    let mut running = Running::start(&memory(), config(&cluster, &topic, &live, ""), ());
    running.until("everything is read", |progress| progress.read == 3 && progress.lag == Some(0)).await;
    running.stop().unwrap();
    assert_eq!(cluster.committed(&live, &topic, 1), [(0, end)].into());

    let all = memory();
    let summary = read(&all, &cluster, &topic, &format!("{group}-all"), "&isolation=read_uncommitted").unwrap();
    assert_eq!((summary.ended, summary.progress.read), (true, 7));
}

#[tokio::test]
async fn a_position_behind_an_open_transaction_is_no_gap_and_waits_for_its_end() {
    let cluster = Cluster::from_environment();
    let (topic, group) = (cluster.topic("open", 1).await, Cluster::name("open"));
    let store = memory();
    cluster.send(&topic, 1, words(0..10));
    let open = cluster.open_transaction(&topic, &["a", "b"]);
    let summary = read(&store, &cluster, &topic, &group, "&isolation=read_uncommitted").unwrap();
    assert_eq!(summary.progress.read, 12);
    // What is certain ends at 10 from here on.
    let mut running = Running::start(&store, config(&cluster, &topic, &group, ""), ());
    running.until("it goes on", |progress| progress.partitions.len() == 1 && progress.lag.is_some()).await;
    open.end(true);
    cluster.send(&topic, 1, words(10..20));
    running.until("the rest is read", |progress| progress.read == 10).await;
    running.stop().unwrap();
    assert_eq!(counts(&*store).await, count(words(0..20).chain(["a", "b"].map(str::to_owned))));
}

#[tokio::test]
async fn compressed_messages_are_counted_or_refused_and_never_skipped() {
    let cluster = Cluster::from_environment();
    for codec in ["lz4", "snappy", "gzip", "zstd"] {
        let (topic, group) = (Cluster::name(codec), Cluster::name(codec));
        // The broker compresses what it is given.
        cluster.create_with(&topic, 1, "compression.type", codec).await;
        cluster.send(&topic, 1, words(0..3_000));
        let store = memory();
        match read(&store, &cluster, &topic, &group, "") {
            Ok(summary) => {
                assert_eq!(summary.progress.read, 3_000, "{codec}");
                assert_eq!(counts(&*store).await, count(words(0..3_000)));
            }
            // These two need features that the tests do not ask for.
            Err(error) => {
                assert!(["gzip", "zstd"].contains(&codec), "{codec}: {error}");
                assert_eq!(error.kind(), ErrorKind::Configuration, "{error}");
                assert!(error.to_string().contains("feature `kafka-"), "{error}");
                assert!(counts(&*store).await.is_empty());
            }
        }
    }
}

#[tokio::test]
async fn where_to_begin_is_decided_once() {
    let cluster = Cluster::from_environment();
    let topic = cluster.topic("start", 1).await;
    cluster.send(&topic, 1, words(0..10));
    let store = memory();

    // The first start finds the end, and dies before it has anything to commit.
    let group = Cluster::name("latest");
    let mut running = Running::start(&store, config(&cluster, &topic, &group, "&start=latest"), ());
    running.until("it has its partition", |progress| progress.partitions.len() == 1).await;
    let deadline = Instant::now() + Duration::from_secs(30);
    while cluster.committed(&group, &topic, 1).is_empty() {
        assert!(Instant::now() < deadline, "the start was not committed");
    }
    running.stop().unwrap();
    tokio::time::sleep(Duration::from_millis(20)).await;
    let middle = Timestamp::from_micros(jiff::Timestamp::now().as_microsecond());
    cluster.send(&topic, 1, words(10..30));
    let summary = read(&store, &cluster, &topic, &group, "&start=latest").unwrap();
    assert_eq!(summary.progress.read, 20);
    assert_eq!(counts(&*store).await, count(words(10..30)));

    for (start, read_messages) in [("earliest".to_owned(), 30), ("latest".to_owned(), 0), (middle.to_string(), 20)] {
        let summary = read(&memory(), &cluster, &topic, &Cluster::name("start"), &format!("&start={start}")).unwrap();
        assert_eq!(summary.progress.read, read_messages, "{start}");
    }
    for nowhere in ["none", "group"] {
        let start = format!("&start={nowhere}");
        let error = read(&memory(), &cluster, &topic, &Cluster::name("start"), &start).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert!(error.to_string().contains("start=earliest"), "{error}");
    }

    // Another consumer of the group was here before, and has its commit.
    let group = Cluster::name("moved");
    cluster.commit(&group, &topic, 0, 12);
    let store = memory();
    assert_eq!(read(&store, &cluster, &topic, &group, "&start=group").unwrap().progress.read, 18);
    cluster.commit(&group, &topic, 0, 3);
    assert_eq!(read(&store, &cluster, &topic, &group, "&start=group").unwrap().progress.read, 0, "it was taken once");
}

#[tokio::test]
async fn the_store_alone_says_where_reading_goes_on() {
    let cluster = Cluster::from_environment();
    let (topic, group) = (cluster.topic("restored", 2).await, Cluster::name("restored"));
    cluster.send(&topic, 2, words(0..100));
    let kept = Arc::new(MemoryStore::new());
    let store: Arc<dyn Store> = kept.clone();
    read(&store, &cluster, &topic, &group, "").unwrap();
    let yesterday = kept.copy();
    cluster.send(&topic, 2, words(100..200));
    read(&store, &cluster, &topic, &group, "").unwrap();

    // Restored: the group's commits are further, and what they are ahead is read again.
    kept.restore(&yesterday);
    cluster.send(&topic, 2, words(200..250));
    assert_eq!(read(&store, &cluster, &topic, &group, "&start=latest").unwrap().progress.read, 150);
    assert_eq!(counts(&*store).await, count(words(0..250)));
    assert_eq!(cluster.committed(&group, &topic, 2).values().sum::<i64>(), 250);

    // A commit of somebody else has no effect.
    cluster.commit(&group, &topic, 0, 0);
    assert_eq!(read(&store, &cluster, &topic, &group, "").unwrap().progress.read, 0);
    assert_eq!(cluster.committed(&group, &topic, 2).values().sum::<i64>(), 250, "and is put right");
}

#[tokio::test]
async fn a_pipeline_that_joins_later_gets_everything() {
    let cluster = Cluster::from_environment();
    let (topic, group) = (cluster.topic("joins", 2).await, Cluster::name("joins"));
    let store = memory();
    cluster.send(&topic, 2, words(0..100));
    read(&store, &cluster, &topic, &group, "").unwrap();
    cluster.send(&topic, 2, words(100..200));
    for read in [200, 0] {
        let mut config = config(&cluster, &topic, &group, "");
        config.until_end = true;
        let both = |worker: WorkerBuilder<Word>| worker.pipeline::<Words>().pipeline::<Later>();
        let summary = Running::with(&store, config, (), both).wait().unwrap();
        assert_eq!((summary.progress.read, summary.progress.already_applied), (read, read / 2));
    }
    for table in ["words", "later"] {
        assert_eq!(counts_in(&*store, table).await, count(words(0..200)), "{table}");
    }
}

#[tokio::test]
async fn a_group_belongs_to_the_tables_of_one_program() {
    let cluster = Cluster::from_environment();
    let (topic, group) = (cluster.topic("bound", 2).await, Cluster::name("bound"));
    let (store, other) = (memory(), memory());
    cluster.send(&topic, 2, words(0..100));
    let mut first = Running::start(&store, config(&cluster, &topic, &group, ""), ());
    first.until("it has committed", |progress| progress.read == 100 && progress.uncommitted_since.is_none()).await;
    let deadline = Instant::now() + Duration::from_secs(30);
    while cluster.committed(&group, &topic, 2).values().sum::<i64>() < 100 {
        assert!(Instant::now() < deadline, "it does not commit");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // It would get one of the two partitions.
    let error = Running::start(&other, config(&cluster, &topic, &group, ""), ()).wait().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Foreign, "{error}");
    for part in [&group, "`words_v1=", "another `group=`"] {
        assert!(error.to_string().contains(part), "`{part}` is missing in: {error}");
    }
    cluster.send(&topic, 2, words(100..200));
    first.until("it has all of them again", |progress| progress.read >= 200).await;
    first.stop().unwrap();
    assert_eq!(counts(&*store).await, count(words(0..200)));

    // The same store, and with more tables, is the same program; another group leaves nothing out.
    let mut config = config(&cluster, &topic, &group, "");
    config.until_end = true;
    let both = |worker: WorkerBuilder<Word>| worker.pipeline::<Words>().pipeline::<Later>();
    Running::with(&store, config, (), both).wait().unwrap();
    assert_eq!(read(&other, &cluster, &topic, &Cluster::name("bound"), "").unwrap().progress.read, 200);
}

#[tokio::test]
async fn how_many_wait_is_known_before_every_partition_has_had_a_message() {
    let cluster = Cluster::from_environment();
    let (topic, group) = (cluster.topic("quiet", 3).await, Cluster::name("quiet"));
    let (store, sent) = (memory(), SystemClock.now());
    cluster.send(&topic, 1, words(0..100));
    let mut member = Running::start(&store, config(&cluster, &topic, &group, ""), ());
    member.until("all is read", |progress| progress.read == 100 && progress.lag == Some(0)).await;
    let progress = member.progress.borrow().clone();
    let lags: Vec<_> = progress.partitions.iter().map(|status| status.lag).collect();
    assert_eq!(lags, [Some(0); 3]);
    // Records have whole milliseconds.
    let times = sent.saturating_sub(Span::from_micros(1_000))..=SystemClock.now();
    let taken_in: Vec<_> = progress.partitions.iter().filter_map(|status| status.taken_in).collect();
    assert!(!taken_in.is_empty() && taken_in.iter().all(|at| times.contains(at)), "{taken_in:?} in {times:?}");
    assert_eq!(progress.source_lag(SystemClock.now()), Some(Span::ZERO));
    member.stop().unwrap();
}

#[tokio::test]
async fn a_topic_that_is_not_there_is_an_error() {
    let cluster = Cluster::from_environment();
    let error = read(&memory(), &cluster, "no-such-topic", &Cluster::name("none"), "").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.to_string().contains("no-such-topic") && error.to_string().contains("create it"), "{error}");
}

pub(crate) fn header(message: &impl Message, name: &str) -> Option<String> {
    let headers = message.headers()?;
    let header = headers.iter().find(|header| header.key == name)?;
    header.value.map(|value| String::from_utf8_lossy(value).into_owned())
}

#[tokio::test]
async fn a_dead_letter_has_payload_key_headers_place_and_reason_before_the_commit_passes_it() {
    let cluster = Cluster::from_environment();
    let (topic, group) = (cluster.topic("letters", 1).await, Cluster::name("letters"));
    let dead = cluster.topic("dead", 1).await;
    cluster.send(&topic, 1, ["a".to_owned()]);
    cluster.send_whole(&topic, "the key", &[("trace", Some("7")), ("trace", None)], b"!");
    cluster.send_whole(&topic, "k", &[], b"\xff\x00");
    cluster.send(&topic, 1, ["b".to_owned()]);

    let store = memory();
    let mut config = config(&cluster, &topic, &group, "&metadata=true");
    config.until_end = true;
    let letters = KafkaLettersConfig::new(&cluster.brokers, &dead, "the app");
    let summary = Running::start(&store, config.clone(), letters.clone()).wait().unwrap();
    assert_eq!((summary.progress.read, summary.progress.dead), (4, 2));
    assert_eq!(cluster.committed(&group, &topic, 1), [(0, 4)].into());
    let messages = cluster.messages(&dead);
    assert_eq!(messages.len(), 2);
    assert_eq!((messages[0].payload(), messages[0].key()), (Some(&b"!"[..]), Some(&b"the key"[..])));
    assert_eq!((messages[1].payload(), messages[1].key()), (Some(&b"\xff\x00"[..]), Some(&b"k"[..])));
    let headers = messages[0].headers().unwrap();
    assert_eq!((headers.get(0).key, headers.get(0).value), ("trace", Some(&b"7"[..])));
    assert_eq!((headers.get(1).key, headers.get(1).value), ("trace", None));
    let partition = &summary.progress.partitions[0].partition;
    for (name, value) in [
        ("murmur-id", format!("{partition}@1/words")),
        ("murmur-pipelines", "words".to_owned()),
        ("murmur-partition", partition.to_string()),
        ("murmur-offset", "1".to_owned()),
        ("murmur-place", format!("{topic}[0]@1")),
        ("murmur-source-topic", topic.clone()),
        ("murmur-source-partition", "0".to_owned()),
        ("murmur-source-offset", "1".to_owned()),
        ("murmur-reason", "an exclamation".to_owned()),
        ("murmur-app", "the app".to_owned()),
    ] {
        assert_eq!(header(&messages[0], name).as_deref(), Some(value.as_str()), "{name}");
    }
    assert!(header(&messages[0], "murmur-stamped").is_some());

    // Read again by a run that knows nothing: copies have the same id.
    config.group = Cluster::name("letters");
    Running::start(&memory(), config, letters).wait().unwrap();
    let ids: Vec<_> = cluster.messages(&dead).iter().map(|letter| header(letter, "murmur-id")).collect();
    assert_eq!((ids.len(), &ids[..2]), (4, &ids[2..]));
}

#[tokio::test]
async fn a_storm_of_bad_messages_stops_the_worker_and_no_restart_adds_to_the_dead_letters() {
    let cluster = Cluster::from_environment();
    let (topic, group) = (cluster.topic("storm", 1).await, Cluster::name("storm"));
    let dead = cluster.topic("storm-dead", 1).await;
    cluster.send(&topic, 1, words(0..1_000));
    cluster.send(&topic, 1, std::iter::repeat_n("!".to_owned(), 50_000));
    let letters = KafkaLettersConfig::new(&cluster.brokers, &dead, "the app");
    let store = memory();
    let mut moved = Vec::new();
    for _ in 0..3 {
        let error = Running::start(&store, config(&cluster, &topic, &group, ""), letters.clone()).wait().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ResourceExhausted);
        assert!(error.to_string().contains("an exclamation"), "{error}");
        moved.push(cluster.messages(&dead).len());
    }
    assert!(moved[0] <= DeadLetterLimit::WINDOW / 4 && moved.iter().all(|count| *count == moved[0]), "{moved:?}");
}
