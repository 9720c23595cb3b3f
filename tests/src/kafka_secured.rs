//! A broker of one's own that wants TLS and passwords, with an authority that nobody else knows. Other than that of the
//! services, it makes topics that somebody wants to write to.

use std::fs;
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command};
use std::time::Duration;

use murmur_testkit::faults::brokers;
use tempfile::TempDir;

use crate::certificates;
use crate::kafka::Cluster;

/// Whom it knows, and by which password.
pub const USER: &str = "alice";
/// See [`USER`].
pub const PASSWORD: &str = "of the looking glass";

/// Ends with its value.
pub struct SecuredKafka {
    broker: Child,
    /// Has the keys and certificates: `ca.pem` has signed the broker's and `client.crt`, `other.pem` has signed
    /// `stranger.crt`. The key of the client stands once more in `client.locked`, behind [`PASSWORD`].
    pub folder: TempDir,
    /// Where it wants nothing.
    pub open: Cluster,
    /// `HOST:PORT` with TLS.
    pub tls: String,
    /// With TLS, for those who have a certificate.
    pub known: String,
    /// With a password.
    pub sasl: String,
    /// With both.
    pub both: String,
}

impl SecuredKafka {
    /// Ready when it returns.
    pub fn start() -> Self {
        let folder = tempfile::tempdir().unwrap_or_else(|error| panic!("no folder: {error}"));
        furnish(folder.path());
        let [open, tls, known, sasl, both, controller] = free_ports().map(|port| format!("127.0.0.1:{port}"));
        let settings = settings(folder.path(), [&open, &tls, &known, &sasl, &both, &controller]);
        fs::write(folder.path().join("server.properties"), settings).unwrap_or_else(|error| panic!("{error}"));
        let scram = |kind: &str| format!("SCRAM-SHA-{kind}=[name={USER},password={PASSWORD}]");
        let mut format = java(folder.path(), "kafka.tools.StorageTool");
        format.args(["format", "-t", "bXVybXVyLXRlc3RzLTAwMg", "-c", "server.properties"]);
        format.args(["--add-scram", &scram("256"), "--add-scram", &scram("512")]);
        run(&mut format);
        let mut broker = java(folder.path(), "kafka.Kafka");
        let broker = broker.arg("server.properties").spawn().unwrap_or_else(|error| panic!("no broker: {error}"));
        let secured = Self { broker, open: Cluster { brokers: open }, tls, known, sasl, both, folder };
        secured.wait();
        secured
    }

    fn wait(&self) {
        for _ in 0..600 {
            if [&self.open.brokers, &self.both].iter().all(|address| TcpStream::connect(address).is_ok()) {
                return;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        panic!("the broker does not listen; see {}", self.folder.path().join("log").display());
    }

    /// The path of a file in its folder.
    pub fn file(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }
}

impl Drop for SecuredKafka {
    fn drop(&mut self) {
        let _ = self.broker.kill();
        let _ = self.broker.wait();
    }
}

/// As many as it listens on.
fn free_ports() -> [u16; 6] {
    let ports = brokers::free_ports(6).unwrap_or_else(|failure| panic!("{failure}"));
    ports.try_into().unwrap_or_else(|ports| panic!("six ports, and not {ports:?}"))
}

fn java(folder: &Path, class: &str) -> Command {
    brokers::java(folder, class).unwrap_or_else(|failure| panic!("{failure}"))
}

fn run(command: &mut Command) {
    let status = command.status().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(status.success(), "{command:?}: {status}");
}

/// What it and its clients need: certificates, and passwords.
fn furnish(folder: &Path) {
    certificates::make(folder);
    certificates::by(folder, "ca", "client");
    certificates::by(folder, "other", "stranger");
    certificates::lock(folder, "client", PASSWORD);
    let write = |name: &str, text: &str| {
        fs::write(folder.join(name), text).unwrap_or_else(|error| panic!("{name}: {error}"));
    };
    // One file with the key and what vouches for it.
    let read = |name: &str| fs::read_to_string(folder.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
    write("broker.pem", &(read("server.key") + &read("server.crt") + &read("ca.pem")));
    write("password", &format!("{PASSWORD}\n"));
    write("wrong", "off with her head\n");
}

fn settings(folder: &Path, [open, tls, known, sasl, both, controller]: [&String; 6]) -> String {
    let folder = folder.display();
    let login = |listener: &str| {
        let module = "org.apache.kafka.common.security";
        format!(
            "listener.name.{listener}.sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512\n\
             listener.name.{listener}.plain.sasl.jaas.config={module}.plain.PlainLoginModule required \
             user_{USER}=\"{PASSWORD}\";\n\
             listener.name.{listener}.scram-sha-256.sasl.jaas.config={module}.scram.ScramLoginModule required;\n\
             listener.name.{listener}.scram-sha-512.sasl.jaas.config={module}.scram.ScramLoginModule required;\n"
        )
    };
    let clients = format!("OPEN://{open},TLS://{tls},KNOWN://{known},WORD://{sasl},BOTH://{both}");
    format!(
        "process.roles=broker,controller\nnode.id=1\ncontroller.quorum.voters=1@{controller}\n\
         listeners={clients},CONTROLLER://{controller}\nadvertised.listeners={clients}\n\
         inter.broker.listener.name=OPEN\ncontroller.listener.names=CONTROLLER\n\
         listener.security.protocol.map=OPEN:PLAINTEXT,TLS:SSL,KNOWN:SSL,WORD:SASL_PLAINTEXT,BOTH:SASL_SSL,\
         CONTROLLER:PLAINTEXT\n\
         ssl.keystore.type=PEM\nssl.keystore.location={folder}/broker.pem\n\
         listener.name.known.ssl.client.auth=required\nlistener.name.known.ssl.truststore.type=PEM\n\
         listener.name.known.ssl.truststore.location={folder}/ca.pem\n{}{}\
         log.dirs={folder}/data\noffsets.topic.replication.factor=1\noffsets.topic.num.partitions=1\n\
         group.initial.rebalance.delay.ms=0\nauto.create.topics.enable=true\n",
        login("word"),
        login("both")
    )
}
