mod faults;
mod offsets;
mod server;
mod sizes;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::*;
use crate::ErrorKind;
use crate::time::Span;

#[test]
fn urls_name_prefix_region_and_endpoint() {
    let config = DynamoConfig::parse("dynamodb://shop-?region=eu-central-1&in_flight=8&timeout=2s").unwrap();
    assert_eq!((config.prefix.as_str(), config.region.as_deref()), ("shop-", Some("eu-central-1")));
    assert_eq!((config.in_flight, config.timeout), (8, Span::from_seconds(2)));
    assert!(!config.is_loopback());
    let bare = DynamoConfig::parse("dynamodb://").unwrap();
    assert_eq!((bare.prefix.as_str(), bare.region, bare.in_flight), ("", None, 64));
    for refused in
        ["dynamodb://a/b", "dynamodb://?in_flight=0", "dynamodb://?table=x", "embedded://x", "dynamodb://?timeout=0s"]
    {
        assert_eq!(DynamoConfig::parse(refused).unwrap_err().kind(), ErrorKind::Configuration, "{refused}");
    }
}

#[test]
fn endpoints_are_addresses_of_servers() {
    for endpoint in ["http://127.0.0.1:8000", "https://vpce-1.dynamodb.eu-central-1.vpce.amazonaws.com", "http://db"] {
        let config = DynamoConfig::parse(&format!("dynamodb://?endpoint={endpoint}")).unwrap();
        assert_eq!(config.endpoint.as_deref(), Some(endpoint));
    }
    for endpoint in ["nonsense", "127.0.0.1:8000", "localhost:8000", "ftp://db", "http://", "http://a b"] {
        let error = DynamoConfig::parse(&format!("dynamodb://?endpoint={endpoint}")).unwrap_err();
        let text = error.to_string();
        assert_eq!(error.kind(), ErrorKind::Configuration, "{text}");
        assert!(text.contains("`endpoint`") && text.contains("http://127.0.0.1:8000"), "{text}");
    }
}

#[test]
fn only_servers_of_this_machine_get_made_up_credentials() {
    let is_loopback =
        |endpoint: &str| DynamoConfig { endpoint: Some(endpoint.to_owned()), ..DynamoConfig::new() }.is_loopback();
    for local in ["http://127.0.0.1:8000", "http://localhost", "http://[::1]:8000/", "http://127.9.9.9"] {
        assert!(is_loopback(local), "{local}");
    }
    for far in ["https://dynamodb.eu-central-1.amazonaws.com", "http://10.0.0.1:8000", "http://127.0.0.1.example.com"] {
        assert!(!is_loopback(far), "{far}");
    }
}

/// What `cargo murmur sync` writes for a table is what `table ensure` makes.
#[tokio::test]
async fn tables_are_made_as_the_build_step_describes_them() {
    let emitted: Value =
        serde_json::from_str(include_str!("../../../../../examples/page-traffic/schema/dynamodb/page_traffic_v1.json"))
            .unwrap();
    let ttl: Value = serde_json::from_str(include_str!(
        "../../../../../examples/page-traffic/schema/dynamodb/page_traffic_v1.ttl.json"
    ))
    .unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let pairs = |list: &str, key: &str, value: &str| -> BTreeMap<String, String> {
        emitted[list].as_array().unwrap().iter().map(|entry| (text(&entry[key]), text(&entry[value]))).collect()
    };
    let tags: Vec<(String, String)> = pairs("Tags", "Key", "Value").into_iter().collect();

    let config = DynamoConfig::parse("dynamodb://?endpoint=http://127.0.0.1:1&region=x").unwrap();
    let store = DynamoStore::open(&config).await.unwrap();
    let made = store.0.creation("page_traffic_v1", &tags).unwrap().as_input().clone().build().unwrap();
    let fields: BTreeSet<&str> = emitted.as_object().unwrap().keys().map(String::as_str).collect();
    let compared =
        ["AttributeDefinitions", "BillingMode", "DeletionProtectionEnabled", "KeySchema", "TableName", "Tags"];
    assert_eq!(fields, BTreeSet::from(compared), "nothing is described that is not compared here");
    assert_eq!(made.table_name.unwrap(), text(&emitted["TableName"]));
    assert_eq!(made.billing_mode.unwrap().as_str(), text(&emitted["BillingMode"]));
    assert_eq!(made.deletion_protection_enabled, emitted["DeletionProtectionEnabled"].as_bool());
    let keys = made.key_schema.unwrap().into_iter().map(|key| (key.attribute_name, key.key_type.as_str().to_owned()));
    assert_eq!(keys.collect::<BTreeMap<_, _>>(), pairs("KeySchema", "AttributeName", "KeyType"));
    let attributes = made.attribute_definitions.unwrap().into_iter();
    let attributes =
        attributes.map(|attribute| (attribute.attribute_name, attribute.attribute_type.as_str().to_owned()));
    assert_eq!(attributes.collect::<BTreeMap<_, _>>(), pairs("AttributeDefinitions", "AttributeName", "AttributeType"));
    let made_tags = made.tags.unwrap().into_iter().map(|tag| (tag.key, tag.value));
    assert_eq!(made_tags.collect::<Vec<_>>(), tags);
    assert_eq!(text(&ttl["TimeToLiveSpecification"]["AttributeName"]), format::EXPIRES);
}
