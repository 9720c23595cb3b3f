//! Who may ask what, by each protocol.

use std::num::NonZeroU32;
use std::sync::Mutex;
use std::time::{Duration, SystemTime};

use ::http::{Extensions, HeaderMap};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use http_body_util::BodyExt;
use prost::Message;
use serde_json::json;
use tonic_health::pb::HealthCheckRequest;
use tonic_types::StatusExt;

use super::http::{Reply, path};
use super::*;
use crate::grpc::Watching;
use crate::grpc::access::{Access, Caller, Identify, Pipelines, Rate, bearer, expired, unfit};
use crate::grpc::messages::GetRequest;
use crate::grpc::protocol::frame::frame;
use crate::grpc::server::HEALTH;
use crate::metrics::tests::lines::Lines;

/// Knows each caller by a token that is its name: `all` reads everything, others the pipeline of their name.
pub(super) struct Named;

impl Identify for Named {
    fn caller<'a>(&'a self, headers: &'a HeaderMap, _: &'a Extensions) -> BoxFuture<'a, crate::Result<Option<Caller>>> {
        async move {
            Ok(match bearer(headers)? {
                None => None,
                Some("nobody") => return Err(Error::new(ErrorKind::Denied, "the token is not known")),
                Some("expired") => return Err(expired("the token has expired")),
                Some("unfit") => return Err(unfit("the token is for another audience")),
                Some("later") => return Err(Error::new(ErrorKind::Unavailable, "10.9.8.7 does not answer")),
                Some(name) => {
                    let pipelines = if name == "all" { Pipelines::All } else { Pipelines::named([name]) };
                    Some(Caller { name: name.into(), pipelines, until: None })
                }
            })
        }
        .boxed()
    }
}

struct Guarded {
    router: Router,
}

impl Guarded {
    fn new(access: Access) -> Self {
        let router = World::new().builder().access(access).build(Drain::never()).unwrap().0;
        Self { router }
    }

    async fn send(&self, verb: &str, path: &str, kind: &str, token: Option<&str>, body: Vec<u8>) -> Reply {
        let mut request = ::http::Request::builder().method(verb).uri(path).header("content-type", kind);
        if let Some(token) = token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        super::http::answer(self.router.clone(), request, body).await
    }

    /// The status of `Get` of the stock, by gRPC or gRPC-Web.
    async fn framed(&self, kind: &str, token: Option<&str>) -> tonic::Status {
        let request = GetRequest { key: Some(stock(7, "tea", -2)), options: None }.encode_to_vec();
        let reply = self.send("POST", &path("Get"), kind, token, frame(0, &request).to_vec()).await;
        tonic::Status::from_header_map(&reply.headers).unwrap_or_else(|| tonic::Status::ok(""))
    }

    /// A stranger gets one answer to all these requests, and one whose token is wrong another one.
    async fn is_refused_alike(&self, verb: &str, kind: &str, requests: impl Iterator<Item = (String, Vec<u8>)>) {
        let mut answers = Vec::new();
        for (path, body) in requests {
            for token in [None, Some("nobody")] {
                let Reply { status, headers, body } = self.send(verb, &path, kind, token, body.clone()).await;
                let unauthenticated = status == 401 || format!("{headers:?}").contains("\"grpc-status\": \"16\"");
                let in_stream = kind.contains("connect+") && String::from_utf8_lossy(&body).contains("unauthenticated");
                assert!(unauthenticated || in_stream, "{verb} {path} {kind}: {status} {headers:?}");
                answers.push((token, status, format!("{headers:?}"), body));
            }
        }
        answers.sort();
        answers.dedup();
        assert_eq!(answers.len(), 2, "{verb} {kind}: {answers:#?}");
    }

    async fn json(&self, path: &str, token: Option<&str>) -> Reply {
        let body = json!({"key": {"shop": "7", "sku": "tea", "shelf": -2}});
        self.send("POST", path, "application/json", token, body.to_string().into_bytes()).await
    }
}

const STOCK_NAME: &str = <Stock as Pipeline>::SPEC.name;

