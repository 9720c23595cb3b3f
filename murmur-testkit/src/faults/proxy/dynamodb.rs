//! A proxy that speaks DynamoDB, to do what a local server does not: throttle, fail, and lose answers.

use std::collections::{BTreeSet, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::SendRequest;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

/// How much goes wrong. Shares are of all requests, between 0 and 1.
#[derive(Debug, Clone, Default)]
pub struct Troubles {
    /// Refused as too much: `ProvisionedThroughputExceededException` and `ThrottlingException` by turns.
    pub throttled: f32,
    /// Refused with `InternalServerError`, not carried out.
    pub failed: f32,
    /// Carried out, and the connection closed in place of an answer.
    pub unanswered: f32,
    /// The connection closed in place of asking the server.
    pub dropped: f32,
    /// Batches of reads of which half is left out.
    pub unprocessed: f32,
    /// Reads that are not consistent answered as the same read was answered the first time.
    pub stale: f32,
    /// Everything about data is refused with this name, as `ExpiredTokenException`.
    pub denied: Option<&'static str>,
    /// Values of items whose partition key contains this text come with a bit of them changed.
    pub damaged: Option<String>,
    /// Longest wait before a request goes on.
    pub latency: Duration,
    /// Writes under partition keys that contain this text wait as long.
    pub slow: Option<(String, Duration)>,
    /// Items under partition keys that contain this text hold no more than so many numbers or values: what adds to one
    /// beyond that is refused as too large.
    pub room: Option<(String, usize)>,
    /// Write units that a partition key may use in a second, if it contains this text.
    pub units: Option<(String, f64)>,
    /// Writes of tiles that are answered as if they had been carried out. No real server does this: it shows that loss is
    /// found.
    pub pretended: f32,
    /// Writes of tiles that are carried out once more without their condition, which shows that doubling is found.
    pub doubled: f32,
}

/// What has happened so far.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    /// Requests that came in.
    pub requests: u64,
    /// Writes that the server carried out, conditions that failed included.
    pub writes: u64,
    /// Write units that they used.
    pub units: f64,
    /// Refused as too much.
    pub throttled: u64,
    /// Writes of tiles among them.
    pub throttled_tiles: u64,
    /// How often one and the same write was refused as too much, of all writes the most.
    pub most_of_one: u64,
    /// Failed, dropped.
    pub failed: u64,
    /// Carried out and not answered.
    pub unanswered: u64,
    /// Of them writes of tiles.
    pub unanswered_tiles: u64,
    /// Refused as too large.
    pub too_large: u64,
    /// Refused for their credentials.
    pub denied: u64,
    /// Answered with something that had been so before.
    pub stale: u64,
    /// Keys that were left out of the answer to a batch of reads.
    pub left_out: u64,
    /// Values that came changed.
    pub damaged: u64,
    /// Writes of tiles that were not carried out, as their condition did not hold.
    pub refused: u64,
    /// Writes of other keys that were carried out while a key waited for units of its own.
    pub beside: u64,
    /// Write units of each partition key.
    pub units_by_key: HashMap<String, f64>,
}

struct Shared {
    troubles: Mutex<Troubles>,
    tally: Mutex<Tally>,
    rng: Mutex<fastrand::Rng>,
    buckets: Mutex<HashMap<String, (f64, Instant)>>,
    first_answers: Mutex<HashMap<Bytes, Bytes>>,
    /// How often each write was refused as too much, by the hash of its request.
    throttles: Mutex<HashMap<u64, u64>>,
    /// Keys whose last write had no units.
    without_units: Mutex<BTreeSet<String>>,
    /// Where writes that come now wait.
    gate: Mutex<Option<Arc<Gate>>>,
    server: String,
}

