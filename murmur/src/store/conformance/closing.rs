use super::subject::{Subject, add, applied, counter, fold, hour, must, part, put};
use crate::source::{Offset, PartitionId};
use crate::store::{Item, Outcome, Write};

fn closing(write: &Write) -> Write {
    write.closing().unwrap_or_else(|| panic!("not a write that closes: {write:?}"))
}

/// The item with this partition closed.
fn closed(mut item: Item, partition: &str, from: u64) -> Item {
    item.set_offset(&PartitionId::new(partition), Offset::from_u64(from).closed());
    item
}

pub(super) async fn a_closed_tile_takes_nothing_more_from_its_partition(subject: Subject) {
    let id = hour("a", 0);
    subject.applied(add(&id, 5, &[applied("p", 1, 3), applied("q", 1, 9)])).await;
    let late = add(&id, 1, &[applied("p", 4, 4)]);
    let close = closing(&add(&id, 1, &[applied("p", 4, 700)]));
    subject.applied(close.clone()).await;
    let stands = closed(counter(5, &[("p", 3), ("q", 9)]), "p", 4);
    assert_eq!(subject.get(&id).await.as_ref(), Some(&stands));
    for refused in [close, late, add(&id, 1, &[applied("p", 1 << 60, u64::MAX), applied("q", 10, 10)])] {
        assert_eq!(must(subject.write(refused).await), Outcome::Refused(stands.clone()));
    }
    let p = PartitionId::new("p");
    assert!(stands.holds(&p, Offset::from_u64(3)) && !stands.holds(&p, Offset::from_u64(4)));
    subject.applied(add(&id, 1, &[applied("q", 10, 10)])).await;
    assert_eq!(subject.get(&id).await, Some(closed(counter(6, &[("p", 3), ("q", 10)]), "p", 4)));
}

pub(super) async fn a_closed_fold_stays_as_it_is(subject: Subject) {
    let id = part(hour("a", 0), "p");
    subject.applied(put(&id, b"value", 3)).await;
    let close = closing(&put(&id, b"too large", 7));
    subject.applied(close.clone()).await;
    let stands = closed(fold(b"value", "p", 3), "p", 7);
    assert_eq!(subject.get(&id).await.as_ref(), Some(&stands));
    for refused in [close, put(&id, b"next", 8), put(&id, b"far", u64::MAX)] {
        assert_eq!(must(subject.write(refused).await), Outcome::Refused(stands.clone()));
    }
    // One whose first fold is too large already.
    let empty = part(hour("a", 1), "p");
    subject.applied(closing(&put(&empty, b"too large", 0))).await;
    assert_eq!(subject.get(&empty).await, Some(closed(Item::default(), "p", 0)));
}

pub(super) async fn only_what_was_not_applied_is_closed(subject: Subject) {
    let (sum, whole) = (hour("a", 0), part(hour("a", 0), "p"));
    subject.applied(add(&sum, 5, &[applied("p", 1, 3)])).await;
    subject.applied(put(&whole, b"value", 3)).await;
    let refused = must(subject.write(closing(&add(&sum, 1, &[applied("p", 3, 9)]))).await);
    assert_eq!(refused, Outcome::Refused(counter(5, &[("p", 3)])));
    let refused = must(subject.write(closing(&put(&whole, b"other", 3))).await);
    assert_eq!(refused, Outcome::Refused(fold(b"value", "p", 3)));
}
