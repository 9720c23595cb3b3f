//! A cluster of one's own, whose brokers are killed: processes on this machine, each with its data in a folder. The
//! end-to-end tests of the workspace start brokers by it too; it is no promise to anybody else.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};
use tempfile::TempDir;

use super::{Failure, kafka, services};

/// How long a broker may take until it answers.
const PATIENCE: Duration = Duration::from_secs(120);
/// How long one question may take.
const ANSWER: Duration = Duration::from_secs(2);
/// Which partition of this topic a group's commits are in says who coordinates it. Here the topic has one.
pub(super) const COMMITS: &str = "__consumer_offsets";

/// Brokers that are their own controllers; killed when dropped.
pub(super) struct Brokers {
    nodes: Vec<Node>,
    client: BaseConsumer,
    folder: TempDir,
}

struct Node {
    /// In the cluster they count from 1.
    id: i32,
    port: u16,
    process: Option<Child>,
}

/// Who has a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Holders {
    /// `None` while there is nobody.
    pub(super) leader: Option<i32>,
    /// How many brokers have all of it.
    pub(super) in_sync: usize,
}

impl Brokers {
    /// So many of them, ready when this returns. Topics have a replica on each, and of what is said to be written all but
    /// one have it.
    pub(super) fn start(count: usize) -> Result<Self, Failure> {
        let folder = tempfile::tempdir()?;
        let ports = free_ports(2 * count)?;
        let (for_clients, for_controllers) = ports.split_at(count);
        let nodes: Vec<Node> =
            (1..).zip(for_clients).map(|(id, port)| Node { id, port: *port, process: None }).collect();
        let voters: Vec<_> =
            nodes.iter().zip(for_controllers).map(|(node, port)| format!("{}@127.0.0.1:{port}", node.id)).collect();
        let template = fs::read_to_string(services::folder().join("kafka/server.properties"))?;
        for (Node { id, port, .. }, controller) in nodes.iter().zip(for_controllers) {
            let own = folder.path().join(id.to_string());
            fs::create_dir(&own)?;
            let settings = template
                .replace("@PORT@", &port.to_string())
                .replace("@CONTROLLER_PORT@", &controller.to_string())
                .replace("@DATA@", &own.join("data").display().to_string());
            // Of a setting that stands twice the last one counts.
            let settings = format!("{settings}\n{}", of_a_cluster(*id, &voters.join(","), count));
            fs::write(own.join("server.properties"), settings)?;
        }
        // All at once: it takes each of them a second.
        let mut formats = Vec::new();
        for node in &nodes {
            let mut format = java(&folder.path().join(node.id.to_string()), "kafka.tools.StorageTool")?;
            format.args(["format", "-t", "bXVybXVyLXRlc3RzLTAwMw", "-c", "server.properties"]);
            formats.push(format.spawn()?);
        }
        for mut format in formats {
            let ended = format.wait()?;
            if !ended.success() {
                return Err(Failure::new(format!("the folder of a broker cannot be made: {ended}")));
            }
        }
        let client = kafka::Cluster(addresses(&nodes)).consumer("brokers")?;
        let mut brokers = Self { nodes, client, folder };
        for id in 1..=count as i32 {
            brokers.launch(id)?;
        }
        brokers.wait_for("all brokers", |brokers| brokers.known() == count)?;
        Ok(brokers)
    }

    /// `HOST:PORT,HOST:PORT`.
    pub(super) fn addresses(&self) -> String {
        addresses(&self.nodes)
    }

    /// `kill -9`; its port and its data stay.
    pub(super) fn kill(&mut self, id: i32) -> Result<(), Failure> {
        if let Some(mut process) = self.node(id)?.process.take() {
            process.kill()?;
            process.wait()?;
        }
        Ok(())
    }

    /// Go on with the data that are there; it answers when this returns.
    pub(super) fn restart(&mut self, id: i32) -> Result<(), Failure> {
        self.launch(id)?;
        self.wait_for("the broker that was started again", |brokers| brokers.known() == brokers.nodes.len())
    }

