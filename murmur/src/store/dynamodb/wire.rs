//! The JSON of DynamoDB's protocol, as far as writes need it.

use std::collections::HashMap;
use std::time::SystemTime;

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::Value;

use super::expression::Expression;
use super::format::Attributes;

/// A request: fields of one JSON object.
pub(super) struct Request(Vec<u8>);

impl Request {
    /// On a table.
    fn new(table: &str) -> Self {
        let mut out = Vec::with_capacity(1024);
        out.extend_from_slice(br#"{"ReturnConsumedCapacity":"TOTAL","TableName":"#);
        push_text(&mut out, table);
        Self(out)
    }

    pub(super) fn update(table: &str, key: &Attributes, expression: &Expression) -> Self {
        let mut request = Self::new(table);
        request.attributes("Key", key);
        request.text("UpdateExpression", &expression.update);
        request.condition(expression)
    }

    pub(super) fn put(table: &str, item: &Attributes, condition: &Expression) -> Self {
        let mut request = Self::new(table);
        request.attributes("Item", item);
        request.condition(condition)
    }

    /// With the old item in place of a reason when the condition does not hold.
    fn condition(mut self, expression: &Expression) -> Self {
        if !expression.condition.is_empty() {
            self.text("ReturnValuesOnConditionCheckFailure", "ALL_OLD");
            self.text("ConditionExpression", &expression.condition);
        }
        // DynamoDB refuses maps of nothing.
        if !expression.names.is_empty() {
            self.name("ExpressionAttributeNames");
            push_map(&mut self.0, &expression.names, |out, name| push_text(out, name));
        }
        if !expression.values.is_empty() {
            self.attributes("ExpressionAttributeValues", &expression.values);
        }
        self
    }

    pub(super) fn into_bytes(mut self) -> Vec<u8> {
        self.0.push(b'}');
        self.0
    }

    fn name(&mut self, name: &str) {
        self.0.push(b',');
        push_text(&mut self.0, name);
        self.0.push(b':');
    }

    fn text(&mut self, name: &str, text: &str) {
        self.name(name);
        push_text(&mut self.0, text);
    }

    fn attributes(&mut self, name: &str, attributes: &Attributes) {
        self.name(name);
        push_map(&mut self.0, attributes, push_value);
    }
}

fn push_text(out: &mut Vec<u8>, text: &str) {
    // Writing a string to memory cannot fail.
    let _ = serde_json::to_writer(out, text);
}

fn push_map<T>(out: &mut Vec<u8>, map: &HashMap<String, T>, push: impl Fn(&mut Vec<u8>, &T)) {
    out.push(b'{');
    for (n, (name, value)) in map.iter().enumerate() {
        if n > 0 {
            out.push(b',');
        }
        push_text(out, name);
        out.push(b':');
        push(out, value);
    }
    out.push(b'}');
}

fn push_value(out: &mut Vec<u8>, value: &AttributeValue) {
    match value {
        AttributeValue::S(text) => push_tagged(out, "S", text),
        AttributeValue::N(digits) => push_tagged(out, "N", digits),
        AttributeValue::B(bytes) => {
            // Its letters need no escapes.
            out.extend_from_slice(br#"{"B":""#);
            let (start, bytes) = (out.len(), bytes.as_ref());
            out.resize(start + bytes.len().div_ceil(3) * 4, b'=');
            // There is room for exactly this.
            let _ = STANDARD.encode_slice(bytes, &mut out[start..]);
            out.extend_from_slice(br#""}"#);
        }
        AttributeValue::Ns(numbers) => {
            out.extend_from_slice(br#"{"NS":["#);
            for (n, digits) in numbers.iter().enumerate() {
                if n > 0 {
                    out.push(b',');
                }
                push_text(out, digits);
            }
            out.extend_from_slice(b"]}");
        }
        AttributeValue::L(values) => {
            out.extend_from_slice(br#"{"L":["#);
            for (n, value) in values.iter().enumerate() {
                if n > 0 {
                    out.push(b',');
                }
                push_value(out, value);
            }
            out.extend_from_slice(b"]}");
        }
        // `format` makes no others.
        _ => out.extend_from_slice(br#"{"NULL":true}"#),
    }
}

fn push_tagged(out: &mut Vec<u8>, tag: &str, text: &str) {
    out.extend_from_slice(b"{\"");
    out.extend_from_slice(tag.as_bytes());
    out.extend_from_slice(b"\":");
    push_text(out, text);
    out.push(b'}');
}

/// What the server says when it has carried a write out.
#[derive(Deserialize)]
struct Done {
    #[serde(rename = "ConsumedCapacity")]
    consumed: Option<Consumed>,
}

#[derive(Deserialize)]
struct Consumed {
    #[serde(rename = "CapacityUnits")]
    units: Option<f64>,
}

/// The write units that a write used; the error when the reply is none.
pub(super) fn read_done(body: &[u8]) -> Result<Option<f64>, serde_json::Error> {
    let done: Done = serde_json::from_slice(body)?;
    Ok(done.consumed.and_then(|consumed| consumed.units))
}

/// Why the server did not carry a request out.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Refusal {
    /// Its name, without the namespace.
    #[serde(rename = "__type", default)]
    pub(super) code: String,
    #[serde(alias = "Message", default)]
    pub(super) message: String,
    /// Where it was too much, when that is why.
    #[serde(rename = "throttlingReasons", alias = "ThrottlingReasons", default)]
    pub(super) reasons: Vec<Reason>,
    /// What stands there, when that is why.
    #[serde(rename = "Item")]
    item: Option<HashMap<String, Value>>,
    #[serde(skip)]
    pub(super) status: u16,
    /// When the server said it, by its clock.
    #[serde(skip)]
    pub(super) date: Option<SystemTime>,
}

/// Where something was too much.
#[derive(Debug, Deserialize)]
pub(super) struct Reason {
    /// What, for which requests, by which limit: `TableWriteKeyRangeThroughputExceeded`.
    #[serde(default)]
    pub(super) reason: String,
}

impl Refusal {
    /// Of a reply with this status. One that says nothing readable has no name.
    pub(super) fn read(status: u16, body: &[u8]) -> Self {
        let mut refusal: Self = serde_json::from_slice(body).unwrap_or_default();
        if let Some((_, code)) = refusal.code.rsplit_once('#') {
            refusal.code = code.to_owned();
        }
        refusal.status = status;
        refusal
    }

    pub(super) fn into_item(self) -> Option<Attributes> {
        Some(self.item?.into_iter().map(|(name, value)| (name, read_value(value))).collect())
    }
}

/// A value; one of a kind that no tile has, or that is damaged, is a null, which decodes to no part of a tile.
fn read_value(value: Value) -> AttributeValue {
    let read = || {
        let Value::Object(tagged) = value else { return None };
        match tagged.into_iter().next()? {
            (tag, Value::String(text)) => match tag.as_str() {
                "S" => Some(AttributeValue::S(text)),
                "N" => Some(AttributeValue::N(text)),
                "B" => Some(AttributeValue::B(Blob::new(STANDARD.decode(text).ok()?))),
                _ => None,
            },
            (tag, Value::Array(values)) if tag == "L" => {
                Some(AttributeValue::L(values.into_iter().map(read_value).collect()))
            }
            (tag, Value::Array(values)) if tag == "NS" => {
                let numbers = values.into_iter().map(|digits| match digits {
                    Value::String(digits) => Some(digits),
                    _ => None,
                });
                numbers.collect::<Option<_>>().map(AttributeValue::Ns)
            }
            _ => None,
        }
    };
    read().unwrap_or(AttributeValue::Null(true))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn values() -> impl Strategy<Value = AttributeValue> {
        let flat = prop_oneof![
            ".*".prop_map(AttributeValue::S),
            "-?[0-9]{1,38}".prop_map(AttributeValue::N),
            prop::collection::vec("[0-9]{1,5}", 1..9).prop_map(AttributeValue::Ns),
            prop::collection::vec(any::<u8>(), 0..40).prop_map(|bytes| AttributeValue::B(Blob::new(bytes))),
        ];
        flat.prop_recursive(2, 8, 3, |inner| prop::collection::vec(inner, 0..3).prop_map(AttributeValue::L))
    }

    proptest! {
        #[test]
        fn what_is_sent_reads_back(item in prop::collection::hash_map(".{0,9}", values(), 0..6)) {
            let body = Request::put("views_v1", &item, &Expression::unchanged(Some(7))).into_bytes();
            let sent: Value = serde_json::from_slice(&body).unwrap();
            prop_assert_eq!(&sent["TableName"], "views_v1");
            prop_assert_eq!(&sent["ConditionExpression"], "v = :v");
            prop_assert_eq!(&sent["ExpressionAttributeValues"][":v"]["N"], "7");
            prop_assert!(sent.get("ExpressionAttributeNames").is_none());
            let reply = serde_json::json!({ "__type": "a.b#C", "message": "m", "Item": sent["Item"] }).to_string();
            let refusal = Refusal::read(400, reply.as_bytes());
            prop_assert_eq!((refusal.code.as_str(), refusal.message.as_str()), ("C", "m"));
            prop_assert_eq!(refusal.into_item(), Some(item));
        }
    }

    #[test]
    fn replies_that_are_none_have_no_name() {
        for body in [&b""[..], b"<html>", b"[]", b"{\"__type\":7}"] {
            assert_eq!(Refusal::read(502, body).code, "");
            assert!(body == b"{\"__type\":7}" || read_done(body).is_err());
        }
        assert_eq!(read_done(br#"{"ConsumedCapacity":{"TableName":"t","CapacityUnits":2.5}}"#).unwrap(), Some(2.5));
        assert_eq!(read_done(b"{}").unwrap(), None);
        // A value of a kind that no tile has.
        let refusal = Refusal::read(400, br#"{"Item":{"n1s0":{"SS":["1"]},"b0":{"B":"*"},"r":{"NS":[1]}}}"#);
        let item = refusal.into_item().unwrap();
        assert!(item.values().all(|value| *value == AttributeValue::Null(true)), "{item:?}");
    }
}
