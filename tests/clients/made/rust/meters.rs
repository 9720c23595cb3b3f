//! Asks by the client that `cargo murmur clients` has made for meters, whose key has a field of each type.
//!
//!     meters URL QUESTION      prints a JSON object with all replies; QUESTION is one too

use std::time::Duration;

use murmur_tests_client::murmur::{Estimate, SetOperation};
use murmur_tests_client::prost_types::Timestamp;
use murmur_tests_client::{ByMeterClient, ByMeterEntry, ByMeterKey, ByMeterServiceSetOperand, Readings};
use serde_json::{Value, json};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// Long, as a machine that is busy is no reason to fail.
const PATIENCE: Duration = Duration::from_secs(300);

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn instant(value: &Value) -> Result<Option<Timestamp>> {
    Ok(value.as_str().map(str::parse).transpose()?)
}

fn key(fields: &Value) -> Result<ByMeterKey> {
    Ok(ByMeterKey {
        serial: text(&fields[0]).parse()?,
        floor: text(&fields[1]).parse()?,
        indoors: fields[2] == true,
        since: instant(&fields[3])?,
        place: text(&fields[4]).into(),
    })
}

fn estimate(of: Estimate) -> Value {
    json!({ "value": of.value, "lower": of.lower, "upper": of.upper })
}

/// As protobuf's JSON has it.
fn plain(present: bool, value: Option<Readings>) -> Value {
    let value = value.map(|Readings { readings, readers }| {
        json!({ "readings": readings.to_string(), "readers": estimate(readers.unwrap_or_default()) })
    });
    json!({ "present": present, "value": value })
}

fn entries(all: Vec<ByMeterEntry>) -> Value {
    let entry = |entry: ByMeterEntry| {
        let ByMeterKey { serial, floor, indoors, since, place } = entry.key.unwrap_or_default();
        let (serial, floor) = (serial.to_string(), floor.to_string());
        let since = since.map(|since| since.to_string());
        let mut reply = plain(entry.present, entry.value);
        reply["key"] = json!({ "serial": serial, "floor": floor, "indoors": indoors, "since": since, "place": place });
        reply
    };
    all.into_iter().map(entry).collect()
}

fn operand(of: &Value, keys: &[ByMeterKey]) -> Result<ByMeterServiceSetOperand> {
    Ok(ByMeterServiceSetOperand {
        key: of["key"].as_u64().and_then(|at| keys.get(at as usize)).cloned(),
        window: of["window"].as_u64().map(|seconds| Duration::from_secs(seconds).try_into()).transpose()?,
        start: instant(&of["start"])?,
        end: instant(&of["end"])?,
        ..Default::default()
    })
}

#[tokio::main]
async fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().collect();
    let question: Value = serde_json::from_str(&arguments[2])?;
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let client = ByMeterClient::new(&arguments[1])?.timeout(PATIENCE);
    let keys = list(&question["keys"]).iter().map(key).collect::<Result<Vec<_>>>()?;
    let mut one = Vec::new();
    for key in keys.clone() {
        let reply = client.get(key).await?;
        one.push(plain(reply.present, reply.value));
    }
    let watched = client.watch_many(keys.clone(), None).await?.message().await?.ok_or("the stream ended")?;
    let mut sets = Vec::new();
    for asked in list(&question["sets"]) {
        let operation = SetOperation::from_str_name(text(&asked["operation"])).ok_or("the operation is not known")?;
        let operands = list(&asked["sets"]).iter().map(|of| operand(of, &keys)).collect::<Result<_>>()?;
        let reply = client.combine_sets(operands, operation, text(&asked["field"])).await?;
        let each: Vec<Value> = reply.sets.into_iter().map(estimate).collect();
        let estimate = estimate(reply.estimate.unwrap_or_default());
        sets.push(json!({ "estimate": estimate, "present": reply.present, "sets": each }));
    }
    let many = entries(client.get_many(keys).await?);
    println!("{}", json!({ "one": one, "many": many, "watched": entries(watched.entries), "sets": sets }));
    Ok(())
}
