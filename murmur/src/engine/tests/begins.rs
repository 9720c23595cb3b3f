//! Where reading goes on: by the record in the store, and by the source for whoever has none.

use super::*;

fn after(offset: u64) -> Start {
    Start::After(Offset::from_u64(offset))
}

/// Read all payloads, where `start` is what the source says to those who are new.
async fn read(store: &Arc<MemoryStore>, start: Start, payloads: &[&'static str]) -> Summary {
    to_the_end(worker_of(store, List::from(start, payloads), &Letters::default()).pipeline::<Words>()).await
}

#[tokio::test]
async fn a_table_that_was_restored_is_counted_on_from_where_it_is() {
    let store = Arc::new(MemoryStore::new());
    read(&store, Start::Beginning, &["a"]).await;
    let yesterday = store.copy();
    read(&store, Start::Beginning, &["a", "a", "a"]).await;
    store.restore(&yesterday);
    // The source has seen a commit of 3, and whoever is new would begin after it.
    let summary = read(&store, after(3), &["a", "a", "a", "a"]).await;
    assert_eq!((summary.progress.read, count(&store, "words", "a").await), (3, 4));
}

#[tokio::test]
async fn a_first_position_is_durable_before_anything_is_read() {
    let store = Arc::new(MemoryStore::new());
    // Nothing to flush by this run: what it leaves is where it began.
    read(&store, after(2), &["a", "a"]).await;
    let summary = read(&store, after(4), &["a", "a", "a", "a"]).await;
    assert_eq!((summary.progress.read, count(&store, "words", "a").await), (2, 2));

    // The same for a beginning that is no offset.
    let store = Arc::new(MemoryStore::new());
    read(&store, Start::Beginning, &[]).await;
    read(&store, after(1), &["a", "a"]).await;
    assert_eq!(count(&store, "words", "a").await, 2);
}

#[tokio::test]
async fn each_pipeline_goes_by_its_own_record_and_is_spared_what_it_has() {
    let (store, letters) = (Arc::new(MemoryStore::new()), Letters::default());
    let payloads = ["a@860000", "a@860001", "a@860002", "!"];
    read(&store, Start::Beginning, &payloads[..2]).await;
    // The one that is new begins further back, or further on.
    let both = |start, payloads: &[&'static str]| {
        to_the_end(worker_of(&store, List::from(start, payloads), &letters).pipeline::<Words>().pipeline::<Hours>())
    };
    let summary = both(after(1), &payloads).await;
    assert_eq!((summary.progress.read, summary.progress.already_applied), (3, 1));
    assert_eq!((count(&store, "words", "a").await, hours(&store).await), (3, 2));
    let store = Arc::new(MemoryStore::new());
    read(&store, Start::Beginning, &payloads[..1]).await;
    let worker = worker_of(&store, List::from(after(2), &payloads), &letters).pipeline::<Words>().pipeline::<Hours>();
    to_the_end(worker).await;
    assert_eq!((count(&store, "words", "a").await, hours(&store).await), (3, 1));
}

/// How many events lie in the hours.
async fn hours(store: &MemoryStore) -> i128 {
    let items = store.scan(&Table::new("hours", 1), None, 10).await.unwrap();
    let numbers = items.iter().flat_map(|(_, item)| &item.numbers);
    numbers.map(|(_, number)| if let crate::store::Number::Int(n) = number { *n } else { 0 }).sum()
}

#[tokio::test]
async fn without_a_record_and_a_place_to_begin_it_is_an_error_that_names_the_pipeline() {
    let store = Arc::new(MemoryStore::new());
    let nowhere = || List::from(Start::Nowhere("say where".into()), &["a"]);
    let (_stop, stopped) = watch::channel(false);
    let worker = worker_of(&store, nowhere(), &Letters::default()).pipeline::<Words>().build();
    let error = worker.run(stopped).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.to_string().contains("words") && error.to_string().contains("say where"), "{error}");
    read(&store, Start::Beginning, &["a"]).await;
    to_the_end(worker_of(&store, nowhere(), &Letters::default()).pipeline::<Words>()).await;
    assert_eq!(count(&store, "words", "a").await, 1);
}
