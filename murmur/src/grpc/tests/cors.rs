//! Pages of other origins, as browsers ask for them.

use serde_json::json;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

use super::access::Named;
use super::http::{JSON, Reply, answer, path, raw};
use super::*;
use crate::grpc::access::Access;

const SHOP: &str = "https://shop.example";

fn open(world: &World) -> Router {
    let origins = [SHOP, "http://localhost:5173"].map(|origin| origin.parse().unwrap());
    world.builder().cors(origins).build(Drain::never()).unwrap().0
}

/// What a browser asks before it lets a page of this origin call.
async fn before(router: Router, origin: &str) -> Reply {
    let request = ::http::Request::options(path("Get")).header("origin", origin);
    let request = request.header("access-control-request-method", "POST");
    answer(router, request.header("access-control-request-headers", "content-type,authorization,x-mine"), "").await
}

async fn call(router: Router, headers: &[(&str, &str)], body: &str) -> Reply {
    let request = ::http::Request::post(path("Get"));
    answer(router, headers.iter().fold(request, |request, (name, value)| request.header(*name, *value)), body).await
}

fn text<'a>(reply: &'a Reply, name: &str) -> Option<&'a str> {
    reply.headers.get(name).map(|value| value.to_str().unwrap())
}

fn depends_on_the_origin(reply: &Reply) -> bool {
    reply.headers.get_all("vary").iter().any(|vary| vary.to_str().unwrap().split(", ").any(|name| name == "origin"))
}

#[tokio::test]
async fn a_page_of_a_named_origin_may_ask_and_read_the_answer() {
    let world = World::new();
    world.count(&stock(7, "tea", -2), now(), 5).await;
    let asked = before(open(&world), SHOP).await;
    assert_eq!(asked.status, 204);
    assert_eq!(text(&asked, "access-control-allow-origin"), Some(SHOP));
    assert_eq!(text(&asked, "access-control-allow-methods"), Some("GET, POST"));
    assert_eq!(text(&asked, "access-control-allow-headers"), Some("content-type,authorization,x-mine"));
    assert_eq!(text(&asked, "access-control-max-age"), Some("7200"));
    assert_eq!(text(&asked, "access-control-allow-credentials"), None);

    let key = json!({"key": {"shop": 7, "sku": "tea", "shelf": -2}}).to_string();
    let reply = call(open(&world), &[JSON[0], ("origin", SHOP)], &key).await;
    assert_eq!(reply.json()["value"], "5");
    assert_eq!(text(&reply, "access-control-allow-origin"), Some(SHOP));
    assert!(depends_on_the_origin(&asked) && depends_on_the_origin(&reply));

    // What gRPC-Web says in headers can be read too.
    let web = [("content-type", "application/grpc-web+proto"), ("origin", "http://localhost:5173")];
    let refused = call(open(&world), &web, "").await;
    let exposed: Vec<&str> = text(&refused, "access-control-expose-headers").unwrap().split(", ").collect();
    assert!(exposed.contains(&"grpc-status") && exposed.contains(&"grpc-message"), "{exposed:?}");
}

#[tokio::test]
async fn pages_of_other_origins_may_not() {
    let world = World::new();
    for origin in ["https://shop.example.evil.example", "http://shop.example", "https://shop.example:8443", "null"] {
        let asked = before(open(&world), origin).await;
        assert_eq!(asked.status, 403, "{origin}");
        assert!(asked.words().contains("`--cors-origin`"));
        let reply = call(open(&world), &[JSON[0], ("origin", origin)], "{}").await;
        for reply in [asked, reply] {
            assert_eq!(text(&reply, "access-control-allow-origin"), None);
            assert!(depends_on_the_origin(&reply));
        }
    }
}

#[tokio::test]
async fn without_origins_no_page_of_another_one_may_ask() {
    let world = World::new();
    assert_eq!(before(world.router(), SHOP).await.status, 405);
    let reply = call(world.router(), &[JSON[0], ("origin", SHOP)], "{}").await;
    assert!(!reply.headers.keys().any(|name| name.as_str().starts_with("access-control-")), "{:?}", reply.headers);
    // Whoever this is, it is no browser that asks for a page.
    let options = ::http::Request::options(path("Get"));
    assert_eq!(answer(open(&world), options, "").await.status, 405);
}

#[tokio::test]
async fn a_page_whose_name_was_led_to_this_machine_gets_nothing_from_a_server_that_is_for_it_alone() {
    let world = World::new();
    let plain = world.serve().await;
    let ask = async |server: &Running, host: &str, page: &str| {
        let token = "authorization: Bearer all\r\nconnection: close";
        let asked = format!("GET {page} HTTP/1.1\r\nhost: {host}\r\n{token}\r\n\r\n");
        raw(server.address, asked.as_bytes()).await
    };
    assert!(ask(&plain, "localhost:50051", "/").await.starts_with("HTTP/1.1 200 "));
    for page in ["/", "/healthz"] {
        let refused = ask(&plain, "evil.example:50051", page).await;
        assert!(refused.starts_with("HTTP/1.1 403 ") && refused.contains("HOST_FORBIDDEN"), "{page}: {refused}");
    }
    let led = Channel::from_shared(plain.uri()).unwrap().origin("http://evil.example".parse().unwrap());
    let mut health = HealthClient::new(led.connect().await.unwrap());
    let refused = health.check(HealthCheckRequest::default()).await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::PermissionDenied);
    // Where all may, or it is known who asks, a server has names.
    for named in [world.builder().any_host(), world.builder().access(Access::by(Named))] {
        let server = Running::start(named).await;
        assert!(ask(&server, "counts.example", "/").await.starts_with("HTTP/1.1 200 "));
    }
}
