mod calendar;

use jiff::civil::{Date, date};
use proptest::prelude::*;

use super::*;

/// Slots that are packed into every level, and slots that are tiles of their own.
const SLOTS: [&str; 15] =
    ["1s", "1500ms", "10s", "1m", "90s", "5m", "1h", "6h", "1d", "100ms", "7m", "25h", "3d", "1w", "90d"];

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn tiling(slot: &str, packed: bool) -> Tiling {
    let slot: Span = slot.parse().unwrap();
    Tiling::new(&Window::Sliding { span: Span::from_seconds(90 * 86_400), slot }, packed)
}

fn tilings() -> impl Strategy<Value = Tiling> {
    (proptest::sample::select(&SLOTS), any::<bool>()).prop_map(|(slot, packed)| tiling(slot, packed))
}

/// Of all time and of our own; on boundaries and beside them.
fn instants() -> impl Strategy<Value = Timestamp> {
    let day = 86_400_000_000i64;
    prop_oneof![
        (Timestamp::MIN.as_micros()..Timestamp::MAX.as_micros()),
        (-400 * day..400 * day),
        (-400i64..30_000, -1i64..2).prop_map(move |(days, beside)| days * day + beside),
        (0i64..1_000_000, -1i64..2).prop_map(|(minutes, beside)| minutes * 60_000_000 + beside),
        Just(Timestamp::MIN.as_micros()),
        Just(Timestamp::MAX.as_micros() - 1),
    ]
    .prop_map(Timestamp::from_micros)
}

