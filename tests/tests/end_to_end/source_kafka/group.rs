//! Members of a group: they come and go, stall, are put out, and end together.

use murmur::source::Offset;

use super::*;

async fn members_come_and_go(rebalance: &str) {
    const EVENTS: u64 = 240_000;
    let cluster = Cluster::from_environment();
    let (topic, group) = (cluster.topic(rebalance, 8).await, Cluster::name(rebalance));
    let store = memory();
    let member = || {
        let options = format!("&rebalance={rebalance}&librdkafka.heartbeat.interval.ms=500");
        Running::start(&store, config(&cluster, &topic, &group, &options), ())
    };
    let sender = {
        let (cluster, topic) = (cluster.clone(), topic.clone());
        std::thread::spawn(move || {
            for part in 0..24 {
                cluster.send(&topic, 8, words(part * (EVENTS / 24)..(part + 1) * (EVENTS / 24)));
                std::thread::sleep(Duration::from_millis(250));
            }
        })
    };
    let mut first = member();
    first.until("the first member reads", |progress| progress.read > 10_000).await;
    let mut second = member();
    second.until("the second member gets partitions", |progress| progress.read > 0).await;
    first.until("the first member keeps the others", |progress| progress.partitions.len() == 4).await;
    let left = first.stop().unwrap();
    assert!(!left.ended);
    second.until("the second member gets all", |progress| progress.partitions.len() == 8).await;
    let mut third = member();
    third.until("the third member gets partitions", |progress| progress.read > 0).await;
    let mut members = vec![second, third];
    sender.join().unwrap();
    let right = count(words(0..EVENTS));
    let deadline = Instant::now() + Duration::from_secs(60);
    while counts(&*store).await.values().sum::<i128>() < i128::from(EVENTS) {
        assert!(Instant::now() < deadline, "not everything was read");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let mut rewinds = left.progress.rewinds;
    for member in members.drain(..) {
        rewinds += member.stop().unwrap().progress.rewinds;
    }
    assert_eq!(counts(&*store).await, right);
    assert_eq!(rewinds, 0, "partitions moved without a conflict");
    let committed = cluster.committed(&group, &topic, 8);
    assert_eq!(committed.values().sum::<i64>(), EVENTS as i64);
}

#[tokio::test]
async fn members_come_and_go_under_load_and_every_message_counts_once() {
    members_come_and_go("cooperative").await;
}

#[tokio::test]
async fn members_come_and_go_eagerly_and_every_message_counts_once() {
    members_come_and_go("eager").await;
}

#[tokio::test]
async fn a_member_with_a_name_comes_back_to_its_partitions_without_a_rebalance() {
    let cluster = Cluster::from_environment();
    let (topic, group) = (cluster.topic("named", 4).await, Cluster::name("named"));
    let store = memory();
    let member = |reader: u32| {
        let options = "&instance=blue&librdkafka.session.timeout.ms=30000&librdkafka.heartbeat.interval.ms=500";
        let mut config = config(&cluster, &topic, &group, options);
        config.reader = reader;
        Running::start(&store, config, ())
    };
    let mut stays = member(0);
    let mut goes = member(1);
    for member in [&mut stays, &mut goes] {
        member.until("both have partitions", |progress| progress.partitions.len() == 2).await;
    }
    let names = |running: &Running| -> Vec<_> {
        running.progress.borrow().partitions.iter().map(|status| status.partition.clone()).collect()
    };
    let before = (names(&stays), names(&goes));
    goes.stop().unwrap();
    cluster.send(&topic, 4, words(0..400));
    stays.until("the other one reads its own", |progress| progress.read == 200).await;
    let mut back = member(1);
    back.until("it reads its own again", |progress| progress.read == 200).await;
    assert_eq!((names(&stays), names(&back)), before);
    stays.stop().unwrap();
    back.stop().unwrap();
    assert_eq!(counts(&*store).await, count(words(0..400)));
}

#[tokio::test]
async fn of_two_members_with_one_name_the_first_ends_and_says_why() {
    let cluster = Cluster::from_environment();
    let (topic, group) = (cluster.topic("twins", 2).await, Cluster::name("twins"));
    let store = memory();
    let member = || {
        let options = "&instance=blue&librdkafka.heartbeat.interval.ms=500";
        Running::start(&store, config(&cluster, &topic, &group, options), ())
    };
    let mut first = member();
    first.until("it has all partitions", |progress| progress.partitions.len() == 2).await;
    let mut second = member();
    let error = first.wait().unwrap_err();
    assert_eq!((error.kind(), error.is_retryable()), (ErrorKind::Conflict, false), "{error}");
    for part in ["`blue-0`", &group, "`instance`"] {
        assert!(error.to_string().contains(part), "`{part}` is missing in: {error}");
    }
    cluster.send(&topic, 2, words(0..100));
    second.until("the other one reads", |progress| progress.read == 100).await;
    second.stop().unwrap();
    assert_eq!(counts(&*store).await, count(words(0..100)));
}

#[tokio::test]
async fn a_member_that_the_group_will_never_take_is_told_why() {
    let cluster = Cluster::from_environment();
    let (topic, group) = (cluster.topic("unwanted", 2).await, Cluster::name("unwanted"));
    let store = memory();
    let mut member = Running::start(&store, config(&cluster, &topic, &group, ""), ());
    member.until("it has all partitions", |progress| progress.partitions.len() == 2).await;
    let other = Cluster::name("hasty");
    for (group, options, way_out) in [
        (&group, "&rebalance=eager", "the same `rebalance`"),
        (&other, "&librdkafka.session.timeout.ms=1000", "`librdkafka.session.timeout.ms`"),
    ] {
        let error = Running::start(&store, config(&cluster, &topic, group, options), ()).wait().unwrap_err();
        assert_eq!((error.kind(), error.is_retryable()), (ErrorKind::Configuration, false), "{error}");
        assert!(error.to_string().contains(way_out), "{error}");
    }
    cluster.send(&topic, 2, words(0..100));
    member.until("the group goes on", |progress| progress.read == 100).await;
    member.stop().unwrap();
    assert_eq!(counts(&*store).await, count(words(0..100)));
}

#[tokio::test]
async fn a_member_that_stalls_is_put_out_and_what_it_had_not_flushed_counts_once() {
    let cluster = Cluster::from_environment();
    let (topic, group) = (cluster.topic("stall", 4).await, Cluster::name("stall"));
    let store = memory();
    let member = || Running::start(&store, config(&cluster, &topic, &group, IMPATIENT), ());
    cluster.send(&topic, 4, words(0..4_000));
    let mut first = member();
    first.until("the first member reads", |progress| progress.read >= 4_000).await;
    let mut second = member();
    second.until("the second member gets partitions", |progress| progress.partitions.len() == 2).await;
    // Whoever meets the first one sleeps in the middle of a batch for longer than the group waits.
    let stalls = || std::iter::repeat_n("stall, and live".to_owned(), 400);
    cluster.send(&topic, 4, stalls());
    cluster.send(&topic, 4, words(4_000..8_000));
    let right = count(words(0..8_000).chain(stalls()));
    let deadline = Instant::now() + Duration::from_secs(60);
    while counts(&*store).await != right {
        assert!(Instant::now() < deadline, "{:?}", counts(&*store).await.values().sum::<i128>());
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    // The one that was put out comes back.
    for member in [&mut first, &mut second] {
        member.until("both have partitions again", |progress| progress.partitions.len() == 2).await;
    }
    first.stop().unwrap();
    second.stop().unwrap();
    assert_eq!(counts(&*store).await, right);
}

#[tokio::test]
async fn a_member_that_is_put_out_has_not_reached_the_end() {
    let cluster = Cluster::from_environment();
    let (topic, group) = (cluster.topic("put-out", 2).await, Cluster::name("put-out"));
    let store = memory();
    let all = || words(0..2_000).chain(["stall, and end".to_owned()]).chain(words(2_000..4_000));
    cluster.send(&topic, 2, all());
    let summary = read(&store, &cluster, &topic, &group, IMPATIENT).unwrap();
    assert!(summary.ended);
    assert!(summary.progress.read >= 4_001);
    assert_eq!(counts(&*store).await, count(all()));
    assert_eq!(cluster.committed(&group, &topic, 2).values().sum::<i64>(), 4_001);
}

#[tokio::test]
async fn members_that_read_to_the_end_share_the_partitions() {
    let cluster = Cluster::from_environment();
    let topic = cluster.topic("shared", 8).await;
    cluster.send(&topic, 8, words(0..100_000));
    for rebalance in ["cooperative", "eager"] {
        let (store, group) = (memory(), Cluster::name("shared"));
        let members: Vec<Running> = (0..3)
            .map(|_| {
                let options = format!("&rebalance={rebalance}&librdkafka.heartbeat.interval.ms=500");
                let mut config = config(&cluster, &topic, &group, &options);
                config.until_end = true;
                Running::start(&store, config, ())
            })
            .collect();
        for member in members {
            assert!(member.wait().unwrap().ended);
        }
        assert_eq!(counts(&*store).await, count(words(0..100_000)));
        // A commit in the middle of a rebalance may be refused; whoever comes next makes up for it from the store.
        assert_eq!(read(&store, &cluster, &topic, &group, "").unwrap().progress.read, 0);
        assert_eq!(cluster.committed(&group, &topic, 8).values().sum::<i64>(), 100_000);
    }
}

#[tokio::test]
async fn a_member_at_its_end_waits_for_the_commits_of_the_others_and_stays_there_through_rebalances() {
    let cluster = Cluster::from_environment();
    let (topic, group) = (cluster.topic("waits", 3).await, Cluster::name("waits"));
    let store = memory();
    let send = |each: u64| cluster.send(&topic, 3, (0..3 * each).map(|n| format!("of {}", n % 3)));
    send(1_000);
    let other = cluster.outsider(&group, &topic, &[]);
    other.until_it_has(3);
    let mut config = config(&cluster, &topic, &group, "&librdkafka.heartbeat.interval.ms=500");
    config.until_end = true;
    let mut member = Running::start(&store, config, ());
    member.until("it has read its own", |progress| progress.read >= 1_000).await;
    let own = member.progress.borrow().partitions[0].partition.clone();
    let number = own.as_str().rsplit_once(':').unwrap().1.to_owned();
    for _ in 0..2 {
        let third = cluster.outsider(&group, &topic, &[]);
        third.until_it_has(1);
        drop(third);
        cluster.wait_for_group(&group, 2);
        // What is there now is behind its end, and must neither be passed over nor be taken for lost.
        send(1);
    }
    assert!(!member.thread.is_finished(), "the others are not done");
    (0..3).for_each(|partition| other.commit(&topic, partition, 1_000));
    let summary = member.wait().unwrap();
    assert!(summary.ended);
    let status = summary.progress.partitions.iter().find(|status| status.partition == own).unwrap();
    let read = status.commit.map(|offset: Offset| i128::from(offset.words()[3] + 1));
    assert_eq!(counts(&*store).await.get(&format!("of {number}")).copied(), read, "everything up to where it is");
}

#[tokio::test]
async fn partitions_that_nobody_has_are_found_by_members_with_names() {
    let cluster = Cluster::from_environment();
    let (topic, group) = (cluster.topic("orphans", 8).await, Cluster::name("orphans"));
    let store = memory();
    cluster.send(&topic, 8, words(0..800));
    let member = |reader: u32| {
        let mut config = config(&cluster, &topic, &group, "&instance=blue&librdkafka.heartbeat.interval.ms=500");
        config.reader = reader;
        Running::start(&store, config, ())
    };
    // It dies between the two steps that move half of its partitions to another member.
    let mut dies = cluster.outsider(&group, &topic, &[("group.instance.id", "blue-1")]);
    dies.until_it_has(8);
    dies.stall();
    let mut first = member(0);
    cluster.wait_for_group(&group, 2);
    drop(dies);
    let mut second = member(1);
    for member in [&mut first, &mut second] {
        member.until("half of the partitions", |progress| progress.partitions.len() == 4).await;
    }
    let deadline = Instant::now() + Duration::from_secs(60);
    while counts(&*store).await != count(words(0..800)) {
        assert!(Instant::now() < deadline, "not everything was read");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    first.stop().unwrap();
    second.stop().unwrap();
    assert_eq!(counts(&*store).await, count(words(0..800)));
}
