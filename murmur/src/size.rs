//! How large stored items can get, told when the program is compiled.
//!
//! Sizes are those of [DynamoDB](https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html),
//! the store that has a limit: bytes of names and values; a number takes a byte for two digits and two more at most, a
//! list three bytes and one for each of its members.
//!
//! ```text
//! item    key          at most 1,024 bytes
//!         place        level, start, and with Form B the partition
//!         offsets      Form B: one; Form A: one for each partition
//!         each slot    Form A: its numbers; Form B: its value in its envelope
//!         slots        as many as the tile has: those of rolled tiles may be more than those that events are written to
//! ```
//!
//! Not in it, because they have no bound: the events that a fold of Form B has refused, which its envelope lists; and with
//! Form A the offsets of partitions beyond [`PARTITIONS`]. How many write one item is not known when the program is compiled:
//! one, where the topic is keyed by the pipeline's key, and all of them where it is not. As names are reckoned at their
//! longest, what is said holds for 95 partitions of Kafka, whose offsets take 33 bytes each; each 31 more cost an item another
//! write unit. `docs/decisions/offsets-of-many-partitions.md` has the figures.

use crate::aggregate::{Form, Monoid};
use crate::key::MAX_KEY_BYTES;
use crate::pipeline::Pipeline;
use crate::time::{Tiling, Window};

/// The largest item that a store takes: 400 KB on DynamoDB, of which the store keeps 2 KB to close a full tile.
pub const MOST_ITEM_BYTES: usize = 400 * 1024 - 2 * 1024;
const TOO_MANY: usize = MOST_ITEM_BYTES + 1;
/// What a write unit of DynamoDB pays for.
const UNIT: usize = 1024;

/// Longest name of a partition that is reckoned with. Those of Kafka have 22 bytes for the topic, those of files fewer.
pub const PARTITION_BYTES: usize = 64;
/// Form A: from how many partitions the events of one item are reckoned to come at most.
pub const PARTITIONS: usize = 32;

/// The names of both keys, the escape of the first, and of the second the letter, the start and the name of a part.
const KEY: usize = 2 + 2 + MAX_KEY_BYTES + 2 + 2 + 40 + 1 + PARTITION_BYTES;
/// `o`, the name of the partition, and 32 bytes of offset behind their length.
const OFFSET: usize = 1 + PARTITION_BYTES + 33;
/// When it expires, twice, and how often it was written: a letter and up to 21 bytes of number each.
const COUNTERS: usize = 3 * (1 + 21);
/// A name of field, part and slot, of the most digits that these can have.
const NUMBER_NAME: usize = "n4294967295p255s65535".len();
/// Two floats as texts, which those take that no number of DynamoDB can be.
const NUMBER: usize = 3 + 2 * (1 + "-1.2345678901234567e-308".len());
/// A slot in the list of those that are rolled.
const ROLLED: usize = 1 + 4;
/// The name of a value, and the version and checksum around it.
const VALUE: usize = "b65535".len() + 1 + 4;

/// How large the items of a pipeline can get.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ItemSize {
    /// Most bytes of an item that events are written to; `usize::MAX` without a bound.
    pub live: usize,
    /// Most bytes of any item, those that reads roll up too.
    pub largest: usize,
}

impl ItemSize {
    /// Of the items with aggregates `A` in this window.
    pub const fn of<A: Monoid>(window: &Window) -> Self {
        let tiling = tiling(window, A::MAX_BYTES);
        let live = Self::item::<A>(tiling.slots_per_tile());
        let largest = Self::item::<A>(tiling.most_slots());
        Self { live, largest: if largest > live { largest } else { live } }
    }

    const fn item<A: Monoid>(slots: u16) -> usize {
        let (slot, offsets) = match A::FORM {
            Form::Add => {
                let numbers = A::MAX_BYTES.div_ceil(16);
                (numbers.saturating_mul(NUMBER_NAME + NUMBER), PARTITIONS * OFFSET)
            }
            Form::Put => (A::MAX_BYTES.saturating_add(VALUE), OFFSET),
        };
        slot.saturating_add(ROLLED).saturating_mul(slots as usize).saturating_add(KEY + offsets + COUNTERS + 1)
    }