proptest! {
    #[test]
    fn an_instant_lies_in_its_tile_and_slot(tiling in tilings(), at in instants()) {
        let (tile, slot) = tiling.locate(at);
        let within = tiling.tile_range(tile);
        prop_assert!(within.contains(at));
        prop_assert!(tiling.slot_range(tile, slot).contains(at));
        prop_assert!(within.covers(&tiling.slot_range(tile, slot)));
        prop_assert!(slot.0 < tiling.slots_per_tile());
        prop_assert_eq!(tiling.slot_in(tile, at), slot);
        prop_assert_eq!(tiling.slot_range(tile, slot).start, tiling.floor_slot(at));
    }

    #[test]
    fn the_slots_of_a_tile_partition_it_and_tiles_follow_each_other(tiling in tilings(), at in instants()) {
        let tile = tiling.locate(at).0;
        let within = tiling.tile_range(tile);
        prop_assert_eq!(within.start, tile.start);
        let mut next = within.start;
        for slot in 0.. {
            if next >= within.end {
                break;
            }
            prop_assert_eq!(tiling.locate(next), (tile, Slot(slot)));
            let range = tiling.slot_range(tile, Slot(slot));
            prop_assert_eq!(range.start, next);
            // The last instant of the slot is in it, the first one after it is not.
            let last = Timestamp::from_micros(range.end.as_micros() - 1);
            prop_assert_eq!(tiling.locate(last), (tile, Slot(slot)));
            next = range.end;
        }
        prop_assert_eq!(next, within.end);
        if within.end < Timestamp::MAX {
            prop_assert_eq!(tiling.locate(within.end).0.start, within.end);
        }
    }

    #[test]
    fn between_two_edges_of_a_tile_are_the_slots_that_begin_there(
        tiling in tilings(),
        at in instants(),
        places in (any::<prop::sample::Index>(), any::<prop::sample::Index>()),
    ) {
        let tile = tiling.locate(at).0;
        let end = tiling.tile_range(tile).end;
        let starts = (0..).map(|slot| tiling.slot_range(tile, Slot(slot)).start).take_while(|start| *start < end);
        let edges: Vec<Timestamp> = starts.chain([end]).collect();
        let (first, second) = (places.0.index(edges.len()), places.1.index(edges.len()));
        let (from, to) = (first.min(second), first.max(second));
        let expected = if from == to { 0..0 } else { from as u16..to as u16 };
        prop_assert_eq!(tiling.slots_between(tile, edges[from], edges[to]), expected);
    }

    #[test]
    fn instants_round_to_the_edges_of_their_slot(tiling in tilings(), at in instants()) {
        let (floor, ceil) = (tiling.floor_slot(at), tiling.ceil_slot(at));
        prop_assert!(floor <= at && at <= ceil);
        prop_assert_eq!(tiling.ceil_slot(floor), floor);
        prop_assert_eq!(floor == at, ceil == at);
    }

    #[test]
    fn tiles_expire_their_retention_after_their_end(tiling in tilings(), at in instants(), days in 1u64..400) {
        let keep = Span::from_seconds(days * 86_400);
        let window = Window::Sliding { span: keep, slot: Span::from_seconds(60) };
        let tile = tiling.locate(at).0;
        let expiry = tiling.expiry(tile, &window).unwrap();
        prop_assert_eq!(expiry, tiling.tile_range(tile).end.saturating_add(keep));
        // No instant of the tile is inside of retention any more.
        prop_assert!(window.horizon(expiry).unwrap() > at || expiry == Timestamp::MAX);
        prop_assert_eq!(tiling.expiry(tile, &Window::AllTime), None);
    }

    #[test]
    fn months_are_those_of_the_calendar(days in -719_162i32..2_932_896) {
        let day = date(1970, 1, 1).saturating_add(jiff::Span::new().days(days));
        let tile = tiling("1d", true).locate(Timestamp::from_seconds(i64::from(days) * 86_400)).0;
        let range = tiling("1d", true).tile_range(tile);
        let midnight = |date: Date| at(&format!("{date}T00:00:00Z"));
        prop_assert_eq!(range.start, midnight(day.first_of_month()));
        if day.year() < 9999 || day.month() < 12 {
            prop_assert_eq!(range.end, midnight(day.last_of_month().tomorrow().unwrap()));
        }
    }

    #[test]
    fn a_range_is_half_open(a in instants(), b in instants(), c in instants()) {
        let range = TimeRange::new(a, b);
        prop_assert_eq!(range.contains(c), a <= c && c < b);
        prop_assert!(!range.contains(b));
        prop_assert_eq!(range.is_empty(), a >= b);
        prop_assert!(range.covers(&range));
    }

    #[test]
    fn times_are_printed_and_read_back(at in instants()) {
        prop_assert_eq!(at.to_string().parse::<Timestamp>(), Ok(at));
        let json = serde_json::to_string(&at).unwrap();
        prop_assert_eq!(serde_json::from_str::<Timestamp>(&json).unwrap(), at);
        prop_assert!((0..1_000_000_000).contains(&at.subsec_nanos()));
        prop_assert_eq!(at.floor_seconds() * 1_000_000 + i64::from(at.subsec_nanos() / 1_000), at.as_micros());
    }

    #[test]
    fn spans_are_printed_and_read_back(micros in prop_oneof![0..i64::MAX as u64, 0..100_000_000_000u64]) {
        let span = Span::from_micros(micros);
        prop_assert_eq!(span.to_string().parse::<Span>(), Ok(span));
        prop_assert_eq!(Span::from(span.to_std()), span);
    }

    #[test]
    fn the_distance_of_two_instants_leads_from_one_to_the_other(a in instants(), b in instants()) {
        let (early, late) = (a.min(b), a.max(b));
        prop_assert_eq!(early.saturating_add(late.since(early)), late);
        prop_assert_eq!(late.saturating_sub(late.since(early)), early);
        prop_assert_eq!(early.since(late), Span::ZERO);
    }
}

#[test]
fn everything_floors_towards_the_past() {
    let before = at("1969-12-31T23:59:59.999999Z");
    assert_eq!(
        tiling("1h", true).locate(before),
        (Tile { level: Level::Day, start: at("1969-12-31T00:00:00Z") }, Slot(23))
    );
    assert_eq!(before.floor_seconds(), -1);
    let month = tiling("1d", true).locate(before);
    assert_eq!(month, (Tile { level: Level::Month, start: at("1969-12-01T00:00:00Z") }, Slot(30)));
}

#[test]
fn weeks_start_on_mondays() {
    let (tile, _) = tiling("1w", true).locate(at("2026-11-22T23:59:59Z"));
    assert_eq!(tile.start, at("2026-11-16T00:00:00Z"));
}

