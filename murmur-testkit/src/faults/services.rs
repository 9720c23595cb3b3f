//! Where the broker and the tables are: named by the environment, or started.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use super::Failure;

/// The variables that name them.
const KAFKA: &str = "MURMUR_TEST_KAFKA";
const DYNAMODB: &str = "MURMUR_TEST_DYNAMODB";

/// The root of the workspace.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The script that starts them.
fn script() -> PathBuf {
    root().join("scripts/services.sh")
}

/// Where their settings are.
pub(super) fn folder() -> PathBuf {
    root().join("scripts/services")
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
            call("start", name)?;
            let said = call("env", name)?;
            let address = said.lines().find_map(|line| line.strip_prefix(variable)?.strip_prefix('='));
            address.map(str::to_owned).ok_or_else(|| Failure::new(format!("`{name}` was started and has no address")))
        }
    }
}

/// The folder of Kafka's programs, which are installed if they are not.
pub(super) fn kafka_jars() -> Result<PathBuf, Failure> {
    static JARS: OnceLock<PathBuf> = OnceLock::new();
    if let Some(jars) = JARS.get() {
        return Ok(jars.clone());
    }
    call("install", "kafka")?;
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| "target".into(), PathBuf::from);
    // Java is at work in another folder.
    let jars = root().join(target).join("services/kafka/lib").canonicalize()?;
    Ok(JARS.get_or_init(|| jars).clone())
}

fn call(verb: &str, name: &str) -> Result<String, Failure> {
    let script = script();
    if !script.is_file() {
        let text = format!("set {KAFKA} (as 127.0.0.1:9092) and {DYNAMODB} (as http://127.0.0.1:8000)");
        return Err(Failure::new(text));
    }
    let mut command = Command::new(script);
    command.args([verb, name]);
    // Any free port, so that several clones can be tested at a time.
    for variable in ["MURMUR_KAFKA_PORT", "MURMUR_DYNAMODB_PORT"] {
        if std::env::var_os(variable).is_none() {
            command.env(variable, "0");
        }
    }
    let output = command.output()?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(Failure::new(format!("services.sh {verb} {name}: {}", String::from_utf8_lossy(&output.stderr))))
}