/// The proxy; it ends when dropped.
pub struct Dynamo {
    /// Where it listens.
    pub address: SocketAddr,
    shared: Arc<Shared>,
    accepting: tokio::task::JoinHandle<()>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Dynamo {
    /// A proxy to the server at `endpoint` (`http://HOST:PORT`), on any free port.
    pub async fn start(endpoint: &str, seed: u64) -> io::Result<Self> {
        let server = endpoint.strip_prefix("http://").ok_or_else(|| io::Error::other("not `http://HOST:PORT`"))?;
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            troubles: Mutex::default(),
            tally: Mutex::default(),
            rng: Mutex::new(fastrand::Rng::with_seed(seed)),
            buckets: Mutex::default(),
            first_answers: Mutex::default(),
            throttles: Mutex::default(),
            without_units: Mutex::default(),
            gate: Mutex::default(),
            server: server.trim_end_matches('/').to_owned(),
        });
        let serving = shared.clone();
        let accepting = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(serve(serving.clone(), client));
            }
        });
        Ok(Self { address, shared, accepting })
    }

    /// From now on.
    pub fn set(&self, troubles: Troubles) {
        *lock(&self.shared.troubles) = troubles;
    }

    /// Hold all writes of tiles that come from now on, until [`pass`](Self::pass) for later ones and the drop of what this
    /// gives for those that were held.
    pub fn hold(&self) -> Held {
        let gate = Arc::new(Gate { closing: Semaphore::new(0), waiting: AtomicU64::new(0) });
        *lock(&self.shared.gate) = Some(gate.clone());
        Held { gate }
    }

    /// Let writes that come from now on pass.
    pub fn pass(&self) {
        *lock(&self.shared.gate) = None;
    }

    /// What has happened so far.
    pub fn tally(&self) -> Tally {
        lock(&self.shared.tally).clone()
    }
}

/// Writes on their way, which reach the server when this is dropped.
pub struct Held {
    gate: Arc<Gate>,
}

struct Gate {
    /// Closed to let everyone through.
    closing: Semaphore,
    waiting: AtomicU64,
}

impl Held {
    /// How many they are.
    pub fn len(&self) -> u64 {
        self.gate.waiting.load(Ordering::Relaxed)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.gate.closing.close();
    }
}

impl Drop for Dynamo {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// In place of an answer.
#[derive(Debug)]
struct Closed;

impl std::fmt::Display for Closed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the connection is closed in place of an answer")
    }
}

impl std::error::Error for Closed {}

type Answer = Result<Response<Full<Bytes>>, Closed>;
type Upstream = Arc<tokio::sync::Mutex<SendRequest<Full<Bytes>>>>;

async fn serve(shared: Arc<Shared>, client: TcpStream) {
    let Ok(stream) = TcpStream::connect(&shared.server).await else { return };
    let Ok((sender, connection)) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await else { return };
    tokio::spawn(connection);
    let upstream: Upstream = Arc::new(tokio::sync::Mutex::new(sender));
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
    if let Some(gate) = gate {
        gate.waiting.fetch_add(1, Ordering::Relaxed);
        // It is never given out, only closed.
        let _ = gate.closing.acquire().await;
    }

    // Tables are made undisturbed.
    let is_data = is_write || matches!(operation.as_str(), "GetItem" | "BatchGetItem" | "Query" | "Scan");
    if let Some(name) = troubles.denied.filter(|_| is_data) {
        lock(&shared.tally).denied += 1;
        return Ok(error(StatusCode::BAD_REQUEST, name, "a made-up refusal"));
    }
    let is_tile = key.as_ref().is_some_and(|key| key != "#record");
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
        tally.unanswered_tiles += u64::from(is_tile);
        return Err(Closed);
    }
    Ok(said(status, reply))
}

async fn forward(
    upstream: &Upstream,
    mut head: hyper::http::request::Parts,
    body: Bytes,
) -> Result<(StatusCode, Bytes), Closed> {
    head.headers.insert("content-length", body.len().into());
    let mut sender = upstream.lock().await;
    let answer = sender.send_request(Request::from_parts(head, Full::new(body))).await.map_err(|_| Closed)?;
    let status = answer.status();
    Ok((status, answer.into_body().collect().await.map_err(|_| Closed)?.to_bytes()))
}

