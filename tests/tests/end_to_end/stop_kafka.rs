//! SIGTERM while the brokers cannot be reached: the process ends within its budget and says who did not answer.

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
    for (toxics, budget, words) in [
        (DOWN, 25, "the brokers `"),
        (SILENT, 25, "the brokers `"),
        (SILENT, 3, "the source (the brokers, with Kafka) did not answer"),
        (DOWN, 3, "the source (the brokers, with Kafka) did not answer"),
    ] {
        let (topic, group) = (cluster.topic("stopped", 2).await, Cluster::name("stopped"));
        let stream = Stream::generate(3_000, 20, 17);
        let lines: Vec<String> = std::fs::read_to_string(&stream.file).unwrap().lines().map(str::to_owned).collect();
        cluster.send(&topic, 2, lines[..2_000].iter().cloned());
        let way = Tcp::kafka(&cluster.brokers, 1).await.unwrap();
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
            tokio::time::sleep(Duration::from_millis(100)).await;
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
    }
}
