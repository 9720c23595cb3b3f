//! A request on its way through the proxy.

use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::SendRequest;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpStream;

use super::items::{damage, halve, places_after, remove_expired};
use super::reply::{error, said, throttled};
use super::units::{ALL, charge, count_throttle, has_units};
use super::{Shared, Waiting, lock};

/// In place of an answer.
#[derive(Debug)]
pub(super) struct Closed;

impl std::fmt::Display for Closed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the connection is closed in place of an answer")
    }
}

impl std::error::Error for Closed {}

type Answer = Result<Response<Full<Bytes>>, Closed>;
pub(super) type Upstream = Arc<Server>;

/// The way to the server that goes with a client's connection.
pub(super) struct Server {
    address: String,
    way: tokio::sync::Mutex<SendRequest<Full<Bytes>>>,
}

async fn connect(address: &str) -> Result<SendRequest<Full<Bytes>>, Closed> {
    let stream = TcpStream::connect(address).await.map_err(|_| Closed)?;
    let (way, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|_| Closed)?;
    tokio::spawn(connection);
    Ok(way)
}

pub(super) async fn serve(shared: Arc<Shared>, client: TcpStream) {
    let address = shared.server.clone();
    let Ok(way) = connect(&address).await else { return };
    let upstream = Arc::new(Server { address, way: tokio::sync::Mutex::new(way) });
    let service = service_fn(move |request| answer(shared.clone(), upstream.clone(), request));
    // It ends with an error when the client goes away, or when it is to be closed.
    let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(client), service).await;
}

