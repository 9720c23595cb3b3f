use super::subject::{Subject, add, applied, hour, must, part, put};
use crate::store::{TileId, Write};
use crate::time::Timestamp;

/// In the year 2100: a store that expires items by its own clock leaves them alone.
pub(super) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(4_102_444_800 + seconds)
}

pub(super) fn expiring(mut write: Write, when: Timestamp) -> Write {
    let (Write::Add { expires, .. } | Write::Put { expires, .. } | Write::Roll { expires, .. }) = &mut write;
    *expires = Some(when);
    write
}

/// Ask the store to remove what has expired, and check that it did. `false` when it expires items by itself in its
/// own time.
pub(super) async fn expire(subject: &Subject, now: Timestamp, limit: usize, expected: usize) -> bool {
    let before = subject.scan(1_000).await.len();
    let removed = must(subject.store.remove_expired(&subject.table, now, limit).await);
    assert_eq!(subject.scan(1_000).await.len(), before - removed, "it removes what it says");
    if removed == 0 && expected > 0 {
        return false;
    }
    assert_eq!(removed, expected, "what has expired by {now}, at most {limit}");
    true
}

async fn left(subject: &Subject) -> Vec<TileId> {
    let mut ids: Vec<TileId> = subject.scan(1_000).await.into_iter().map(|(id, _)| id).collect();
    ids.sort();
    ids
}

pub(super) async fn what_has_expired_goes_and_nothing_else(subject: Subject) {
    let ids = ["a", "b", "c", "d", "e"].map(|key| hour(key, 0));
    for (id, when) in ids.iter().zip([40, 10, 30, 20]) {
        subject.applied(expiring(add(id, 1, &[applied("p", 1, 1)]), at(when))).await;
    }
    // `e` never expires; the parts of a tile expire each by itself.
    subject.applied(add(&ids[4], 1, &[applied("p", 1, 1)])).await;
    let parts = [part(hour("f", 0), "p"), part(hour("f", 0), "q")];
    subject.applied(expiring(put(&parts[0], b"v", 1), at(-5))).await;
    subject.applied(expiring(put(&parts[1], b"v", 1), at(10))).await;

    if !expire(&subject, at(9), 100, 1).await {
        return;
    }
    assert_eq!(left(&subject).await.iter().filter(|id| id.part.is_some()).count(), 1);
    assert!(expire(&subject, at(30), 3, 3).await, "the limit holds");
    assert!(expire(&subject, at(30), 3, 1).await);
    assert_eq!(left(&subject).await, [ids[0].clone(), ids[4].clone()]);
    assert!(expire(&subject, Timestamp::MAX, 0, 0).await);
    assert!(expire(&subject, Timestamp::MAX, 100, 1).await);
    assert_eq!(left(&subject).await, [ids[4].clone()]);
    // A tile that is gone begins anew.
    subject.applied(expiring(add(&ids[1], 1, &[applied("p", 1, 1)]), at(50))).await;
    assert!(expire(&subject, at(49), 100, 0).await);
    assert!(expire(&subject, at(50), 100, 1).await);
}

pub(super) async fn a_later_expiry_replaces_the_earlier_one(subject: Subject) {
    let (added, put_to) = (hour("a", 0), part(hour("b", 0), "p"));
    subject.applied(expiring(add(&added, 1, &[applied("p", 1, 1)]), at(10))).await;
    subject.applied(expiring(add(&added, 1, &[applied("p", 2, 2)]), at(20))).await;
    // An addition without an expiry leaves what stands; so does a write that was refused.
    subject.applied(add(&added, 1, &[applied("p", 3, 3)])).await;
    must(subject.write(expiring(add(&added, 1, &[applied("p", 3, 3)]), at(5))).await);
    subject.applied(expiring(put(&put_to, b"v", 1), at(10))).await;
    subject.applied(expiring(put(&put_to, b"v", 2), at(30))).await;
    assert_eq!(subject.get(&added).await.and_then(|item| item.expires), Some(at(20)));
    assert_eq!(subject.get(&put_to).await.and_then(|item| item.expires), Some(at(30)));
    assert!(expire(&subject, at(19), 100, 0).await);
    if !expire(&subject, at(20), 100, 1).await {
        return;
    }
    assert_eq!(left(&subject).await, std::slice::from_ref(&put_to));
    subject.applied(put(&put_to, b"for ever", 3)).await;
    assert!(expire(&subject, Timestamp::MAX, 100, 0).await, "a fold without an expiry stays");
}
