//! Streams that go on where others stood.

use super::*;

#[tokio::test]
async fn who_resumes_gets_what_differs_and_nothing_else() {
    let world = World::new();
    world.note(&note("a"), 1, "one").await;
    let token = one(&mut Watched::told(&world).one("a")).await.resume;
    // At another server, which knows nothing of the first.
    let watched = Watched::told(&world);
    let mut resumed = watched.one_after("a", &token);
    // Beside one who does not resume: when that one has its snapshot, there was time for another.
    assert_eq!(one(&mut watched.one("a")).await.value, "one");
    assert!(futures_util::poll!(resumed.next()).is_pending());
    world.note(&note("a"), 2, "two").await;
    assert_eq!(one(&mut resumed).await.value, "two");
    // What has changed in between is told at once.
    world.note(&note("a"), 3, "three").await;
    assert_eq!(one(&mut watched.one_after("a", &token)).await.value, "three");
}

#[tokio::test]
async fn a_value_that_comes_back_is_told_to_who_saw_another_one_meanwhile() {
    let world = World::new();
    world.note(&note("a"), 1, "one").await;
    let watched = Watched::told(&world);
    let token = one(&mut watched.one("a")).await.resume;
    let mut resumed = watched.one_after("a", &token);
    assert!(futures_util::poll!(resumed.next()).is_pending());
    for (version, text) in [(2, "two"), (3, "one")] {
        world.note(&note("a"), version, text).await;
        assert_eq!(one(&mut resumed).await.value, text);
    }
}

#[tokio::test]
async fn a_token_that_is_not_understood_is_as_none() {
    let world = World::new();
    world.note(&note("a"), 1, "same").await;
    world.note(&note("b"), 1, "same").await;
    let watched = Watched::told(&world);
    let of_another_key = one(&mut watched.one("b")).await.resume;
    let mut of_another_version = one(&mut watched.one("a")).await.resume;
    of_another_version[0] += 1;
    for token in [&of_another_key[..], &of_another_version, b"garbage", &[1; 4_096]] {
        assert_eq!(one(&mut watched.one_after("a", token)).await.value, "same", "{token:?}");
    }
}

#[tokio::test]
async fn a_token_of_another_question_is_as_none() {
    let world = World::new();
    let reader = world.stock();
    let key = stock(1, "a", 0);
    world.count(&key, now(), 3).await;
    let hub = Hub::new(&reader, Shared::new(Watching::default(), &Limits::default(), Drain::never()));
    let first = async |hours: u64, token: &[u8]| {
        let window = Span::from_seconds(hours * 3_600);
        let asked = WatchRequest { window: Some(window), ..WatchRequest::default() };
        let ask = Ask::Window { span: window, end: None };
        let how = How::new(asked, ask, (reader.clone(), Consistency::Eventual));
        let mut stream = of_one(&hub, (how, &None), key.clone(), token).unwrap();
        let reply: WatchResponse<u64> = WatchResponse::decode(stream.next().await.unwrap().unwrap()).unwrap();
        (reply.value, reply.resume)
    };
    let (value, token) = first(1, b"").await;
    // The same value, over another stretch of time.
    assert_eq!((value, first(2, &token).await.0), (3, 3));
}

#[tokio::test]
async fn a_set_is_resumed_key_by_key_and_may_have_others_then() {
    let world = World::new();
    world.note(&note("a"), 1, "one").await;
    world.note(&note("b"), 1, "two").await;
    let token = many(&mut Watched::told(&world).many(&["a", "b", "c"])).await.resume;
    let watched = Watched::told(&world);
    world.note(&note("b"), 2, "three").await;
    let mut changes = watched.many_after(&["a", "b", "c"], &token);
    let reply = many(&mut changes).await;
    assert_eq!(told(&reply), [("b", "three")]);
    let mut more = watched.many_after(&["d", "c", "b", "a"], &reply.resume);
    assert_eq!(told(&many(&mut more).await), [("d", "")]);
}

#[tokio::test]
async fn a_client_goes_on_at_the_server_that_comes_after() {
    let world = World::new();
    world.note(&note("a"), 1, "one").await;
    let mut server = Running::start(world.builder()).await;
    let address = server.address;
    let client = server.client::<Notes>().await.timeout(Duration::from_secs(60));
    let mut changes = Box::pin(client.watch_many(vec![note("a"), note("b")], None).await.unwrap());
    assert_eq!(told(&changes.next().await.unwrap().unwrap()), [("a", "one"), ("b", "")]);
    let change = tokio::spawn(async move { changes.next().await.unwrap().unwrap() });
    server.ask_to_stop();
    server.stopped().await;
    world.note(&note("b"), 1, "two").await;
    let _next = Running::start_at(address, world.builder()).await;
    assert_eq!(told(&change.await.unwrap()), [("b", "two")]);
}