#[tokio::test]
async fn strangers_are_refused_by_every_protocol_and_those_who_may_not_read_a_pipeline_too() {
    let server = Guarded::new(Access::by(Named));
    for kind in ["application/grpc", "application/grpc-web", "application/grpc+json"] {
        for (token, reason) in [
            (None, "CREDENTIALS_MISSING"),
            (Some("nobody"), "CALLER_UNKNOWN"),
            (Some("expired"), "TOKEN_EXPIRED"),
            (Some("unfit"), "TOKEN_UNFIT"),
            (Some("later"), "ACCESS_UNAVAILABLE"),
            (Some("notes"), "PIPELINE_FORBIDDEN"),
        ] {
            let status = server.framed(kind, token).await;
            assert_eq!(status.get_details_error_info().expect(kind).reason, reason, "{kind} {token:?}");
            assert!(!status.message().contains("10.9.8.7"), "{status}");
        }
    }
    for token in ["all", STOCK_NAME] {
        assert_eq!(server.framed("application/grpc", Some(token)).await.code(), tonic::Code::Ok);
        assert_eq!(server.json(&path("Get"), Some(token)).await.status, 200);
    }
    let stranger = server.json(&path("Get"), None).await;
    assert_eq!((stranger.status, &stranger.headers["www-authenticate"]), (401, &"Bearer".parse().unwrap()));
    assert_eq!(server.json(&path("Get"), Some("notes")).await.status, 403);
    assert_eq!(server.json(&path("Get"), Some("later")).await.status, 503);
    let watch = frame(0, json!({"key": {"shop": "7"}}).to_string().as_bytes()).to_vec();
    let watched = server.send("POST", &path("Watch"), "application/connect+json", Some("notes"), watch).await;
    assert!(String::from_utf8_lossy(&watched.body).contains("permission_denied"));
    let get = format!("{}?connect=v1&encoding=json&message=%7B%7D", path("Get"));
    assert_eq!(server.send("GET", &get, "", None, vec![]).await.status, 401);
}

#[tokio::test]
async fn health_is_for_everybody_and_nothing_else_is() {
    let server = Guarded::new(Access::by(Named));
    for (path, stranger, known) in
        [("/healthz", 200, 200), ("/readyz", 503, 503), ("/", 401, 200), ("/metrics", 401, 404)]
    {
        assert_eq!(server.send("GET", path, "", None, vec![]).await.status, stranger, "{path}");
        assert_eq!(server.send("GET", path, "", Some("notes"), vec![]).await.status, known, "{path}");
    }
    let check = format!("/{HEALTH}/Check");
    for token in [None, Some("nobody"), Some("later"), Some("notes")] {
        assert_eq!(
            server.send("POST", &check, "application/json", token, b"{}".to_vec()).await.status,
            200,
            "{token:?}"
        );
    }
    let path = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";
    let asked = frame(0, b"\x3a\x00").to_vec();
    let refused = server.send("POST", path, "application/grpc", None, asked.clone()).await;
    assert_eq!(tonic::Status::from_header_map(&refused.headers).unwrap().code(), tonic::Code::Unauthenticated);
    let answered = server.send("POST", path, "application/grpc", Some("notes"), asked).await;
    assert!(tonic::Status::from_header_map(&answered.headers).is_none_or(|status| status.code() == tonic::Code::Ok));
}

