//! SIGTERM of a process that reads Kafka: what it leaves behind in its group, and what it says when nobody answers.

use std::time::{Duration, Instant};

use murmur_testkit::faults::proxy::tcp::{Tcp, Toxics};
use murmur_tests::kafka::Cluster;
use murmur_tests::oracle;
use murmur_tests::process::{self, Process, example};

use crate::page_views::{Stream, answers};

/// What a loaded machine may take for all that is not waiting.
const SLACK: Duration = Duration::from_secs(6);

/// Nothing goes through, and nothing is refused.
const SILENT: Toxics = Toxics { hold_requests: true, hold_replies: true, down: false, latency: Duration::ZERO };
/// Whoever connects is cut off.
const DOWN: Toxics = Toxics { hold_requests: false, hold_replies: false, down: true, latency: Duration::ZERO };

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_ends_in_time_and_says_that_the_brokers_do_not_answer_when_they_do_not() {
    let cluster = Cluster::from_environment();
    // Within a budget that is longer than a commit is waited for the brokers are named; a short one is kept as well.
    let mut stops = tokio::task::JoinSet::new();
    for (toxics, budget, words) in [
        (DOWN, 25, "the brokers `"),
        (SILENT, 25, "the brokers `"),
        (SILENT, 3, "the source (the brokers, with Kafka) did not answer"),
        (DOWN, 3, "the source (the brokers, with Kafka) did not answer"),
    ] {
        stops.spawn(stop_without_brokers(cluster.clone(), toxics, budget, words));
    }
    stops.join_all().await;
}

/// SIGTERM of a worker that has counted, with brokers that are no longer reached: it ends within its budget of so many
/// seconds, in these words, and the next one goes on where it was.
async fn stop_without_brokers(cluster: Cluster, toxics: Toxics, budget: u64, words: &'static str) {
    let (topic, group) = (cluster.topic("stopped", 2).await, Cluster::name("stopped"));
    let way = Tcp::kafka(&cluster.brokers, 1).await.unwrap();
    // What waits for processes has a thread of its own, so that no other case waits for it.
    let case = move || {
        let stream = Stream::generate(3_000, 20, 17);
        let lines: Vec<String> = std::fs::read_to_string(&stream.file).unwrap().lines().map(str::to_owned).collect();
        cluster.send(&topic, 2, lines[..2_000].iter().cloned());
        let store = stream.store("state");
        let (store_url, budget_text) = (process::store(&store), format!("{budget}s"));
        let source = |brokers: &str| format!("kafka://{brokers}/{topic}?group={group}");
        let through = source(&way.address.to_string());
        let arguments = ["--store", &store_url, "--threads", "1", "--drain-budget", &budget_text, "-o", "json"];
        let worker =
            Process::start(example("page-traffic"), &[&["run", "--source", &through][..], &arguments].concat());
        let deadline = Instant::now() + Duration::from_secs(60);
        while cluster.committed(&group, &topic, 2) != [(0, 1_000), (1, 1_000)].into() {
            assert!(Instant::now() < deadline, "it does not count");
            std::thread::sleep(Duration::from_millis(100));
        }

        way.set(toxics);
        worker.terminate();
        let asked = Instant::now();
        let (status, _, errors) = worker.wait();
        let took = asked.elapsed();
        assert_eq!(status.code(), Some(4), "{toxics:?}, {budget} s: {errors}");
        assert!(errors.contains(words) && errors.contains("everything that was read is durable"), "{errors}");
        assert!(took < Duration::from_secs(budget) + SLACK, "{toxics:?}: {took:?} of {budget} s\n{errors}");

        cluster.send(&topic, 2, lines[2_000..].iter().cloned());
        let next = ["run", "--until-end", "--source", &source(&cluster.brokers)];
        let summary = process::json(example("page-traffic"), &[&next[..], &arguments].concat());
        assert_eq!((&summary["read"], &summary["already_applied"]), (&1_000.into(), &0.into()), "{summary}");
        oracle::assert_pages(&answers(&store), &stream.views.whole_truth());
    };
    tokio::task::spawn_blocking(case).await.unwrap();
}

/// A worker of `page-traffic`, and its group.
struct Member {
    group: String,
    topic: String,
    stream: Stream,
    process: Process,
}