    /// Who has the partitions of a topic; nothing while nobody answers.
    pub(super) fn holders(&self, topic: &str) -> BTreeMap<i32, Holders> {
        let Ok(metadata) = self.client.fetch_metadata(Some(topic), ANSWER) else { return BTreeMap::new() };
        let partitions = metadata.topics().iter().flat_map(|topic| topic.partitions());
        let holders = partitions.map(|partition| {
            let leader = Some(partition.leader()).filter(|leader| *leader > 0);
            (partition.id(), Holders { leader, in_sync: partition.isr().len() })
        });
        holders.collect()
    }

    fn launch(&mut self, id: i32) -> Result<(), Failure> {
        let folder = self.folder.path().join(id.to_string());
        let process = java(&folder, "kafka.Kafka")?.arg("server.properties").spawn()?;
        self.node(id)?.process = Some(process);
        Ok(())
    }

    fn node(&mut self, id: i32) -> Result<&mut Node, Failure> {
        let found = self.nodes.iter_mut().find(|node| node.id == id);
        found.ok_or_else(|| Failure::new(format!("there is no broker {id}")))
    }

    /// How many brokers the cluster says that it has.
    fn known(&self) -> usize {
        self.client.fetch_metadata(None, ANSWER).map_or(0, |metadata| metadata.brokers().len())
    }

    fn wait_for(&self, what: &str, is_so: impl Fn(&Self) -> bool) -> Result<(), Failure> {
        let deadline = Instant::now() + PATIENCE;
        while !is_so(self) {
            if Instant::now() > deadline {
                let logs = self.nodes.iter().map(|node| last_lines(&self.folder.path().join(node.id.to_string())));
                let logs: Vec<_> = logs.collect();
                return Err(Failure::new(format!("no answer from {what} within {PATIENCE:?}: {}", logs.join("\n"))));
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        Ok(())
    }
}

impl Drop for Brokers {
    fn drop(&mut self) {
        for id in 1..=self.nodes.len() as i32 {
            // One that cannot be ended is left to whoever looks at the machine.
            let _ = self.kill(id);
        }
    }
}

fn addresses(nodes: &[Node]) -> String {
    nodes.iter().map(|node| format!("127.0.0.1:{}", node.port)).collect::<Vec<_>>().join(",")
}

/// What is different where a broker is one of `count`.
fn of_a_cluster(id: i32, voters: &str, count: usize) -> String {
    let copies =
        ["default", "offsets.topic", "transaction.state.log"].map(|of| format!("{of}.replication.factor={count}\n"));
    let written = (count - 1).max(1);
    format!(
        "node.id={id}\ncontroller.quorum.voters={voters}\n{}min.insync.replicas={written}\n\
         transaction.state.log.min.isr={written}\noffsets.topic.num.partitions=1\n\
         leader.imbalance.check.interval.seconds=1\n",
        copies.concat()
    )
}

fn last_lines(folder: &Path) -> String {
    let log = fs::read_to_string(folder.join("log")).unwrap_or_default();
    let lines: Vec<_> = log.lines().collect();
    lines[lines.len().saturating_sub(10)..].join("\n")
}

/// Java, at work in a folder, with Kafka and a small heap. What it says goes to `log` there.
pub fn java(folder: &Path, class: &str) -> Result<Command, Failure> {
    let jars = services::kafka_jars()?;
    let log = OpenOptions::new().create(true).append(true).open(folder.join("log"))?;
    let mut command = Command::new("java");
    // They start often and live briefly.
    command.args(["-Xms64m", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]);
    command.args(["-cp", &format!("{}/*", jars.display())]);
    let logging = services::folder().join("kafka/log4j2.properties");
    command.arg(format!("-Dlog4j2.configurationFile={}", logging.display())).arg(class);
    command.current_dir(folder).stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
    Ok(command)
}

/// Ports that nobody listens on now, below those that the system gives to clients: a broker that was killed finds its own
/// again.
pub fn free_ports(count: usize) -> Result<Vec<u16>, Failure> {
    for _ in 0..1_000 {
        let first = fastrand::u16(20_000..32_000);
        let ports: Vec<u16> = (first..).take(count).collect();
        if ports.iter().all(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok()) {
            return Ok(ports);
        }
    }
    Err(Failure::new(format!("there are no {count} free ports")))
}