#[tokio::test]
async fn a_caller_gets_to_know_of_the_health_of_what_it_may_read() {
    let world = World::new();
    let (router, health) = world.builder().access(Access::by(Named)).build(Drain::never()).unwrap();
    let server = Guarded { router };
    health.look().await;
    let check = format!("/{HEALTH}/Check");
    for (service, token, status) in [
        ("", None, 200),
        (STOCK, None, 401),
        (STOCK, Some("nobody"), 401),
        (STOCK, Some("notes"), 403),
        (STOCK, Some(STOCK_NAME), 200),
        (STOCK, Some("all"), 200),
        ("none", Some("all"), 404),
        ("", Some("expired"), 200),
        ("", Some("later"), 200),
        (STOCK, Some("later"), 503),
    ] {
        let reply = server.send("POST", &check, "application/json", token, asked("application/json", service)).await;
        assert_eq!(reply.status, status, "{service} {token:?}");
    }
    for (token, reason) in [
        (None, "CREDENTIALS_MISSING"),
        (Some("nobody"), "CALLER_UNKNOWN"),
        (Some("expired"), "TOKEN_EXPIRED"),
        (Some("later"), "ACCESS_UNAVAILABLE"),
    ] {
        let kind = "application/grpc";
        let reply = server.send("POST", &check, kind, token, asked(kind, STOCK)).await;
        let status = tonic::Status::from_header_map(&reply.headers).unwrap();
        assert_eq!(status.get_details_error_info().unwrap().reason, reason, "{token:?}");
    }
    world.moody.mood.send_replace(Mood::Down);
    health.look().await;
    for (token, told) in
        [(None, &[][..]), (Some("nobody"), &[]), (Some("notes"), &[NOTES]), (Some("all"), &[STOCK, NOTES])]
    {
        let reply = server.send("GET", "/readyz", "", token, vec![]).await;
        assert_eq!((reply.status, &reply.json()["ready"]), (503, &json!(false)));
        let reasons = reply.json()["reasons"].as_array().unwrap().clone();
        let services: Vec<_> = reasons.iter().map(|reason| reason["service"].as_str().unwrap()).collect();
        assert_eq!(services, told, "{token:?}");
    }
}

#[tokio::test]
async fn tools_see_the_pipelines_that_their_caller_may_read_and_no_others() {
    let server = Guarded::new(Access::by(Named));
    let list = "/murmur.v1.QueryService/ListPipelines";
    let names = async |token| {
        let reply = server.send("POST", list, "application/json", Some(token), b"{}".to_vec()).await.json();
        let names = reply["pipelines"].as_array().unwrap().iter().map(|p| p["name"].as_str().unwrap().to_owned());
        names.collect::<Vec<_>>()
    };
    assert_eq!(names("all").await.len(), 2);
    assert_eq!(names(STOCK_NAME).await, [STOCK_NAME]);
    let query = json!({"pipeline": STOCK_NAME, "key": ["7", "tea", "-2"]}).to_string();
    let ask = async |token| {
        let body = query.clone().into_bytes();
        server.send("POST", "/murmur.v1.QueryService/Query", "application/json", Some(token), body).await
    };
    assert_eq!(ask(STOCK_NAME).await.status, 200);
    let other = ask("else").await;
    assert_eq!(other.status, 404);
    assert!(other.error().2.contains("this server has none for you"));
}

#[tokio::test]
async fn a_caller_that_calls_too_often_waits_and_nobody_else_does() {
    let few = Rate { per_second: NonZeroU32::MIN, burst: NonZeroU32::new(2).unwrap() };
    let server = Guarded::new(Access::by(Named).at_most(few));
    for expected in [200, 200, 429] {
        assert_eq!(server.json(&path("Get"), Some("all")).await.status, expected);
    }
    let status = server.framed("application/grpc", Some("all")).await;
    assert_eq!(status.get_details_error_info().unwrap().reason, "RATE_EXCEEDED");
    assert!(status.get_details_retry_info().is_some() && status.get_details_quota_failure().is_some());
    assert_eq!(server.json(&path("Get"), Some(STOCK_NAME)).await.status, 200);
}

#[tokio::test]
async fn where_a_way_knows_nobody_the_next_one_is_asked() {
    struct Always;
    impl Identify for Always {
        fn caller<'a>(&'a self, _: &'a HeaderMap, _: &'a Extensions) -> BoxFuture<'a, crate::Result<Option<Caller>>> {
            let pipelines = Pipelines::named(["notes"]);
            std::future::ready(Ok(Some(Caller { name: "guest".into(), pipelines, until: None }))).boxed()
        }
    }
    let server = Guarded::new(Access::by(Named).or(Always));
    for guest in [None, Some("nobody"), Some("later")] {
        assert_eq!(server.json(&path("Get"), guest).await.status, 403, "{guest:?}");
    }
    assert_eq!(server.json(&path("Get"), Some("all")).await.status, 200);
}

