//! Tables for DynamoDB, in three languages: the API's JSON, CloudFormation, Terraform.
//!
//! | attribute | type | what |
//! |---|---|---|
//! | `pk` | S | the encoded key |
//! | `sk` | S | the tile: `<level>#<start>[#<partition>]` |
//! | `x` | N | when the item expires, in seconds |
//!
//! Only `pk` and `sk` are declared: DynamoDB rejects definitions of attributes that no key uses. The time to live is
//! not part of `CreateTable`; it is a call of its own, with a file of its own.

use super::Json;
use crate::names;
use crate::schema::{Schema, Table};

const PARTITION_KEY: &str = "pk";
const SORT_KEY: &str = "sk";
const EXPIRES: &str = "x";

fn tags(schema: &Schema, table: &Table) -> [(&'static str, String); 3] {
    [
        ("murmur:package", schema.package.clone()),
        ("murmur:pipeline", table.pipeline.clone()),
        ("murmur:window", format!("{}, kept {}", table.window.layout, table.window.keep)),
    ]
}

fn named(name: &str, key: &str, value_name: &str, value: &str) -> Json {
    Json::object([(name, Json::from(key)), (value_name, Json::from(value))])
}

fn attributes() -> Json {
    Json::List([PARTITION_KEY, SORT_KEY].map(|key| named("AttributeName", key, "AttributeType", "S")).to_vec())
}

fn key_schema() -> Json {
    Json::List(vec![
        named("AttributeName", PARTITION_KEY, "KeyType", "HASH"),
        named("AttributeName", SORT_KEY, "KeyType", "RANGE"),
    ])
}

fn aws_tags(schema: &Schema, table: &Table) -> Json {
    Json::List(tags(schema, table).iter().map(|(key, value)| named("Key", key, "Value", value)).collect())
}

/// Input of `aws dynamodb create-table --cli-input-json`.
pub(super) fn create_table(schema: &Schema, table: &Table) -> Json {
    Json::object([
        ("TableName", Json::from(&*table.name)),
        ("AttributeDefinitions", attributes()),
        ("KeySchema", key_schema()),
        ("BillingMode", "PAY_PER_REQUEST".into()),
        ("DeletionProtectionEnabled", true.into()),
        ("Tags", aws_tags(schema, table)),
    ])
}

fn time_to_live() -> Json {
    Json::object([("AttributeName", Json::from(EXPIRES)), ("Enabled", true.into())])
}

/// Input of `aws dynamodb update-time-to-live --cli-input-json`.
pub(super) fn ttl(table: &Table) -> Json {
    Json::object([("TableName", Json::from(&*table.name)), ("TimeToLiveSpecification", time_to_live())])
}

/// One template with all tables. What it made stays when the stack goes.
pub(super) fn cloudformation(schema: &Schema) -> Json {
    let resources = schema.tables.iter().map(|table| {
        let Json::Object(mut properties) = create_table(schema, table) else {
            unreachable!("it is built as an object")
        };
        properties.push(("TimeToLiveSpecification".into(), time_to_live()));
        properties.push((
            "PointInTimeRecoverySpecification".into(),
            Json::object([("PointInTimeRecoveryEnabled", Json::from(true))]),
        ));
        let resource = Json::object([
            ("Type", Json::from("AWS::DynamoDB::Table")),
            ("DeletionPolicy", "Retain".into()),
            ("UpdateReplacePolicy", "Retain".into()),
            ("Properties", Json::Object(properties)),
        ]);
        (logical_id(table), resource)
    });
    let resources = Json::object(resources.collect::<Vec<_>>());
    let outputs = schema.tables.iter().map(|table| {
        let arn = Json::object([(
            "Value",
            Json::object([("Fn::GetAtt", Json::List(vec![logical_id(table).into(), "Arn".into()]))]),
        )]);
        (format!("{}Arn", logical_id(table)), arn)
    });
    Json::object([
        ("AWSTemplateFormatVersion", Json::from("2010-09-09")),
        ("Description", format!("Tables of the pipelines of {}", schema.package).into()),
        ("Resources", resources),
        ("Outputs", Json::object(outputs.collect::<Vec<_>>())),
    ])
}

/// Logical ids are letters and digits: `page_traffic_v1` is `PageTrafficV1`.
fn logical_id(table: &Table) -> String {
    names::marker(&table.name)
}

/// A `.tf.json`: Terraform's JSON form of one table.
pub(super) fn terraform(schema: &Schema, table: &Table) -> Json {
    let attribute = |name: &str| named("name", name, "type", "S");
    let tags = tags(schema, table).map(|(key, value)| (key, Json::from(value)));
    let resource = Json::object([
        ("name", Json::from(&*table.name)),
        ("billing_mode", "PAY_PER_REQUEST".into()),
        ("hash_key", PARTITION_KEY.into()),
        ("range_key", SORT_KEY.into()),
        ("attribute", Json::List(vec![attribute(PARTITION_KEY), attribute(SORT_KEY)])),
        ("ttl", Json::object([("attribute_name", Json::from(EXPIRES)), ("enabled", true.into())])),
        ("point_in_time_recovery", Json::object([("enabled", Json::from(true))])),
        ("deletion_protection_enabled", true.into()),
        ("lifecycle", Json::object([("prevent_destroy", Json::from(true))])),
        ("tags", Json::object(tags)),
    ]);
    Json::object([("resource", Json::object([("aws_dynamodb_table", Json::object([(table.name.clone(), resource)]))]))])
}
