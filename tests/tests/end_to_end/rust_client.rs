//! A consumer in Rust that has nothing but the `.proto`: `build.rs` made its client with `murmur_build::client`.

use std::collections::BTreeMap;

use prost_types::{Duration, Timestamp};
use serde_json::{Value, json};

use crate::foreign_clients::served;

#[allow(dead_code, unreachable_pub, reason = "made by a generator")]
pub(crate) mod murmur {
    pub(crate) mod v1 {
        tonic::include_proto!("murmur.v1");
    }
}

#[allow(unreachable_pub, reason = "made by a generator")]
pub(crate) mod page_traffic {
    pub(crate) mod v1 {
        tonic::include_proto!("page_traffic.v1");
    }
}

use page_traffic::v1::page_traffic_service_client::PageTrafficServiceClient;
use page_traffic::v1::*;

/// As protobuf's JSON has it, as far as the comparison looks at it.
pub(crate) fn json(present: bool, traffic: Option<Traffic>) -> Value {
    let value = traffic.map(|traffic| {
        let visitors = traffic.visitors.unwrap_or_default();
        let items = traffic.referrers.unwrap_or_default().items;
        let items: Vec<_> = items.iter().map(|item| json!({ "item": item.item, "count": item.count })).collect();
        json!({
            "views": traffic.views,
            "dwell_ms": traffic.dwell_ms,
            "slowest": traffic.slowest,
            "visitors": { "value": visitors.value, "lower": visitors.lower, "upper": visitors.upper },
            "referrers": { "items": items },
        })
    });
    json!({ "present": present, "value": value })
}

fn entries(entries: Vec<PageTrafficEntry>) -> Value {
    let entries = entries.into_iter().map(|entry| {
        let page = entry.key.unwrap().page_id;
        let mut reply = json(entry.present, entry.value);
        reply["key"] = json!({ "page_id": page });
        reply
    });
    json!({ "entries": entries.collect::<Vec<_>>() })
}

#[test]
fn rust_with_a_client_made_from_the_proto() {
    let served = served();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let replies = runtime.block_on(async {
        let mut client = PageTrafficServiceClient::connect(served.server.url()).await.unwrap();
        let keys: Vec<_> = served.pages.iter().map(|page| PageTrafficKey { page_id: page.clone() }).collect();
        let key = Some(keys[0].clone());
        let duration = |seconds| Some(Duration { seconds, nanos: 0 });
        let at = |seconds| Some(Timestamp { seconds, nanos: 0 });
        let (window, step) = (duration(served.window), duration(served.step));
        let (start, end) = (at(served.start), at(served.end));
        let mut replies = BTreeMap::new();

        let get = PageTrafficServiceGetRequest { key: key.clone(), ..Default::default() };
        let reply = client.get(get).await.unwrap().into_inner();
        replies.insert("Get", json(reply.present, reply.value));

        let many = PageTrafficServiceGetManyRequest { keys: keys.clone(), ..Default::default() };
        replies.insert("GetMany", entries(client.get_many(many).await.unwrap().into_inner().entries));

        let request = PageTrafficServiceGetWindowRequest { key: key.clone(), window, end, ..Default::default() };
        let reply = client.get_window(request).await.unwrap().into_inner();
        replies.insert("GetWindow", json(reply.present, reply.value));

        let request = PageTrafficServiceGetWindowManyRequest { keys: keys.clone(), window, end, ..Default::default() };
        replies.insert("GetWindowMany", entries(client.get_window_many(request).await.unwrap().into_inner().entries));

        let request = PageTrafficServiceGetRangeRequest { key: key.clone(), start, end, ..Default::default() };
        let reply = client.get_range(request).await.unwrap().into_inner();
        replies.insert("GetRange", json(reply.present, reply.value));

        let request = PageTrafficServiceGetRangeManyRequest { keys: keys.clone(), start, end, ..Default::default() };
        replies.insert("GetRangeMany", entries(client.get_range_many(request).await.unwrap().into_inner().entries));

        let request = PageTrafficServiceSeriesRequest { key: key.clone(), start, end, step, ..Default::default() };
        let points = client.series(request).await.unwrap().into_inner().points;
        let points: Vec<_> = points.into_iter().map(|point| json(point.present, point.value)).collect();
        replies.insert("Series", json!({ "points": points }));

        let request = PageTrafficServiceWatchRequest { key, ..Default::default() };
        let reply = client.watch(request).await.unwrap().into_inner().message().await.unwrap().unwrap();
        replies.insert("Watch", json(reply.present, reply.value));
        let request = PageTrafficServiceWatchManyRequest { keys, ..Default::default() };
        let reply = client.watch_many(request).await.unwrap().into_inner().message().await.unwrap().unwrap();
        replies.insert("WatchMany", entries(reply.entries));
        replies
    });
    served.assert_right(&json!(replies));
}