#[tokio::test]
async fn of_ways_that_know_nobody_the_one_that_knows_most_says_why() {
    /// Knows no token at all.
    struct Never;
    impl Identify for Never {
        fn caller<'a>(&'a self, _: &'a HeaderMap, _: &'a Extensions) -> BoxFuture<'a, crate::Result<Option<Caller>>> {
            std::future::ready(Err(Error::new(ErrorKind::Denied, "never heard of it"))).boxed()
        }
    }
    let servers = [Access::by(Named).or(Never), Access::by(Never).or(Named)].map(Guarded::new);
    for (token, reason) in [("nobody", "CALLER_UNKNOWN"), ("expired", "TOKEN_EXPIRED"), ("later", "ACCESS_UNAVAILABLE")]
    {
        for server in &servers {
            let status = server.framed("application/grpc", Some(token)).await;
            assert_eq!(status.get_details_error_info().unwrap().reason, reason);
        }
    }
}

/// A request for the health of a service.
fn asked(kind: &str, service: &str) -> Vec<u8> {
    let message = match kind.ends_with("json") {
        true => json!({"service": service}).to_string().into_bytes(),
        false => HealthCheckRequest { service: service.into() }.encode_to_vec(),
    };
    match kind {
        "application/json" | "application/proto" => message,
        "application/grpc-web-text" => BASE64_STANDARD.encode(frame(0, &message)).into_bytes(),
        _ => frame(0, &message).to_vec(),
    }
}

/// Whatever a stranger asks for, the answer does not show whether it is there.
#[tokio::test]
async fn a_stranger_cannot_tell_what_there_is_from_what_there_is_not() {
    let (router, health) = World::new().builder().access(Access::by(Named)).build(Drain::never()).unwrap();
    let server = Guarded { router };
    health.look().await;
    let reflection = "grpc.reflection.v1.ServerReflection";
    let services = [STOCK, "murmur.v1.QueryService", reflection, "none.v1.Service"];
    let methods = ["Get", "Watch", "Query", "ServerReflectionInfo", "None"];
    let called = services.iter().flat_map(|service| methods.map(|method| format!("/{service}/{method}")));
    let paths: Vec<String> = called.chain(["/", "/metrics", "/none", "/a/b/c"].map(str::to_owned)).collect();
    let grpc = ["application/grpc", "application/grpc+json", "application/grpc-web", "application/grpc-web-text"];
    let connect = ["application/json", "application/proto", "application/connect+json", "application/connect+proto"];
    for kind in grpc.into_iter().chain(connect).chain(["text/xml", ""]) {
        for verb in ["POST", "GET", "PUT"] {
            server.is_refused_alike(verb, kind, paths.iter().map(|path| (path.clone(), b"{}".to_vec()))).await;
        }
        for method in ["Check", "Watch"] {
            let streams = kind.contains("connect+");
            // The other way a method is not called, whoever asks.
            if kind.contains("application/grpc") || (connect.contains(&kind) && streams == (method == "Watch")) {
                let of = |service| (format!("/{HEALTH}/{method}"), asked(kind, service));
                server.is_refused_alike("POST", kind, services.into_iter().chain([NOTES, HEALTH]).map(of)).await;
            }
        }
    }
    // Whoever is known is told.
    assert_eq!(server.json("/none.v1.Service/Get", Some("all")).await.status, 404);
}

/// What is said of everybody at the moment.
#[derive(Clone)]
enum Said {
    Known(Caller),
    Unknown,
    Later,
}

/// Says of everybody what it was told last.
struct Told(Arc<Mutex<Said>>);

impl Identify for Told {
    fn caller<'a>(&'a self, _: &'a HeaderMap, _: &'a Extensions) -> BoxFuture<'a, crate::Result<Option<Caller>>> {
        let said = self.0.lock().unwrap().clone();
        std::future::ready(match said {
            Said::Known(caller) => Ok(Some(caller)),
            Said::Unknown => Err(Error::new(ErrorKind::Denied, "the token was taken back")),
            Said::Later => Err(Error::new(ErrorKind::Unavailable, "nobody answers")),
        })
        .boxed()
    }
}

