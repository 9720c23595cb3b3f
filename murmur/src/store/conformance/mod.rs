//! What every store must do, as one suite. Run it on your own [`Store`]:
//!
//! ```
//! # use std::sync::Arc;
//! use murmur::store::{MemoryStore, conformance};
//!
//! # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
//! conformance::run(async || Arc::new(MemoryStore::new()) as _).await;
//! conformance::random(async || Arc::new(MemoryStore::new()) as _, 1..4).await;
//! # });
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! A broken promise panics and says which one, as an assertion of a test does.

mod additions;
mod closing;
mod expiry;
mod folds;
mod model;
mod random;
mod reads;
mod records;
mod rolls;
mod subject;
#[cfg(test)]
mod tests;

use std::ops::Range;
use std::sync::Arc;

use subject::Subject;

use super::Store;

/// Check every promise of [`Store`] and [`Records`](crate::source::Records). `make` gives a new, empty store each
/// time.
///
/// # Panics
/// When the store breaks a promise.
pub async fn run(make: impl AsyncFn() -> Arc<dyn Store>) {
    let subject = async || Subject::new(make().await).await;

    additions::first_addition_creates_the_tile(subject().await).await;
    additions::only_offsets_after_the_applied_ones_are_added(subject().await).await;
    additions::the_same_addition_again_changes_nothing(subject().await).await;
    additions::all_partitions_of_a_delta_must_fit(subject().await).await;
    additions::writes_of_one_call_are_independent(subject().await).await;
    additions::overflow_names_the_tile_and_changes_nothing(subject().await).await;
    additions::numbers_end_where_their_range_does(subject().await).await;
    additions::wide_additions_are_one_write(subject().await).await;
    additions::writes_that_make_no_sense_are_refused(subject().await).await;
    additions::every_number_and_offset_comes_back(subject().await).await;
    additions::concurrent_additions_all_count(subject().await).await;
    additions::concurrent_additions_of_floats_all_count(subject().await).await;

    folds::a_fold_replaces_an_older_one_only(subject().await).await;
    folds::parts_of_a_tile_are_independent(subject().await).await;
    folds::big_and_empty_values_come_back(subject().await).await;

    closing::a_closed_tile_takes_nothing_more_from_its_partition(subject().await).await;
    closing::a_closed_fold_stays_as_it_is(subject().await).await;
    closing::only_what_was_not_applied_is_closed(subject().await).await;

    rolls::a_rolled_slot_comes_back_exactly(subject().await).await;
    rolls::the_same_roll_again_changes_nothing(subject().await).await;
    rolls::rolls_of_different_slots_all_stand(subject().await).await;
    rolls::a_roll_leaves_other_slots_and_offsets(subject().await).await;
    rolls::a_slot_that_is_unrolled_stays_so_whatever_is_rolled(subject().await).await;
    rolls::large_rolled_numbers_do_not_overflow_unnoticed(subject().await).await;
    rolls::wide_rolls_are_one_write(subject().await).await;
    rolls::concurrent_rolls_and_additions_all_stand(subject().await).await;
    rolls::a_rolled_tile_expires_as_others_do(subject().await).await;
    rolls::a_roll_without_room_is_said_and_leaves_no_trace(subject().await).await;
    rolls::rolls_that_make_no_sense_are_refused(subject().await).await;

    reads::get_answers_in_the_order_asked(subject().await).await;
    reads::range_is_half_open_and_in_order(subject().await).await;
    reads::keys_never_mix(subject().await).await;
    reads::tables_never_mix(subject().await).await;
    reads::scan_pages_give_each_item_once(subject().await).await;

    expiry::what_has_expired_goes_and_nothing_else(subject().await).await;
    expiry::a_later_expiry_replaces_the_earlier_one(subject().await).await;

    records::records_are_compared_and_set(subject().await).await;
    records::one_of_many_creators_wins(subject().await).await;
    records::records_are_found_by_prefix_in_order(subject().await).await;
    records::shelves_never_mix_and_are_no_tiles(subject().await).await;
}

/// For each seed, a random sequence of writes and reads of all kinds, compared step by step with a simple model.
///
/// # Panics
/// When the store and the model differ; the message carries the seed.
pub async fn random(make: impl AsyncFn() -> Arc<dyn Store>, seeds: Range<u64>) {
    for seed in seeds {
        random::sequence(Subject::new(make().await).await, seed).await;
    }
}
