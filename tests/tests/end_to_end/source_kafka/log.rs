//! What stands in the log, what is gone from it, and what is passed over.

use murmur::engine::{PartitionRecord, Standing};
use murmur::source::Offset;

use super::*;

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
async fn partitions_that_are_added_while_no_worker_runs_are_read_from_their_first_message_on_too() {
    let cluster = Cluster::from_environment();
    for start in ["&start=latest", "&start=group"] {
        let (topic, group) = (cluster.topic("grown", 1).await, Cluster::name("grown"));
        let store = memory();
        cluster.send(&topic, 1, words(0..10));
        cluster.commit(&group, &topic, 0, 10);
        assert_eq!(read(&store, &cluster, &topic, &group, start).unwrap().progress.read, 0);
        cluster.grow(&topic, 3).await;
        cluster.send(&topic, 3, words(10..40));
        assert_eq!(read(&store, &cluster, &topic, &group, start).unwrap().progress.read, 30);
        assert_eq!(counts(&*store).await, count(words(10..40)));

        // For one that begins only now they have always been there.
        let (later, group) = (memory(), Cluster::name("later"));
        if start == "&start=latest" {
            assert_eq!(read(&later, &cluster, &topic, &group, start).unwrap().progress.read, 0);
        } else {
            let error = read(&later, &cluster, &topic, &group, start).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
        }
    }
}

#[tokio::test]
async fn what_is_gone_of_a_partition_that_was_added_is_missing() {
    let cluster = Cluster::from_environment();
    for start in ["", "&start=latest"] {
        let (topic, group) = (cluster.topic("shrunk", 1).await, Cluster::name("shrunk"));
        let store = memory();
        read(&store, &cluster, &topic, &group, start).unwrap();
        cluster.grow(&topic, 2).await;
        cluster.send(&topic, 2, words(0..40));
        cluster.delete_records(&topic, 1, 15).await;
        let error = read(&store, &cluster, &topic, &group, start).unwrap_err();
        assert!(error.to_string().contains("15 messages were deleted before they were counted"), "{error}");
        let accepted = read(&store, &cluster, &topic, &group, &format!("{start}&gap=accept")).unwrap();
        assert!(accepted.ended);
        assert_eq!(counts(&*store).await.values().sum::<i128>(), 25);
    }
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
