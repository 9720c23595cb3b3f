//! What a table is set up with beside its keys, against a server that has all of it. DynamoDB Local lacks point-in-time
//! recovery and tags, so this is moto, which has DynamoDB's calls for tables (and no throughput to speak of).

use murmur_tests::process::{self, Server, example};
use murmur_tests::tools;
use serde_json::{Value, json};

struct Moto(Server);

impl Moto {
    fn start() -> Self {
        Self(Server::listening(tools::moto(), &["--host", "127.0.0.1", "--port", "0"]))
    }

    /// A call of DynamoDB's interface. The server checks no signature, but reads from it whom the call is for.
    fn call(&self, operation: &str, request: &Value) -> Value {
        let target = format!("x-amz-target: DynamoDB_20120810.{operation}");
        let signed = "authorization: AWS4-HMAC-SHA256 Credential=any/20260101/us-east-1/dynamodb/aws4_request";
        let kind = "content-type: application/x-amz-json-1.0";
        let body = request.to_string();
        process::json(
            "curl",
            &["-sS", "--fail-with-body", "-H", &target, "-H", signed, "-H", kind, "-d", &body, &self.0.url()],
        )
    }

    fn ensure(&self) -> Value {
        let url = format!("dynamodb://shop-?region=us-east-1&endpoint={}", self.0.url());
        process::json(example("page-traffic"), &["table", "ensure", "--store", &url, "-o", "json"])
    }

    /// Everything that `table ensure` sees to, of one table.
    fn settings(&self, table: &str) -> Value {
        let named = json!({ "TableName": table });
        let described = self.call("DescribeTable", &named);
        let tags = self.call("ListTagsOfResource", &json!({ "ResourceArn": described["Table"]["TableArn"] }));
        let mut tags = tags["Tags"].as_array().unwrap().clone();
        tags.sort_by_key(|tag| tag["Key"].as_str().unwrap().to_owned());
        let backups = self.call("DescribeContinuousBackups", &named);
        json!({
            "billing": described["Table"]["BillingModeSummary"]["BillingMode"],
            "protected": described["Table"]["DeletionProtectionEnabled"],
            "expires": self.call("DescribeTimeToLive", &named)["TimeToLiveDescription"],
            "recovery": backups["ContinuousBackupsDescription"]["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"],
            "tags": tags,
        })
    }
}

fn made_and_unset(rows: &Value) -> Vec<(bool, usize)> {
    let of = |row: &Value| (row["made"].as_bool().unwrap(), row["unset"].as_array().unwrap().len());
    rows.as_array().unwrap().iter().map(of).collect()
}

#[test]
fn a_table_gets_all_of_its_settings_and_gets_back_what_was_taken() {
    let moto = Moto::start();
    assert_eq!(made_and_unset(&moto.ensure()), [(true, 0), (true, 0)]);
    let tag = |key: &str, value: &str| json!({ "Key": key, "Value": value });
    let expected = |tags: &[Value]| {
        json!({
            "billing": "PAY_PER_REQUEST",
            "protected": true,
            "expires": { "AttributeName": "x", "TimeToLiveStatus": "ENABLED" },
            "recovery": "ENABLED",
            "tags": tags,
        })
    };
    let ours = [
        tag("murmur:package", "page_traffic.v1"),
        tag("murmur:pipeline", "page_traffic"),
        tag("murmur:window", "sliding 1m, kept 90d"),
    ];
    let (table, sources) = ("shop-page_traffic_v1", "shop-murmur_sources");
    assert_eq!(moto.settings(table), expected(&ours));
    assert_eq!(moto.settings(sources), expected(&[]));
    assert_eq!(made_and_unset(&moto.ensure()), [(false, 0), (false, 0)]);
    assert_eq!(moto.settings(table), expected(&ours));

    // Somebody takes it away, and puts a tag of their own beside ours.
    let arn = moto.call("DescribeTable", &json!({ "TableName": table }))["Table"]["TableArn"].clone();
    let off = json!({ "AttributeName": "x", "Enabled": false });
    moto.call("UpdateTimeToLive", &json!({ "TableName": table, "TimeToLiveSpecification": off }));
    let off = json!({ "PointInTimeRecoveryEnabled": false });
    moto.call("UpdateContinuousBackups", &json!({ "TableName": table, "PointInTimeRecoverySpecification": off }));
    moto.call("UpdateTable", &json!({ "TableName": table, "DeletionProtectionEnabled": false }));
    let team = tag("team", "web");
    moto.call("TagResource", &json!({ "ResourceArn": arn, "Tags": [team] }));
    moto.call("UntagResource", &json!({ "ResourceArn": arn, "TagKeys": ["murmur:window"] }));
    assert_ne!(moto.settings(table), expected(&ours));
    assert_eq!(made_and_unset(&moto.ensure()), [(false, 0), (false, 0)]);
    let [package, pipeline, window] = ours;
    assert_eq!(moto.settings(table), expected(&[package, pipeline, window, team]));

    // Time to live on another attribute is somebody's decision: it is told, and left.
    let off = json!({ "AttributeName": "x", "Enabled": false });
    moto.call("UpdateTimeToLive", &json!({ "TableName": table, "TimeToLiveSpecification": off }));
    let other = json!({ "AttributeName": "until", "Enabled": true });
    moto.call("UpdateTimeToLive", &json!({ "TableName": table, "TimeToLiveSpecification": other }));
    let rows = moto.ensure();
    assert_eq!(made_and_unset(&rows), [(false, 1), (false, 0)]);
    let why = rows[0]["unset"][0]["why"].as_str().unwrap();
    assert!(rows[0]["unset"][0]["what"] == "time to live" && why.contains("`until`"), "{why}");
}
