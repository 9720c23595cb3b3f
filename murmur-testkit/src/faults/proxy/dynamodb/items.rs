//! Items, and keys of items, within requests and replies.

use std::collections::BTreeSet;

use bytes::Bytes;
use hyper::StatusCode;
use hyper::header::HeaderValue;
use hyper::http::request::Parts;
use serde_json::{Value, json};

use super::request::{Closed, Upstream, forward};

/// How many numbers or values the item of a write would have after it; 0 when the write adds none.
pub(super) async fn places_after(upstream: &Upstream, head: &Parts, write: &Value) -> Result<usize, Closed> {
    let is_place = |name: &&str| matches!(name.as_bytes(), [b'n' | b'b', digit, ..] if digit.is_ascii_digit());
    let named = |item: &Value| -> BTreeSet<String> {
        let names = item.as_object().into_iter().flatten().map(|(name, _)| name.as_str());
        names.filter(is_place).map(str::to_owned).collect()
    };
    let Some(update) = write["UpdateExpression"].as_str() else { return Ok(named(&write["Item"]).len()) };
    let added: BTreeSet<String> = update.split([' ', ',']).filter(is_place).map(str::to_owned).collect();
    if added.is_empty() {
        return Ok(0);
    }
    let mut head = head.clone();
    head.headers.insert("x-amz-target", HeaderValue::from_static("DynamoDB_20120810.GetItem"));
    let read = json!({ "TableName": write["TableName"], "Key": write["Key"], "ConsistentRead": true });
    let (_, reply) = forward(upstream, head, Bytes::from(read.to_string())).await?;
    let stands: Value = serde_json::from_slice(&reply).unwrap_or_default();
    Ok(named(&stands["Item"]).union(&added).count())
}

/// Remove the item that is to be written to, if it expires by this second; whether it did.
pub(super) async fn remove_expired(upstream: &Upstream, head: &Parts, write: &Value, by: i64) -> Result<bool, Closed> {
    let named = if write["Key"].is_null() { &write["Item"] } else { &write["Key"] };
    let mut head = head.clone();
    head.headers.insert("x-amz-target", HeaderValue::from_static("DynamoDB_20120810.DeleteItem"));
    let delete = json!({
        "TableName": write["TableName"],
        "Key": { "pk": named["pk"], "sk": named["sk"] },
        "ConditionExpression": "x <= :by",
        "ExpressionAttributeValues": { ":by": { "N": by.to_string() } },
    });
    let (status, _) = forward(upstream, head, Bytes::from(delete.to_string())).await?;
    Ok(status == StatusCode::OK)
}

/// Change a letter of every value of these items, wherever they lie in a reply; how many.
pub(super) fn damage(reply: &mut Value, of: &str) -> u64 {
    match reply {
        Value::Array(values) => values.iter_mut().map(|value| damage(value, of)).sum(),
        Value::Object(fields)
            if fields.get("pk").is_some_and(|pk| pk["S"].as_str().is_some_and(|pk| pk.contains(of))) =>
        {
            let is_value = |name: &str| matches!(name.as_bytes(), [b'b', digit, ..] if digit.is_ascii_digit());
            let mut damaged = 0;
            for (_, value) in fields.iter_mut().filter(|(name, _)| is_value(name)) {
                let Some(text) = value["B"].as_str().map(str::to_owned) else { continue };
                let at = text.len() / 2;
                let other = if text.as_bytes()[at] == b'Q' { "R" } else { "Q" };
                value["B"] = json!(format!("{}{other}{}", &text[..at], &text[at + 1..]));
                damaged += 1;
            }
            damaged
        }
        Value::Object(fields) => fields.values_mut().map(|value| damage(value, of)).sum(),
        _ => 0,
    }
}

/// Leave out half of the keys that are asked for; what is left out.
pub(super) fn halve(body: &mut Value) -> Value {
    let mut left = serde_json::Map::new();
    let Some(tables) = body["RequestItems"].as_object_mut() else { return Value::Null };
    for (table, asked) in tables {
        let Some(keys) = asked["Keys"].as_array_mut().filter(|keys| keys.len() > 1) else { continue };
        let out = keys.split_off(keys.len() / 2);
        let mut rest = asked.clone();
        rest["Keys"] = Value::Array(out);
        left.insert(table.clone(), rest);
    }
    if left.is_empty() { Value::Null } else { Value::Object(left) }
}
