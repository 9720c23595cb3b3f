//! Clients of other languages, made from the committed `.proto` by stock tools, call every method and read the right
//! numbers.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use murmur_tests::oracle::Truth;
use murmur_tests::process::{self, Server, command, example, success, target};
use murmur_tests::{tools, workspace};
use serde_json::{Map, Value, json};

use crate::clients::asked;
use crate::page_views::Stream;

pub(crate) const SERVICE: &str = "page_traffic.v1.PageTrafficService";
const MINUTE: i64 = 60_000_000;

/// Names of pages, and for how long each was viewed.
const EDGES: [(&str, u64); 8] = [
    ("", u64::MAX),
    ("/", i64::MAX as u64),
    ("a|b", i64::MAX as u64 + 1),
    ("a/b?c=d#e%2Ff g", (1 << 53) + 1),
    ("\u{e4}\u{65e5}\u{672c}\u{1f980}", 0),
    ("\"\\'{}", 1),
    ("line\nbreak\ttab", 2),
    ("\u{1}\u{7f}\u{feff}", 3),
];

/// A page that was viewed long ago only.
const LONG_AGO: &str = "/long/ago";

/// A counted stream that is being served, and what is asked about it.
pub(crate) struct Served {
    pub(crate) stream: Stream,
    pub(crate) server: Server,
    /// Two pages, the first of them the busiest; a page that was never viewed.
    pub(crate) pages: [String; 3],
    /// Pages with names that are easily taken for something else, each viewed once, for as long as numbers go.
    edges: Vec<String>,
    /// In seconds; on the edges of slots.
    pub(crate) start: i64,
    pub(crate) end: i64,
    pub(crate) window: i64,
    pub(crate) step: i64,
}

/// One server for all clients that ask at the same time.
pub(crate) fn served() -> Arc<Served> {
    static SERVED: Mutex<Weak<Served>> = Mutex::new(Weak::new());
    shared(&SERVED, || Served::start(&[]))
}

/// What there is one of for all that want it at the same time; it ends with the last of them.
pub(crate) fn shared<T>(of: &Mutex<Weak<T>>, start: impl FnOnce() -> T) -> Arc<T> {
    let mut shared = of.lock().unwrap_or_else(PoisonError::into_inner);
    shared.upgrade().unwrap_or_else(|| {
        let started = Arc::new(start());
        *shared = Arc::downgrade(&started);
        started
    })
}

impl Served {
    /// With more arguments for the server.
    pub(crate) fn start(more: &[&str]) -> Self {
        let generated = Stream::generate(20_000, 100, 7);
        let newest = generated.views.views.iter().map(|view| view.at).max().unwrap();
        let end = newest.div_euclid(MINUTE) * 60;
        let mut lines = std::fs::read_to_string(&generated.file).unwrap();
        let long_ago = (LONG_AGO, 1, end - asked::LONG_AGO);
        for (page, dwell, at) in EDGES.map(|(page, dwell)| (page, dwell, end - 30)).into_iter().chain([long_ago]) {
            let at = jiff::Timestamp::from_second(at).unwrap().to_string();
            let view = json!({ "page_id": page, "user_id": "somebody", "dwell_ms": dwell, "viewed_at": at });
            lines.push_str(&view.to_string());
            lines.push('\n');
        }
        let stream = Stream::of(&lines);
        let store = stream.store("served");
        stream.count_into(&store);
        let store = process::store(&store);
        let server = Server::start(example("page-traffic"), &[&["serve", "--store", &store], more].concat());
        let pages = ["/home", "/articles/1", "/never"].map(str::to_owned);
        let edges = EDGES.map(|(page, _)| page.to_owned()).to_vec();
        Self { stream, server, pages, edges, start: end - 1_200, end, window: 600, step: 300 }
    }

    /// All pages that clients are asked about: the busiest first, then one that was viewed long ago only, and one that never was.
    pub(crate) fn asked(&self) -> Vec<String> {
        let [busiest, other, never] = self.pages.clone();
        let long_ago = LONG_AGO.to_owned();
        [busiest, other].into_iter().chain(self.edges.clone()).chain([long_ago, never]).collect()
    }

    fn question(&self) -> String {
        let Self { pages, start, end, window, step, .. } = self;
        json!({ "pages": pages, "start": start, "end": end, "window": window, "step": step }).to_string()
    }

