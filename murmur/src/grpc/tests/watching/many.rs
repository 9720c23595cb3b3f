//! Sets of keys.

use super::*;

#[tokio::test]
async fn all_keys_come_first_and_then_those_that_have_changed() {
    let world = World::new();
    world.note(&note("b"), 1, "two").await;
    let server = Running::start(world.builder().watching(Watching::every(NEVER).told_by(&world.touched))).await;
    let client = server.client::<Notes>().await;
    let keys = vec![note("c"), note("a"), note("b")];
    let mut changes = Box::pin(client.watch_many(keys, None).await.unwrap());
    let first = changes.next().await.unwrap().unwrap();
    assert_eq!(told(&first), [("c", ""), ("a", ""), ("b", "two")]);
    assert_eq!(first.entries.iter().map(|entry| entry.present).collect::<Vec<_>>(), [false, false, true]);
    for (version, (id, text)) in (2..).zip([("a", "one"), ("b", "three")]) {
        world.note(&note(id), version, text).await;
        let next = changes.next().await.unwrap().unwrap();
        assert_eq!(told(&next), [(id, text)]);
        assert!(next.entries[0].present && next.entries[0].answer.is_some());
    }
}

#[tokio::test]
async fn changes_of_a_set_are_coalesced_to_the_newest_of_each_key() {
    let world = World::new();
    let watched = Watched::told(&world);
    let mut changes = watched.many(&["a", "b", "c"]);
    assert_eq!(told(&many(&mut changes).await).len(), 3);
    // Somebody else has read them all by the time that this one reads again.
    let mut other = watched.one("c");
    one(&mut other).await;
    for (version, text) in [(1, "one"), (2, "two")] {
        world.note(&note("a"), version, text).await;
        world.note(&note("c"), version, text).await;
        assert_eq!(one(&mut other).await.value, text);
    }
    assert_eq!(told(&many(&mut changes).await), [("a", "two"), ("c", "two")]);
    assert!(futures_util::poll!(changes.next()).is_pending());
}

#[tokio::test]
async fn a_key_that_stands_twice_in_a_set_is_told_twice_and_watched_once() {
    let world = World::new();
    let watched = Watched::told(&world);
    let mut changes = watched.many(&["a", "b", "a"]);
    assert_eq!(told(&many(&mut changes).await), [("a", ""), ("b", ""), ("a", "")]);
    assert_eq!(watched.hub.len(), 2);
    world.note(&note("a"), 1, "one").await;
    assert_eq!(told(&many(&mut changes).await), [("a", "one"), ("a", "one")]);
    drop(changes);
    watched.is_left().await;
}

#[tokio::test]
async fn a_set_has_one_key_at_least_and_as_many_as_a_many_call_at_most() {
    let world = World::new();
    let server = world.serve().await;
    let client = server.client::<Notes>().await;
    let watch = async |keys: usize| {
        let keys = (0..keys).map(|n| note(&n.to_string())).collect();
        client.watch_many(keys, None).await.map(drop)
    };
    for keys in [0, 1_001] {
        let refused = watch(keys).await.unwrap_err();
        assert_eq!((refused.kind(), refused.field()), (ErrorKind::InvalidArgument, Some("keys")), "{refused}");
    }
    for keys in [1, 1_000] {
        watch(keys).await.unwrap();
    }
}

#[tokio::test]
async fn a_key_that_cannot_be_is_named_by_its_place() {
    let world = World::new();
    let server = world.serve().await;
    let client = server.client::<Notes>().await;
    let longer = note(&"x".repeat(1_024));
    let mut keys: Vec<_> = (0..1_000).map(|n| note(&n.to_string())).collect();
    keys[417] = longer.clone();
    let of_many = client.watch_many(keys, None).await.err().unwrap();
    let of_one = client.watch(longer, None).await.err().unwrap();
    for (refused, field) in [(of_many, "keys[417]"), (of_one, "key")] {
        assert_eq!((refused.kind(), refused.field()), (ErrorKind::InvalidArgument, Some(field)));
        assert!(refused.to_string().contains(&format!("`{field}`: the key has 1025 bytes")), "{refused}");
    }
}

#[tokio::test]
async fn keys_that_are_due_together_are_read_together() {
    let world = World::new();
    let watched = Watched::told(&world);
    let ids: Vec<String> = (0..1_000).map(|n| n.to_string()).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    let (mut half, mut all) = (watched.many(&ids[..500]), watched.many(&ids));
    assert_eq!(told(&many(&mut half).await).len(), 500);
    assert_eq!(told(&many(&mut all).await).len(), 1_000);
    // One key of those that are looked at by both.
    world.note(&note("7"), 1, "seven").await;
    for stream in [&mut half, &mut all] {
        assert_eq!(told(&many(stream).await), [("7", "seven")]);
    }
    assert_eq!(watched.hub.len(), 1_000);
}
