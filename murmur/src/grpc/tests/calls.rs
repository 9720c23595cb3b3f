//! The typed client against the server, method by method.

use std::time::Duration;

use super::*;
use crate::grpc::PipelineService;
use crate::key::Mark;
use crate::time::TimeRange;
use crate::wire::types::Presence;

async fn world() -> World {
    let world = World::new();
    for (hours, count) in [(0, 1), (1, 10), (30, 100)] {
        world.count(&stock(7, "tea", -2), hours_ago(hours), count).await;
    }
    world.count(&stock(u64::MAX, "a/b|c=ü\0🦀", i64::MIN), hours_ago(1), u64::MAX - 1).await;
    world
}

const HOUR: Span = Span::from_seconds(3_600);

#[tokio::test]
async fn every_method_answers_through_the_typed_client() {
    let world = world().await;
    let server = world.serve().await;
    let client = server.client::<Stock>().await;
    let tea = || stock(7, "tea", -2);

    let got = client.get(tea()).await.unwrap();
    assert_eq!((got.value, got.present), (111, true));
    let two_hours = Span::from_seconds(7_200);
    assert_eq!(client.window(tea(), two_hours, None).await.unwrap().value, 11);
    assert_eq!(client.window(tea(), HOUR, Some(hours_ago(29))).await.unwrap().value, 100);
    let range = TimeRange::new(hours_ago(31), hours_ago(1));
    assert_eq!(client.range(tea(), range).await.unwrap().value, 110);

    let extreme = stock(u64::MAX, "a/b|c=ü\0🦀", i64::MIN);
    let keys = vec![extreme.clone(), stock(0, "", 0), tea(), extreme.clone()];
    let values = |entries: Vec<crate::grpc::messages::Entry<StockKey, u64>>| {
        let (got, values): (Vec<_>, Vec<_>) = entries.into_iter().map(|e| (e.key.unwrap(), e.value)).unzip();
        assert_eq!(got, keys);
        values
    };
    let big = u64::MAX - 1;
    assert_eq!(values(client.get_many(keys.clone()).await.unwrap()), [big, 0, 111, big]);
    assert_eq!(values(client.window_many(keys.clone(), two_hours, None).await.unwrap()), [big, 0, 11, big]);
    assert_eq!(values(client.range_many(keys.clone(), range).await.unwrap()), [big, 0, 110, big]);

    let series = client.series(tea(), hours_ago(3), None, Some(HOUR)).await.unwrap();
    let points: Vec<_> = series.points.iter().map(|point| (point.value, point.present)).collect();
    assert_eq!(points, [(0, false), (0, false), (10, true), (1, true)]);
    assert_eq!(series.answer.unwrap().presence, Presence::Present);
    assert_eq!(series.points[3].end, Some("2026-03-01T13:00:00Z".parse().unwrap()));
}

#[tokio::test]
async fn absent_empty_and_out_of_retention_are_three_answers() {
    let world = world().await;
    let server = world.serve().await;
    let client = server.client::<Stock>().await;
    let ask = async |sku: &str, end: Timestamp| {
        let response = client.window(stock(7, sku, -2), HOUR, Some(end)).await.unwrap();
        (response.present, response.answer.unwrap())
    };
    let (present, answer) = ask("tea", hours_ago(0)).await;
    assert!(present);
    assert_eq!(answer.presence, Presence::Present);
    assert_eq!((answer.start, answer.start_exact), (Some("2026-03-01T11:00:00Z".parse().unwrap()), false));
    assert_eq!((answer.end, answer.end_exact), (Some("2026-03-01T13:00:00Z".parse().unwrap()), false));
    let presence = async |sku, end| ask(sku, end).await.1.presence;
    assert_eq!(presence("tea", hours_ago(10)).await, Presence::Empty);
    assert_eq!(presence("coffee", hours_ago(10)).await, Presence::Absent);
    assert_eq!(presence("tea", hours_ago(100)).await, Presence::OutOfRetention);
    assert!(!ask("tea", hours_ago(10)).await.0);
}