async fn answer(shared: Arc<Shared>, upstream: Upstream, request: Request<Incoming>) -> Answer {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(|_| Closed)?.to_bytes();
    let target = head.headers.get("x-amz-target").and_then(|target| target.to_str().ok()).unwrap_or_default();
    let operation = target.rsplit('.').next().unwrap_or_default().to_owned();
    let mut parsed: Value = serde_json::from_slice(&body).unwrap_or_default();
    let key = ["Key", "Item"].iter().find_map(|of| parsed[of]["pk"]["S"].as_str()).map(str::to_owned);
    let is_write = matches!(operation.as_str(), "PutItem" | "UpdateItem");
    let troubles = lock(&shared.troubles).clone();
    lock(&shared.tally).requests += 1;

    let wait = troubles.latency.mul_f64(lock(&shared.rng).f64());
    let slow = troubles.slow.as_ref().filter(|(of, _)| is_write && key.as_ref().is_some_and(|key| key.contains(of)));
    tokio::time::sleep(slow.map_or(wait, |(_, pause)| *pause)).await;

    let gate = lock(&shared.gate).clone().filter(|_| is_write && key.as_ref().is_some_and(|key| key != "#record"));
    let waiting = gate.map(Waiting::at);
    if let Some(waiting) = &waiting {
        waiting.pass().await;
    }

    // Tables are made undisturbed.
    let is_data = is_write || matches!(operation.as_str(), "GetItem" | "BatchGetItem" | "Query" | "Scan");
    if let Some(name) = troubles.denied.filter(|_| is_data) {
        lock(&shared.tally).denied += 1;
        return Ok(error(StatusCode::BAD_REQUEST, name, "a made-up refusal"));
    }
    let is_of = |table: &str| parsed["TableName"].as_str().is_some_and(|name| name.contains(table));
    if is_write && troubles.closed.as_deref().is_some_and(is_of) {
        lock(&shared.tally).failed += 1;
        return Ok(error(StatusCode::INTERNAL_SERVER_ERROR, "InternalServerError", "a made-up failure"));
    }
    let is_tile = key.as_ref().is_some_and(|key| key != "#record");
    // It may have waited for long.
    let removed_by = lock(&shared.troubles).removed_by.filter(|_| is_tile && is_write);
    if let Some(by) = removed_by
        && remove_expired(&upstream, &head, &parsed, by).await?
    {
        lock(&shared.tally).removed += 1;
    }
    let dice = if is_data { lock(&shared.rng).f32() } else { 1.0 };
    let mut below = 0.0;
    // Each request meets one of them at most.
    let mut falls = |share: f32| {
        let from = below;
        below += share;
        (from..below).contains(&dice)
    };
    if falls(troubles.throttled) {
        if is_write {
            count_throttle(&shared, &parsed, is_tile);
        }
        return Ok(throttled(&shared, "TableWriteProvisionedThroughputExceeded"));
    }
    if falls(troubles.failed) {
        lock(&shared.tally).failed += 1;
        return Ok(error(StatusCode::INTERNAL_SERVER_ERROR, "InternalServerError", "a made-up failure"));
    }
    if falls(troubles.dropped) {
        lock(&shared.tally).failed += 1;
        return Err(Closed);
    }
    let unanswered = falls(troubles.unanswered);
    if is_tile && falls(troubles.pretended) {
        return Ok(said(StatusCode::OK, Bytes::from_static(b"{}")));
    }
    let doubled = is_tile && operation == "UpdateItem" && falls(troubles.doubled);
    let key = key.filter(|_| is_write);
    if let (Some((of, most)), Some(key)) = (&troubles.room, &key)
        && key.contains(of)
        && places_after(&upstream, &head, &parsed).await? > *most
    {
        lock(&shared.tally).too_large += 1;
        let message = match operation.as_str() {
            "UpdateItem" => "Item size to update has exceeded the maximum allowed size",
            _ => "Item size has exceeded the maximum allowed size",
        };
        return Ok(error(StatusCode::BAD_REQUEST, "ValidationException", message));
    }
    if let (Some((of, units)), Some(key)) = (&troubles.units, &key)
        && key.contains(of)
        && !has_units(&shared, key, *units)
    {
        lock(&shared.without_units).insert(key.clone());
        return Ok(throttled(&shared, "TableWriteKeyRangeThroughputExceeded"));
    }
    if let Some(units) = troubles.capacity.filter(|_| is_tile && is_write)
        && !has_units(&shared, ALL, units)
    {
        return Ok(throttled(&shared, "TableWriteProvisionedThroughputExceeded"));
    }
    let is_batch = operation == "BatchGetItem" && lock(&shared.rng).f32() < troubles.unprocessed;
    let left_out = if is_batch { halve(&mut parsed) } else { Value::Null };
    if let Value::Object(tables) = &left_out {
        let keys = tables.values().filter_map(|rest| Some(rest["Keys"].as_array()?.len() as u64));
        lock(&shared.tally).left_out += keys.sum::<u64>();
    }
    let is_eventual = matches!(operation.as_str(), "GetItem" | "BatchGetItem" | "Query" | "Scan")
        && !String::from_utf8_lossy(&body).contains("\"ConsistentRead\":true");
    if is_eventual && lock(&shared.rng).f32() < troubles.stale {
        let first = lock(&shared.first_answers).get(&body).cloned();
        if let Some(first) = first {
            lock(&shared.tally).stale += 1;
            return Ok(said(StatusCode::OK, first));
        }
    }
    if is_write {
        parsed["ReturnConsumedCapacity"] = json!("TOTAL");
    }
    if doubled {
        let condition = parsed["ConditionExpression"].as_str().unwrap_or_default();
        let always = format!("attribute_not_exists(nowhere) OR ({condition})");
        parsed["ConditionExpression"] = json!(always);
        forward(&upstream, head.clone(), Bytes::from(parsed.to_string())).await?;
    }
    let sent = if is_write || is_batch { Bytes::from(parsed.to_string()) } else { body.clone() };
    let (status, mut reply) = forward(&upstream, head, sent).await?;
    drop(waiting);
    if is_tile && is_write && status == StatusCode::BAD_REQUEST {
        let is_refused = String::from_utf8_lossy(&reply).contains("ConditionalCheckFailedException");
        lock(&shared.tally).refused += u64::from(is_refused);
    }
    if let Some(key) = key {
        let is_other = troubles.units.is_some_and(|(of, _)| key != "#record" && !key.contains(&of));
        charge(&shared, key, is_other, &reply);
    }
    if is_eventual && status == StatusCode::OK {
        lock(&shared.first_answers).entry(body).or_insert_with(|| reply.clone());
    }
    if let Some(of) = troubles.damaged.filter(|_| is_data)
        && let Ok(mut whole) = serde_json::from_slice::<Value>(&reply)
    {
        let damaged = damage(&mut whole, &of);
        lock(&shared.tally).damaged += damaged;
        reply = Bytes::from(whole.to_string());
    }
    if !left_out.is_null()
        && let Ok(mut whole) = serde_json::from_slice::<Value>(&reply)
    {
        whole["UnprocessedKeys"] = left_out;
        reply = Bytes::from(whole.to_string());
    }
    if unanswered {
        let mut tally = lock(&shared.tally);
        tally.unanswered += 1;
        tally.unanswered_tiles += u64::from(is_tile && is_write);
        return Err(Closed);
    }
    Ok(said(status, reply))
}

pub(super) async fn forward(
    upstream: &Upstream,
    mut head: hyper::http::request::Parts,
    body: Bytes,
) -> Result<(StatusCode, Bytes), Closed> {
    head.headers.insert("content-length", body.len().into());
    let mut way = upstream.way.lock().await;
    // The server does not keep a way open for ever on which a request was held up.
    if way.is_closed() {
        *way = connect(&upstream.address).await?;
    }
    let answer = way.send_request(Request::from_parts(head, Full::new(body))).await.map_err(|_| Closed)?;
    let status = answer.status();
    Ok((status, answer.into_body().collect().await.map_err(|_| Closed)?.to_bytes()))
}
