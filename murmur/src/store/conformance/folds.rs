use bytes::Bytes;

use super::expiry::at;
use super::subject::{Subject, fold, hour, must, part, put};
use crate::source::Offset;
use crate::store::{Item, Outcome, Write};
use crate::time::Slot;

pub(super) async fn a_fold_replaces_an_older_one_only(subject: Subject) {
    let id = part(hour("a", 0), "p");
    let wide = Write::Put {
        id: id.clone(),
        values: vec![(Slot(7), Bytes::from_static(b"seven")), (Slot(2), Bytes::from_static(b"two"))],
        first: Offset::from_u64(10),
        last: Offset::from_u64(10),
        expires: Some(at(0)),
    };
    subject.applied(wide.clone()).await;
    let stands = Item {
        offsets: vec![("p", 10)]
            .into_iter()
            .map(|(p, o)| (crate::source::PartitionId::new(p), Offset::from_u64(o)))
            .collect(),
        values: vec![(Slot(2), Bytes::from_static(b"two")), (Slot(7), Bytes::from_static(b"seven"))],
        expires: Some(at(0)),
        ..Item::default()
    };
    assert_eq!(subject.get(&id).await.as_ref(), Some(&stands), "values are kept sorted");
    for stale in [wide, put(&id, b"older", 9), put(&id, b"same offset", 10), put(&id, b"oldest", 0)] {
        assert_eq!(must(subject.write(stale).await), Outcome::Refused(stands.clone()));
        assert_eq!(subject.get(&id).await.as_ref(), Some(&stands));
    }
    subject.applied(put(&id, b"newer", 11)).await;
    assert_eq!(subject.get(&id).await, Some(fold(b"newer", "p", 11)), "nothing of the old fold is left");
    subject.applied(put(&id, b"far", u64::MAX)).await;
    assert_eq!(subject.get(&id).await, Some(fold(b"far", "p", u64::MAX)));
}

pub(super) async fn parts_of_a_tile_are_independent(subject: Subject) {
    let parts = ["p", "q", "p:1"].map(|name| (name, part(hour("a", 0), name)));
    for (last, (_, id)) in parts.iter().enumerate() {
        subject.applied(put(id, b"first", last as u64)).await;
    }
    subject.applied(put(&parts[1].1, b"second", 9)).await;
    assert_eq!(subject.get(&parts[0].1).await, Some(fold(b"first", "p", 0)));
    assert_eq!(subject.get(&parts[1].1).await, Some(fold(b"second", "q", 9)));
    assert_eq!(subject.get(&parts[2].1).await, Some(fold(b"first", "p:1", 2)));
    assert_eq!(subject.get(&hour("a", 0)).await, None, "the tile without a part is another item");
}

pub(super) async fn big_and_empty_values_come_back(subject: Subject) {
    let id = part(hour("a", 0), "p");
    // DynamoDB takes items of up to 400 KB, with their names.
    let noise: Vec<u8> = (0..300_000u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let values = vec![(Slot(0), Bytes::new()), (Slot(1), Bytes::from(noise)), (Slot(9), Bytes::from_static(b"\0"))];
    let write = Write::Put {
        id: id.clone(),
        values: values.clone(),
        first: Offset::ZERO,
        last: Offset::from_u64(1),
        expires: None,
    };
    subject.applied(write).await;
    assert_eq!(subject.get(&id).await.map(|item| item.values), Some(values));
    let empty = Write::Put {
        id: id.clone(),
        values: Vec::new(),
        first: Offset::ZERO,
        last: Offset::from_u64(2),
        expires: None,
    };
    subject.applied(empty).await;
    assert_eq!(subject.get(&id).await.map(|item| (item.values, item.offsets.len())), Some((Vec::new(), 1)));
}