    pub(crate) fn truth(&self, start: i64, end: i64) -> BTreeMap<String, Truth> {
        self.stream.views.truth(start * 1_000_000, end * 1_000_000)
    }

    /// Check the replies of all methods, in any of protobuf's JSON forms.
    pub(crate) fn assert_right(&self, replies: &Value) {
        let replies = snake(replies);
        let methods: Vec<&String> = replies.as_object().unwrap().keys().collect();
        let all = [
            "Get",
            "GetMany",
            "GetRange",
            "GetRangeMany",
            "GetWindow",
            "GetWindowMany",
            "Series",
            "Watch",
            "WatchMany",
        ];
        assert_eq!(methods, all);
        let busiest = &self.pages[0];
        let whole = self.stream.views.whole_truth();
        let window = self.truth(self.end - self.window, self.end);
        let range = self.truth(self.start, self.end);
        for (method, truth) in [("Get", &whole), ("GetWindow", &window), ("GetRange", &range), ("Watch", &whole)] {
            assert_reply(method, &replies[method], truth.get(busiest));
        }
        let many = [("GetMany", &whole), ("GetWindowMany", &window), ("GetRangeMany", &range), ("WatchMany", &whole)];
        for (method, truth) in many {
            let entries = replies[method]["entries"].as_array().unwrap();
            assert_eq!(entries.len(), self.pages.len(), "{method}");
            for (page, entry) in self.pages.iter().zip(entries) {
                assert_eq!(entry["key"]["page_id"], **page, "{method}");
                assert_reply(method, entry, truth.get(page));
            }
        }
        let points = replies["Series"]["points"].as_array().unwrap();
        assert_eq!(points.len() as i64, (self.end - self.start) / self.step);
        for (at, point) in (0..).zip(points) {
            let start = self.start + at * self.step;
            assert_reply("Series", point, self.truth(start, start + self.step).get(busiest));
        }
    }
}

pub(crate) fn assert_reply(method: &str, reply: &Value, truth: Option<&Truth>) {
    let present = reply.get("present").and_then(Value::as_bool).unwrap_or(false);
    assert_eq!(present, truth.is_some(), "{method}: {reply}");
    if let Some(Err(wrong)) = truth.map(|truth| truth.compare(&reply["value"])) {
        panic!("{method}: {wrong}\n{reply}");
    }
}

/// `lowerCamelCase` names as `snake_case`, but for the names of the methods.
pub(crate) fn snake(json: &Value) -> Value {
    fn name(name: &str) -> String {
        let is_method = name.starts_with(char::is_uppercase);
        name.chars().fold(String::new(), |mut out, c| {
            if c.is_uppercase() && !is_method {
                out.push('_');
                out.extend(c.to_lowercase());
            } else {
                out.push(c);
            }
            out
        })
    }
    match json {
        Value::Object(fields) => {
            Value::Object(fields.iter().map(|(field, value)| (name(field), snake(value))).collect::<Map<_, _>>())
        }
        Value::Array(items) => Value::Array(items.iter().map(snake).collect()),
        other => other.clone(),
    }
}

/// The request of each method in protobuf's JSON.
pub(crate) fn requests(served: &Served) -> BTreeMap<&'static str, Value> {
    let key = json!({ "page_id": served.pages[0] });
    let keys: Vec<Value> = served.pages.iter().map(|page| json!({ "page_id": page })).collect();
    let at = |seconds: i64| jiff::Timestamp::from_second(seconds).unwrap().to_string();
    let (start, end) = (at(served.start), at(served.end));
    let (window, step) = (format!("{}s", served.window), format!("{}s", served.step));
    BTreeMap::from([
        ("Get", json!({ "key": key })),
        ("GetMany", json!({ "keys": keys })),
        ("GetWindow", json!({ "key": key, "window": window, "end": end })),
        ("GetWindowMany", json!({ "keys": keys, "window": window, "end": end })),
        ("GetRange", json!({ "key": key, "start": start, "end": end })),
        ("GetRangeMany", json!({ "keys": keys, "start": start, "end": end })),
        ("Series", json!({ "key": key, "start": start, "end": end, "step": step })),
        ("Watch", json!({ "key": key })),
        ("WatchMany", json!({ "keys": keys })),
    ])
}