fn reader(pipeline: &str, until: Option<SystemTime>) -> Said {
    Said::Known(Caller { name: "a".into(), pipelines: Pipelines::named([pipeline]), until })
}

/// How `Watch` of the stock, or of its health, ends by its protocol, once another thing is said of its caller: the end of its body, and
/// its trailers.
async fn end(service: &str, kind: &str, first: Said, then: &[Said]) -> String {
    let told = Arc::new(Mutex::new(first));
    // Nothing else moves the stream.
    let builder = World::new().builder().watching(Watching::every(Duration::MAX / 4));
    let (router, health) = builder.access(Access::by(Told(told.clone()))).build(Drain::never()).unwrap();
    health.look().await;
    let message = match (service, kind.ends_with("json")) {
        (HEALTH, _) => asked(kind, STOCK),
        (_, true) => frame(0, json!({"key": {"shop": "7", "sku": "tea", "shelf": -2}}).to_string().as_bytes()).to_vec(),
        (_, false) => frame(0, &GetRequest { key: Some(stock(7, "tea", -2)), options: None }.encode_to_vec()).to_vec(),
    };
    let body = tonic::body::Body::new(http_body_util::Full::new(bytes::Bytes::from(message)));
    let request = ::http::Request::post(format!("/{service}/Watch")).header("content-type", kind);
    let request = request.version(::http::Version::HTTP_2).body(body).unwrap();
    let mut body = router.answer(request).await.into_body();
    assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap()[0], 0);
    for said in then {
        *told.lock().unwrap() = said.clone();
        // Looked at more than once.
        tokio::time::sleep(Duration::from_secs(11)).await;
        if matches!(said, Said::Later) {
            assert!(body.frame().now_or_never().is_none());
        }
    }
    let rest = body.collect().await.unwrap();
    let trailers = format!("{:?}", rest.trailers());
    String::from_utf8_lossy(&rest.to_bytes()).into_owned() + &trailers
}

const STREAMS: [(&str, [&str; 2]); 3] = [
    ("application/grpc", ["\"grpc-status\": \"16\"", "\"grpc-status\": \"7\""]),
    ("application/grpc-web+json", ["grpc-status: 16", "grpc-status: 7"]),
    ("application/connect+json", ["unauthenticated", "permission_denied"]),
];

#[tokio::test(start_paused = true)]
async fn a_stream_ends_when_its_caller_is_not_known_any_more_or_may_not_read_it_any_more() {
    for (kind, [unknown, forbidden]) in STREAMS {
        for service in [STOCK, HEALTH] {
            let known = || reader(STOCK_NAME, None);
            let ended = end(service, kind, known(), &[Said::Later, Said::Unknown]).await;
            assert!(ended.contains(unknown) && ended.contains("back"), "{service} {kind}: {ended}");
            let ended = end(service, kind, known(), &[reader("notes", None)]).await;
            assert!(ended.contains(forbidden), "{service} {kind}: {ended}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_ends_with_its_token() {
    for (kind, [unknown, _]) in STREAMS {
        let soon = SystemTime::now() + Duration::from_millis(50);
        let ended = end(STOCK, kind, reader(STOCK_NAME, None), &[reader(STOCK_NAME, Some(soon))]).await;
        assert!(ended.contains(unknown) && ended.contains("expired"), "{kind}: {ended}");
        assert!(SystemTime::now() >= soon);
    }
}

#[tokio::test]
async fn a_server_that_begins_tells_of_pipelines_that_the_file_names_and_that_it_has_not() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("access.toml");
    let hash = "0".repeat(64);
    let file = format!("[caller.a]\ntokens = [\"sha256:{hash}\"]\npipelines = [\"stock\", \"stocks\"]\n");
    std::fs::write(&path, file).unwrap();
    let lines = Lines::keep();
    World::new().builder().access(Access::file(path).unwrap()).build(Drain::never()).unwrap();
    let said = lines.text();
    let says = "`caller.a` names the pipeline `stocks`, which this server has not; it has `stock`, `notes`";
    assert!(said.contains(says) && !said.contains("pipeline `stock`"), "{said}");
}
