//! Pages of other origins, as browsers ask for them.

use serde_json::json;

use super::http::{JSON, Reply, answer, path};
use super::*;

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
    let router = || world.builder().local().build(Drain::never()).unwrap().0;
    let key = json!({"key": {"shop": 7}}).to_string();
    let by = |host: &'static str| [JSON[0], ("host", host)];
    assert_eq!(call(router(), &by("localhost:50051"), &key).await.status, 200);
    let refused = call(router(), &by("evil.example:50051"), &key).await;
    assert_eq!(
        (refused.status, refused.json()["details"][0]["debug"]["reason"].as_str()),
        (403, Some("HOST_FORBIDDEN"))
    );
    for page in ["http://evil.example/", "http://evil.example/healthz"] {
        assert_eq!(answer(router(), ::http::Request::get(page), "").await.status, 403, "{page}");
    }
    let grpc =
        ::http::Request::post(format!("http://evil.example{}", path("Get"))).header("content-type", "application/grpc");
    let refused = tonic::Status::from_header_map(&answer(router(), grpc, "").await.headers).unwrap();
    assert_eq!(refused.code(), tonic::Code::PermissionDenied);
    // Where it is known who asks, or all may, a server has names.
    assert_eq!(call(world.router(), &by("counts.example"), &key).await.status, 200);
}
