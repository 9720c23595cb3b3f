//! Where reading begins, and whose the positions are.

use murmur::engine::{Clock, SystemClock};

use super::*;

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
    first.until("it has committed", |progress| progress.read == 100 && progress.uncommitted_since().is_none()).await;
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
