//! The services that every server has, whatever its pipelines are, asked by `grpcurl` with nothing but reflection.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use prost::Message;
use serde_json::{Value, json};
use tonic::Code;

use super::plain::grpcurl;
use super::{instant, seconds};
use crate::foreign_clients::{SERVICE, Served, assert_reply, served};
use crate::rust_client;
use crate::rust_client::page_traffic::v1::PageTrafficServiceGetResponse;

const QUERIES: &str = "murmur.v1.QueryService";

fn ask(served: &Served, method: &str, request: &Value) -> Value {
    grpcurl(&served.server.address, method, request)
}

#[track_caller]
fn assert_code(answer: &Value, code: Code) {
    assert_eq!(answer["error"]["code"], code as i32, "{answer}");
}

#[test]
fn grpcurl_lists_the_pipelines() {
    let listed = ask(&served(), &format!("{QUERIES}/ListPipelines"), &json!({}));
    let pipeline = json!({
        "name": "page_traffic",
        "service": SERVICE,
        "about": "Traffic per page, over any window of up to 90 days.",
        "keyFields": ["page_id"],
        "valueType": "page_traffic.v1.Traffic",
    });
    assert_eq!(listed, json!({ "reply": { "pipelines": [pipeline] } }));
}

#[test]
fn grpcurl_asks_for_a_pipeline_by_its_name_and_has_the_bytes_of_the_right_answers() {
    let served = served();
    let (start, end) = (served.start, served.end);
    let method = format!("{QUERIES}/Query");
    let window = json!({ "window": seconds(served.window), "end": instant(end) });
    let range = json!({ "start": instant(start), "end": instant(end) });
    let calendar = json!({ "calendar": { "days": 1, "zone": "UTC" }, "end": instant(end) });
    for (over, truth) in [
        (json!({}), served.stream.views.whole_truth()),
        (window, served.truth(end - served.window, end)),
        (range, served.truth(start, end)),
        (calendar, served.truth(end - end.rem_euclid(super::DAY), end)),
    ] {
        for page in served.asked() {
            let mut request = json!({ "pipeline": "page_traffic", "key": [page] });
            request.as_object_mut().unwrap().extend(over.as_object().unwrap().clone());
            let answer = ask(&served, &method, &request);
            let reply = answer.get("reply").unwrap_or_else(|| panic!("{request}: {answer}"));
            let bytes = STANDARD.decode(reply["value"].as_str().unwrap_or_default()).unwrap();
            let value = PageTrafficServiceGetResponse::decode(&*bytes).unwrap();
            let present = reply["present"].as_bool().unwrap_or(false);
            assert_eq!(present, value.present, "{request}");
            assert_reply(&request.to_string(), &rust_client::json(present, value.value), truth.get(&page));
        }
    }
    let (unknown, short) = (json!({ "pipeline": "none", "key": ["/"] }), json!({ "pipeline": "page_traffic" }));
    assert_code(&ask(&served, &method, &unknown), Code::NotFound);
    let refused = ask(&served, &method, &short);
    assert_code(&refused, Code::InvalidArgument);
    // What a detail is, reflection says too.
    let [info, field] = [0, 1].map(|at| &refused["error"]["details"][at]);
    assert_eq!((&info["reason"], &info["domain"]), (&json!("FIELD_INVALID"), &json!("murmur.dev")), "{refused}");
    assert_eq!(field["fieldViolations"][0]["field"], "key", "{refused}");
}

#[test]
fn grpcurl_is_told_the_health_of_the_server_and_of_each_service() {
    let served = served();
    let check = |service: &str| ask(&served, "grpc.health.v1.Health/Check", &json!({ "service": service }));
    for service in ["", SERVICE, QUERIES] {
        assert_eq!(check(service), json!({ "reply": { "status": "SERVING" } }), "{service}");
    }
    assert_code(&check("nobody.v1.Service"), Code::NotFound);
}