/// How many numbers or values the item of a write would have after it; 0 when the write adds none.
async fn places_after(upstream: &Upstream, head: &hyper::http::request::Parts, write: &Value) -> Result<usize, Closed> {
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
    head.headers.insert("x-amz-target", hyper::header::HeaderValue::from_static("DynamoDB_20120810.GetItem"));
    let read = json!({ "TableName": write["TableName"], "Key": write["Key"], "ConsistentRead": true });
    let (_, reply) = forward(upstream, head, Bytes::from(read.to_string())).await?;
    let stands: Value = serde_json::from_slice(&reply).unwrap_or_default();
    Ok(named(&stands["Item"]).union(&added).count())
}

/// The same write may come with its fields in another order.
fn count_throttle(shared: &Shared, request: &Value, is_tile: bool) {
    let mut hasher = DefaultHasher::new();
    request.to_string().hash(&mut hasher);
    let mut throttles = lock(&shared.throttles);
    let times = throttles.entry(hasher.finish()).or_default();
    *times += 1;
    let mut tally = lock(&shared.tally);
    tally.most_of_one = tally.most_of_one.max(*times);
    tally.throttled_tiles += u64::from(is_tile);
}

/// Whether a partition key has write units left for this second. What a write costs is known after it, so a key may go
/// into debt by one write.
fn has_units(shared: &Shared, key: &str, units: f64) -> bool {
    let mut buckets = lock(&shared.buckets);
    let (left, since) = buckets.entry(key.to_owned()).or_insert((units, Instant::now()));
    *left = (*left + since.elapsed().as_secs_f64() * units).min(units);
    *since = Instant::now();
    *left > 0.0
}

/// `is_other` when it is none of the keys that are short of units.
fn charge(shared: &Shared, key: String, is_other: bool, reply: &[u8]) {
    let used = serde_json::from_slice::<Value>(reply).ok();
    // A write whose condition failed does not say what it cost: one unit at least.
    let used = used.and_then(|reply| reply["ConsumedCapacity"]["CapacityUnits"].as_f64()).unwrap_or(1.0);
    if let Some((left, _)) = lock(&shared.buckets).get_mut(&key) {
        *left -= used;
    }
    let mut without_units = lock(&shared.without_units);
    without_units.remove(&key);
    let is_beside = is_other && !without_units.is_empty();
    drop(without_units);
    let mut tally = lock(&shared.tally);
    tally.beside += u64::from(is_beside);
    tally.writes += 1;
    tally.units += used;
    *tally.units_by_key.entry(key).or_default() += used;
}

/// Change a letter of every value of these items, wherever they lie in a reply; how many.
fn damage(reply: &mut Value, of: &str) -> u64 {
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
fn halve(body: &mut Value) -> Value {
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

fn throttled(shared: &Shared, reason: &str) -> Response<Full<Bytes>> {
    let mut tally = lock(&shared.tally);
    tally.throttled += 1;
    let (name, reasons) = if tally.throttled.is_multiple_of(2) {
        ("ThrottlingException", "throttlingReasons")
    } else {
        ("ProvisionedThroughputExceededException", "ThrottlingReasons")
    };
    let mut body = error_body(name, "a made-up throttle");
    body[reasons] = json!([{ "reason": reason, "resource": "arn:aws:dynamodb:eu-west-1:0:table/made-up" }]);
    said(StatusCode::BAD_REQUEST, Bytes::from(body.to_string()))
}

fn error(status: StatusCode, name: &str, message: &str) -> Response<Full<Bytes>> {
    said(status, Bytes::from(error_body(name, message).to_string()))
}

fn error_body(name: &str, message: &str) -> Value {
    json!({ "__type": format!("com.amazonaws.dynamodb.v20120810#{name}"), "message": message })
}

fn said(status: StatusCode, body: Bytes) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    let kind = hyper::header::HeaderValue::from_static("application/x-amz-json-1.0");
    response.headers_mut().insert("content-type", kind);
    response
}