#[tokio::test]
async fn errors_come_back_with_their_kind_and_the_name_of_the_field() {
    let world = world().await;
    let server = world.serve().await;
    let client = server.client::<Stock>().await;
    let error = client.window(stock(7, "tea", 0), Span::from_seconds(3 * 86_400), None).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    assert!(error.to_string().contains("`window` asks for 3d"), "{error}");
    let error = client.get(stock(7, &"x".repeat(2_000), 0)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    let error = client.get_many(vec![stock(7, "tea", 0); 1_001]).await.unwrap_err();
    assert!(error.to_string().contains("`keys` has 1001 keys; at most 1000"), "{error}");
    assert_eq!(client.get_many(vec![stock(7, "tea", 0); 1_000]).await.unwrap().len(), 1_000);
    world.count(&stock(1, "much", 0), hours_ago(0), u64::MAX).await;
    let much = || stock(1, "much", 0);
    let error = client.get(much()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Overflow);
    let mark = Mark::of(&*text_of(&much()));
    assert!(error.to_string().starts_with(&format!("{mark}: the count reached")), "{error}");
    let entries = client.get_many(vec![stock(7, "tea", -2), much()]).await.unwrap();
    let problem = |at: usize| entries[at].answer.as_ref().map(|answer| answer.problem.as_str());
    assert_eq!((entries[0].value, entries[0].present, problem(0)), (111, true, Some("")));
    assert_eq!((entries[1].value, entries[1].present), (0, false));
    assert!(problem(1).is_some_and(|why| why.contains("the count reached")), "{entries:?}");
}

#[tokio::test]
async fn a_reply_of_four_mebibytes_is_sent_and_one_byte_more_is_refused() {
    let world = World::new();
    let server = world.serve().await;
    let client = server.client::<Notes>().await;
    world.note(&note("a"), 1, "x").await;
    // The rest of the message keeps its size; the text's length prefix has three bytes more.
    let rest = prost::Message::encoded_len(&client.get(note("a")).await.unwrap()) + 3 - 1;
    let most = "x".repeat((4 << 20) - rest);
    world.note(&note("a"), 2, &most).await;
    let reply = client.get(note("a")).await.unwrap();
    assert_eq!(prost::Message::encoded_len(&reply), 4 << 20);
    world.note(&note("a"), 3, &format!("{most}x")).await;
    assert_eq!(client.get(note("a")).await.unwrap_err().kind(), ErrorKind::ResourceExhausted);
}

#[tokio::test]
async fn a_call_is_sent_again_while_the_server_is_unavailable_and_only_then() {
    let world = world().await;
    let server = world.serve().await;
    let client = server.client::<Stock>().await;
    world.moody.mood.send_replace(Mood::Down);
    let before = *world.moody.reads.borrow();
    let call = tokio::spawn({
        let client = client.clone().timeout(Duration::from_secs(30));
        async move { client.get(stock(7, "tea", -2)).await }
    });
    world.moody.reads(before + 2).await;
    world.moody.mood.send_replace(Mood::Fine);
    assert_eq!(call.await.unwrap().unwrap().value, 111);

    let before = *world.moody.reads.borrow();
    client.get(stock(7, &"x".repeat(2_000), 0)).await.unwrap_err();
    assert_eq!(*world.moody.reads.borrow(), before);

    // It gives up in the end, and the server's own words do not tell where its store is.
    world.moody.mood.send_replace(Mood::Down);
    let error = client.get(stock(7, "tea", -2)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(!error.to_string().contains("10.1.2.3"), "{error}");
}

#[tokio::test]
async fn an_address_that_is_none_and_one_where_nobody_listens_are_different_errors() {
    let kind = async |uri: &str| Client::<Stock>::connect(uri).await.err().unwrap().kind();
    assert_eq!(kind("not an address").await, ErrorKind::Configuration);
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    assert_eq!(kind(&format!("http://{free}")).await, ErrorKind::Unavailable);
}

#[tokio::test]
async fn one_pipeline_can_be_added_to_a_server_of_ones_own() {
    let world = world().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let uri = format!("http://{}", listener.local_addr().unwrap());
    let incoming = tokio_stream::wrappers::TcpListenerStream::new(listener);
    let router = tonic::transport::Server::builder().add_service(PipelineService::new(world.stock()));
    tokio::spawn(router.serve_with_incoming(incoming));
    let client = Client::<Stock>::connect(uri).await.unwrap();
    assert_eq!(client.get(stock(7, "tea", -2)).await.unwrap().value, 111);
}

#[test]
fn the_name_of_the_service_is_known_at_compile_time() {
    const NAME: &str = <PipelineService<Stock> as tonic::server::NamedService>::NAME;
    assert_eq!(NAME, STOCK);
    assert_eq!(<PipelineService<Notes> as tonic::server::NamedService>::NAME, NOTES);
}