impl Member {
    /// One that is about to join a group of its own, with more messages than it has read by then.
    async fn start(cluster: &Cluster, partitions: i32, threads: u32) -> Self {
        let (topic, group) = (cluster.topic("left", partitions).await, Cluster::name("left"));
        let stream = Stream::generate(1_000, 20, 19);
        cluster.send(&topic, partitions, std::fs::read_to_string(&stream.file).unwrap().lines().map(str::to_owned));
        let process = Self::process(cluster, &topic, &group, &stream, &["--threads", &threads.to_string()]);
        Self { group, topic, stream, process }
    }

    fn process(cluster: &Cluster, topic: &str, group: &str, stream: &Stream, options: &[&str]) -> Process {
        let source = format!("kafka://{}/{topic}?group={group}", cluster.brokers);
        let (store, arguments) = (process::store(&stream.store("state")), ["run", "--source", &source, "-o", "json"]);
        Process::start(example("page-traffic"), &[&arguments, &["--store", &store][..], options].concat())
    }

    /// SIGTERM, and what must be so after it: all went well, the group has nobody left to wait for, and a run that reads to
    /// the end finds every message counted once.
    fn stop(self, cluster: &Cluster, when: &str) {
        let Self { group, topic, stream, process } = self;
        process.terminate();
        let (status, _, errors) = process.wait();
        assert!(status.success(), "{when}: {status}\n{errors}");
        assert_eq!(cluster.members(&group), 0, "{when}: the group goes on waiting for it\n{errors}");
        let next = Self::process(cluster, &topic, &group, &stream, &["--until-end"]);
        let (status, _, errors) = next.wait();
        assert!(status.success(), "{when}: {status}\n{errors}");
        oracle::assert_pages(&answers(&stream.store("state")), &stream.views.whole_truth());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn readers_that_have_no_partition_leave_their_group_when_they_stop() {
    let cluster = Cluster::from_environment();
    let member = Member::start(&cluster, 1, 3).await;
    cluster.wait_for_group(&member.group, 3);
    member.stop(&cluster, "three readers of one partition");
}

/// A group takes some four seconds from its first member to rest, as members hear of each other with their heartbeats.
#[tokio::test(flavor = "multi_thread")]
async fn a_stop_at_any_moment_while_the_group_settles_leaves_nobody_behind() {
    let cluster = Cluster::from_environment();
    let mut stops = tokio::task::JoinSet::new();
    for after in [0, 1_300, 2_700, 3_000, 3_300, 3_600, 3_900, 6_300] {
        let cluster = cluster.clone();
        stops.spawn(async move {
            let member = Member::start(&cluster, 4, 2).await;
            let stop = move || {
                // Before that there is nobody yet to ask.
                cluster.wait_for_state(&member.group, |state| !matches!(state, "" | "Dead" | "Empty"));
                std::thread::sleep(Duration::from_millis(after));
                member.stop(&cluster, &format!("{after} ms after it had joined"));
            };
            tokio::task::spawn_blocking(stop).await.unwrap();
        });
    }
    stops.join_all().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_while_the_group_waits_for_one_that_has_died_is_no_failure() {
    let cluster = Cluster::from_environment();
    let member = Member::start(&cluster, 4, 1).await;
    cluster.wait_for_group(&member.group, 1);
    // One with a name does not leave as it goes, and its session is longer than anybody waits here.
    let settings = [("group.instance.id", "dead"), ("session.timeout.ms", "60000")];
    let dead = cluster.outsider(&member.group, &member.topic, &settings);
    dead.until_it_has(2);
    drop(dead);
    let _joins = cluster.outsider(&member.group, &member.topic, &[]);
    cluster.wait_for_state(&member.group, |state| state == "PreparingRebalance");
    // It hears of that within three seconds, and asks to join; a commit is behind that. Nobody ends the wait for a minute.
    tokio::time::sleep(Duration::from_secs(10)).await;
    member.process.terminate();
    let (status, _, errors) = member.process.wait();
    assert!(errors.contains("the group did not take the last commit"), "{errors}");
    assert!(status.success(), "{status}\n{errors}");
    let next = Member::process(&cluster, &member.topic, &Cluster::name("next"), &member.stream, &["--until-end"]);
    let (status, summary, errors) = next.wait();
    assert!(status.success(), "{status}\n{errors}");
    let summary: serde_json::Value = serde_json::from_str(summary.trim()).unwrap();
    assert_eq!(summary["read"], 0, "nothing is read again: {summary}");
    oracle::assert_pages(&answers(&member.stream.store("state")), &member.stream.views.whole_truth());
}