    /// What one write of an event's item costs at most, in write units of DynamoDB; `None` without a bound.
    pub const fn write_units(&self) -> Option<usize> {
        if self.live == usize::MAX { None } else { Some(self.live.div_ceil(UNIT)) }
    }
}

/// How the time of a pipeline is cut whose values take at most so many bytes. Slots are packed into the next unit up when
/// all of them together stay a small item.
pub(crate) const fn tiling(window: &Window, bytes: usize) -> Tiling {
    let packed = Tiling::new(window, true);
    let all = bytes.saturating_mul(packed.slots_per_tile() as usize);
    if all <= PACKED_BYTES { packed } else { Tiling::new(window, false) }
}

/// Most bytes of values that are packed into one tile: four write units of DynamoDB.
const PACKED_BYTES: usize = 4096;

/// Stops the build where an item of the pipeline could be larger than a store takes. One without a bound passes where the
/// pipeline accepts that: its tiles are closed when they are full.
#[track_caller]
pub const fn fits<P: Pipeline>() {
    let ItemSize { largest, .. } = ItemSize::of::<P::Aggregate>(&P::SPEC.window);
    let mut text = Text::new();
    text.push("an item of `");
    text.push(P::SPEC.name);
    match (largest, P::UNBOUNDED) {
        (usize::MAX, true) => return,
        (usize::MAX, false) => {
            text.push("` has no bound, and a store takes ");
            text.push_number(MOST_ITEM_BYTES);
            text.push(" bytes");
            if let Some((field, _)) = P::Aggregate::LARGEST_FIELD {
                text.push("; the field `");
                text.push(field);
                text.push("` says `MAX_BYTES = usize::MAX`");
            }
            text.push(
                ": say how many bytes a value takes at most, or write `unbounded` beside `key`, and what a full item ",
            );
            text.push("cannot take will be dead letters");
        }
        (TOO_MANY.., _) => {
            text.push("` can take ");
            text.push_number(largest);
            text.push(" bytes, and a store takes ");
            text.push_number(MOST_ITEM_BYTES);
            if let Some((field, bytes)) = P::Aggregate::LARGEST_FIELD {
                text.push("; the largest field is `");
                text.push(field);
                text.push("` with ");
                text.push_number(bytes);
            }
            text.push(": keep less in one aggregate (a smaller sketch or map), or make two pipelines of it");
        }
        (_, true) => {
            text.push("` takes ");
            text.push_number(largest);
            text.push(" bytes at most, which is a bound: leave `unbounded` out");
        }
        (_, false) => return,
    }
    panic!("{}", text.get());
}

/// A text made by the compiler, which can format none.
struct Text {
    bytes: [u8; 1024],
    len: usize,
}

impl Text {
    const fn new() -> Self {
        Self { bytes: [0; 1024], len: 0 }
    }

    /// What there is no room for is left out as a whole, so that the text stays one.
    const fn push(&mut self, text: &str) {
        let text = text.as_bytes();
        if self.len + text.len() > self.bytes.len() {
            return;
        }
        let mut at = 0;
        while at < text.len() {
            self.bytes[self.len + at] = text[at];
            at += 1;
        }
        self.len += text.len();
    }

    const fn push_number(&mut self, number: usize) {
        if number >= 10 {
            self.push_number(number / 10);
        }
        self.push(["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"][number % 10]);
    }

