//! Where the broker and the tables are: named by the environment, or started.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::Failure;

/// The variables that name them.
const KAFKA: &str = "MURMUR_TEST_KAFKA";
const DYNAMODB: &str = "MURMUR_TEST_DYNAMODB";

/// The script that starts them.
fn script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/services.sh")
}

/// `HOST:PORT` of a broker that is not to be disturbed.
pub(super) fn kafka() -> Result<String, Failure> {
    named_or_started(KAFKA, "kafka")
}

/// The URL of DynamoDB, or of a server that speaks as it does.
pub(super) fn dynamodb() -> Result<String, Failure> {
    named_or_started(DYNAMODB, "dynamodb")
}

fn named_or_started(variable: &str, name: &str) -> Result<String, Failure> {
    match std::env::var(variable) {
        Ok(address) => Ok(address),
        Err(_) => {
            let services = Services { folder: None };
            services.call("start", name)?;
            services.address(variable, name)
        }
    }
}

/// A broker of one's own, to be killed; it is stopped when dropped.
pub(super) struct OwnKafka {
    services: Services,
    pub(super) address: String,
}

impl OwnKafka {
    pub(super) fn start() -> Result<Self, Failure> {
        let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| "target".into(), PathBuf::from);
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let services = Services { folder: Some(root.join(target).join("faults")) };
        services.call("start", "kafka")?;
        let address = services.address(KAFKA, "kafka")?;
        Ok(Self { services, address })
    }

    /// `kill -9`; its port and its data stay.
    pub(super) fn kill(&self) -> Result<(), Failure> {
        self.services.call("kill", "kafka").map(drop)
    }

    /// Go on with the data that are there.
    pub(super) fn restart(&self) -> Result<(), Failure> {
        self.services.call("start", "kafka").map(drop)
    }
}

impl Drop for OwnKafka {
    fn drop(&mut self) {
        // What is left behind is found by the next start.
        let _ = self.services.call("stop", "kafka");
    }
}

struct Services {
    /// Where they are installed and keep their data; that of the clone when `None`.
    folder: Option<PathBuf>,
}

impl Services {
    fn call(&self, verb: &str, name: &str) -> Result<String, Failure> {
        let script = script();
        if !script.is_file() {
            let text = format!("set {KAFKA} (as 127.0.0.1:9092) and {DYNAMODB} (as http://127.0.0.1:8000)");
            return Err(Failure::new(text));
        }
        let mut command = Command::new(script);
        command.args([verb, name]);
        // Any free port, so that several clones can be tested at a time.
        for variable in ["MURMUR_KAFKA_PORT", "MURMUR_DYNAMODB_PORT"] {
            if self.folder.is_some() || std::env::var_os(variable).is_none() {
                command.env(variable, "0");
            }
        }
        if let Some(folder) = &self.folder {
            command.env("CARGO_TARGET_DIR", folder);
        }
        let output = command.output()?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        Err(Failure::new(format!("services.sh {verb} {name}: {}", String::from_utf8_lossy(&output.stderr))))
    }

    fn address(&self, variable: &str, name: &str) -> Result<String, Failure> {
        let said = self.call("env", name)?;
        let address = said.lines().find_map(|line| line.strip_prefix(variable)?.strip_prefix('='));
        address.map(str::to_owned).ok_or_else(|| Failure::new(format!("`{name}` was started and has no address")))
    }
}
