//! What calls cost, as the store itself says: from a store to whoever explains a request or rolls, past all that lies
//! between.

use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};

tokio::task_local! {
    static SPENT: Arc<Mutex<Spent>>;
}

/// What was spent.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) struct Spent {
    /// Requests for reads that were answered.
    pub(crate) requests: u64,
    /// Read units that they cost.
    pub(crate) read_units: f64,
    /// Write units.
    pub(crate) write_units: f64,
}

/// For a store whose server says what a read has cost: a request was answered, and cost this. It counts for the call of
/// the [`Store`](super::Store) that runs on this task, and is lost when nobody asked.
#[cfg_attr(not(feature = "dynamodb"), allow(dead_code, reason = "the other stores have nothing to say"))]
pub(crate) fn read(units: f64) {
    add(|spent| {
        spent.requests += 1;
        spent.read_units += units;
    });
}

/// The same for a write.
#[cfg_attr(not(feature = "dynamodb"), allow(dead_code, reason = "the other stores have nothing to say"))]
pub(crate) fn written(units: f64) {
    add(|spent| spent.write_units += units);
}

#[cfg_attr(not(feature = "dynamodb"), allow(dead_code, reason = "the other stores have nothing to say"))]
fn add(more: impl FnOnce(&mut Spent)) {
    // Without a scope nobody asks.
    let _ = SPENT.try_with(|spent| {
        // Nothing between lock and unlock can leave it half changed.
        more(&mut spent.lock().unwrap_or_else(PoisonError::into_inner));
    });
}

/// Carry out calls of a store, and what it says that they cost; `None` when it says nothing.
pub(crate) async fn count<T>(calls: impl Future<Output = T>) -> (T, Option<Spent>) {
    let spent = Arc::<Mutex<Spent>>::default();
    let result = SPENT.scope(spent.clone(), calls).await;
    let spent = *spent.lock().unwrap_or_else(PoisonError::into_inner);
    (result, (spent != Spent::default()).then_some(spent))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_calls_cost_is_counted_where_it_is_asked_for() {
        read(7.0);
        let calls = async {
            read(0.5);
            tokio::task::yield_now().await;
            // Of its own, and not of the calls around it.
            assert_eq!(
                count(async { read(2.0) }).await.1,
                Some(Spent { requests: 1, read_units: 2.0, write_units: 0.0 })
            );
            read(1.0);
            written(3.0);
        };
        assert_eq!(count(calls).await.1, Some(Spent { requests: 2, read_units: 1.5, write_units: 3.0 }));
        assert_eq!(count(async {}).await.1, None);
    }
}