#[test]
fn python_with_stubs_of_stock_tools() {
    let served = served();
    let python = tools::python();
    let stubs = target().join("tmp/python-stubs");
    std::fs::create_dir_all(&stubs).unwrap();
    let proto = workspace().join("examples/page-traffic/proto");
    let (proto, stubs) = (proto.to_str().unwrap(), stubs.to_str().unwrap());
    let out = [format!("-I{proto}"), format!("--python_out={stubs}"), format!("--grpc_python_out={stubs}")];
    let mut arguments = vec!["-m", "grpc_tools.protoc"];
    arguments.extend(out.iter().map(String::as_str));
    arguments.extend(["page_traffic/v1/page_traffic.proto", "murmur/v1/types.proto"]);
    success(&python, &arguments);
    let client = workspace().join("tests/clients/python/client.py");
    let replies =
        process::json(&python, &[client.to_str().unwrap(), stubs, &served.server.address, &served.question()]);
    served.assert_right(&replies);
}

#[test]
fn node_with_the_proto_read_as_it_runs() {
    let served = served();
    let client = workspace().join("tests/clients/node/client.js");
    let proto = workspace().join("examples/page-traffic/proto");
    let output = command("node", &[])
        .arg(client)
        .arg(proto)
        .args([&served.server.address, &served.question()])
        .env("NODE_PATH", tools::node_modules())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    served.assert_right(&serde_json::from_slice(&output.stdout).unwrap());
}

#[test]
fn curl_asks_for_today_in_a_time_zone() {
    let served = served();
    let url = |method: &str| format!("{}/{SERVICE}/{method}", served.server.url());
    let key = json!({ "page_id": served.pages[0] });
    let end = jiff::Timestamp::from_second(served.end).unwrap();
    for zone in ["Europe/Berlin", "Asia/Kathmandu", "America/New_York"] {
        let midnight = end.in_tz(zone).unwrap().start_of_day().unwrap().timestamp();
        let calendar = json!({ "days": 1, "zone": zone });
        let reply = post(&url("GetWindow"), &json!({ "key": key, "calendar": calendar, "end": end.to_string() }));
        let today = served.truth(midnight.as_second(), served.end);
        assert_reply(zone, &snake(&reply), today.get(&served.pages[0]));
        assert_eq!(reply["answer"]["start"], midnight.to_string());
        assert_eq!((&reply["answer"]["startExact"], &reply["answer"]["endExact"]), (&json!(true), &json!(true)));
        let series = post(&url("Series"), &json!({ "key": key, "calendar": calendar, "end": end.to_string() }));
        assert_reply(zone, &snake(&series["points"][0]), today.get(&served.pages[0]));
    }
}

/// What a method answers to a request in JSON, however slow the machine is.
pub(crate) fn post(url: &str, request: &Value) -> Value {
    let (headers, body) = (["content-type: application/json", "connect-timeout-ms: 30000"], request.to_string());
    let arguments = ["-sS", "--fail-with-body", "-H", headers[0], "-H", headers[1], "-d", &body, url];
    process::json("curl", &arguments)
}

/// A request of a stream in the Connect protocol, in a file. Each message stands after a byte of flags and four of length.
pub(crate) fn connect_frame(request: &Value) -> tempfile::NamedTempFile {
    let request = request.to_string();
    let mut body = vec![0];
    body.extend((request.len() as u32).to_be_bytes());
    body.extend(request.as_bytes());
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), body).unwrap();
    file
}

/// The frames of a stream in the Connect protocol, within three seconds: the flags of each, and what is in it.
pub(crate) fn stream(url: &str, request: &Value, more: &[&str]) -> Vec<(u8, Value)> {
    let file = connect_frame(request);
    let data = format!("@{}", file.path().display());
    let content = "content-type: application/connect+json";
    // The stream never ends by itself, so curl is told when to give up; what came until then is printed.
    let asked = ["-sS", "--no-buffer", "-m", "3", "-H", content, "--data-binary", &data];
    let output = process::output("curl", &[&asked, more, &[url]].concat());
    let mut rest = &*output.stdout;
    let mut frames = Vec::new();
    while let Some((&[flags, a, b, c, d], after)) = rest.split_first_chunk() {
        let Some((message, after)) = after.split_at_checked(u32::from_be_bytes([a, b, c, d]) as usize) else { break };
        frames.push((flags, serde_json::from_slice(message).unwrap()));
        rest = after;
    }
    assert!(!frames.is_empty(), "no message came: {}", String::from_utf8_lossy(&output.stderr));
    frames
}