#[test]
fn slots_are_packed_into_the_next_unit_up() {
    let levels = SLOTS.map(|slot| (tiling(slot, true).finest(), tiling(slot, true).slots_per_tile()));
    let expected = [
        (Level::Minute, 60),
        (Level::Minute, 40),
        (Level::Minute, 6),
        (Level::Hour, 60),
        (Level::Hour, 40),
        (Level::Hour, 12),
        (Level::Day, 24),
        (Level::Day, 4),
        (Level::Month, 31),
        (Level::Slot, 1),
        (Level::Slot, 1),
        (Level::Slot, 1),
        (Level::Slot, 1),
        (Level::Slot, 1),
        (Level::Slot, 1),
    ];
    assert_eq!(levels, expected);
    assert!(SLOTS.iter().all(|slot| tiling(slot, false).finest() == Level::Slot));
}

#[test]
fn all_time_is_one_slot_of_one_tile() {
    let tiling = Tiling::new(&Window::AllTime, true);
    for instant in [Timestamp::MIN, Timestamp::EPOCH, Timestamp::MAX] {
        let (tile, slot) = tiling.locate(instant);
        assert_eq!((tile.level, slot), (Level::Forever, Slot(0)));
        assert_eq!(tiling.tile_range(tile), TimeRange::new(Timestamp::MIN, Timestamp::MAX));
    }
    assert_eq!(Window::AllTime.horizon(Timestamp::EPOCH), None);
}

#[test]
fn levels_and_their_letters_belong_together() {
    let days = [Level::Days2, Level::Days4, Level::Days8, Level::Days16, Level::Days32];
    let others = [Level::Slot, Level::Minute, Level::Hour, Level::Day, Level::Month, Level::Forever, Level::Late];
    for level in days.into_iter().chain(others) {
        assert_eq!(Level::from_letter(level.letter()), Some(level));
    }
    assert_eq!(Level::from_letter('?'), None);
}

#[test]
fn times_in_json_are_text_or_milliseconds() {
    let read = |json: &str| serde_json::from_str::<Timestamp>(json).map_err(|error| error.to_string());
    assert_eq!(read("1763935200250"), Ok(at("2025-11-23T22:00:00.25Z")));
    assert_eq!(read("\"2025-11-23T23:00:00.2500009+01:00\""), Ok(at("2025-11-23T22:00:00.25Z")));
    assert_eq!(read("-1"), Ok(at("1969-12-31T23:59:59.999Z")));
    assert_eq!(read("\"9999-12-31T23:59:59.999999Z\""), Ok(Timestamp::MAX));
    assert_eq!(read("\"0001-01-01T00:00:00Z\""), Ok(Timestamp::MIN));
    // Microseconds where milliseconds belong.
    assert!(read("1763935200250000").unwrap_err().contains("are these other units?"));
    assert!(read("18446744073709551615").unwrap_err().contains("outside the years"));
    assert!(read("\"0000-12-31T23:59:59Z\"").unwrap_err().contains("outside the years 1 to 9999"));
    assert!(read("\"yesterday\"").unwrap_err().contains("`yesterday` is not an RFC 3339 time"));
    assert!(read("true").unwrap_err().contains("an RFC 3339 time or milliseconds"));
}

#[test]
fn spans_are_numbers_with_units() {
    let read = |text: &str| text.parse::<Span>();
    assert_eq!(read("1h30m"), Ok(Span::from_seconds(5_400)));
    assert_eq!(read("2w"), Ok(Span::from_seconds(14 * 86_400)));
    assert_eq!(read("1500us"), Ok(Span::from_micros(1_500)));
    assert_eq!(read("0s"), Ok(Span::ZERO));
    for bad in ["", "5", "h", "1.5h", "-1s", "1y", "1 h", "99999999999999w", "9223372036854775808us"] {
        assert!(read(bad).unwrap_err().contains("write a number and a unit"), "{bad}");
    }
    assert_eq!(Span::from_seconds(90_061).to_string(), "1d1h1m1s");
}