    const fn get(&self) -> &str {
        match std::str::from_utf8(self.bytes.split_at(self.len).0) {
            Ok(text) => text,
            // Texts were put after each other as wholes.
            Err(_) => "an item can be larger than a store takes",
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::aggregate::{Count, DistinctSet, Membership, TopK, envelope, stored_numbers};
    use crate::time::{Level, Span, Timestamp};

    const DAY: u64 = 86_400;

    fn sliding(slot: u64) -> Window {
        Window::Sliding { span: Span::from_seconds(30 * DAY), slot: Span::from_seconds(slot) }
    }

    #[derive(Clone, Debug)]
    struct Both {
        seen: Membership<200_000>,
        more: Membership<150_000>,
    }

    crate::aggregate_struct! {
        impl Both;
        /// Two filters.
        struct BothReply: "size.v1.Both" {
            /// One.
            more: Membership<150_000> = 1,
            /// Another.
            seen: Membership<200_000> = 2,
        }
        retired [];
    }

    crate::key! {
        /// Who.
        struct VisitorKey: "size.v1.VisitorKey" {
            /// Who.
            visitor: String = 1,
        }
    }

    struct Visits;

    impl Pipeline for Visits {
        type Event = crate::codegen::NoEvent;
        type Key = VisitorKey;
        type Aggregate = Both;
        const SPEC: crate::pipeline::Spec = crate::pipeline::Spec {
            name: "visits",
            package: "size.v1",
            service: "VisitsService",
            about: "",
            window: Window::AllTime,
            fingerprint: 0,
        };

        fn apply(_: &crate::codegen::NoEvent, _: &mut crate::pipeline::Emissions<Both>) {}
    }

    #[test]
    fn what_is_too_large_is_refused_by_pipeline_field_and_bytes() {
        let panic = std::panic::catch_unwind(fits::<Visits>).unwrap_err();
        let text = panic.downcast_ref::<String>().unwrap();
        for part in ["`visits`", "`seen` with 239664", "420742 bytes", "407552", "a smaller sketch", "two pipelines"] {
            assert!(text.contains(part), "`{part}` is not in: {text}");
        }
    }

    #[test]
    fn of_small_values_all_slots_count_and_of_large_ones_one() {
        let of = |seconds| ItemSize::of::<Count>(&sliding(seconds));
        // An hour of minutes, and of tiles of half hours the month of days above them.
        assert_eq!(of(60).live, of(60).largest);
        assert!(of(1_800).live < of(1_800).largest);
        assert!(of(1_800).largest - of(1_800).live >= 29 * (NUMBER_NAME + NUMBER));
        let set = ItemSize::of::<DistinctSet>(&sliding(60));
        assert_eq!(set, ItemSize::of::<DistinctSet>(&Window::AllTime));
        assert_eq!(set.write_units(), Some(34));
        assert!(of(3_600).write_units() < Some(10));
    }

    proptest! {
        #[test]
        fn no_tile_of_any_level_has_more_slots_than_said(seconds in 1u64..3 * DAY, large in any::<bool>(), at in -1i64 << 50..1i64 << 50) {
            let tiling = Tiling::new(&sliding(seconds), !large);
            let levels = tiling.parents().iter().copied().chain([tiling.finest(), Level::Late]);
            for level in levels {
                let tile = tiling.tile_of(if level == Level::Late { tiling.finest() } else { level }, Timestamp::from_micros(at));
                let range = tiling.tile_range(tile);
                let last = tiling.slot_in(tile, Timestamp::from_micros(range.end.as_micros() - 1));
                prop_assert!(last.0 < tiling.most_slots(), "{level:?} has slot {last:?}");
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(16))]

        #[test]
        fn no_sealed_value_takes_more_than_is_reckoned(items in proptest::collection::vec("[a-z]{0,300}", 0..200)) {
            let (mut top, mut set) = (TopK::<1>::identity(), DistinctSet::identity());
            for item in items.iter().filter(|item| item.len() <= 256) {
                top.combine(TopK::of(item.as_str()));
                set.combine(DistinctSet::of(item));
            }
            prop_assert!(envelope::seal(&top).len() + "b65535".len() <= TopK::<1>::MAX_BYTES + VALUE);
            prop_assert!(envelope::seal(&set).len() + "b65535".len() <= DistinctSet::MAX_BYTES + VALUE);
            let mut numbers = 0;
            stored_numbers(&Count::one(), |_, _| numbers += 1);
            prop_assert!(numbers * 16 <= Count::MAX_BYTES);
        }
    }
}
