//! Days, weeks and months of zones, against days that are known and against what the zone itself says.

use std::num::NonZeroU32;

use super::*;
use crate::time::zone;

const HOUR: i64 = 3_600_000_000;

fn units(count: u32, unit: CalendarUnit, zone: &str) -> CalendarUnits {
    CalendarUnits { count: NonZeroU32::new(count).unwrap(), unit, zone: zone.parse().unwrap() }
}

fn days(count: u32, zone: &str) -> CalendarUnits {
    units(count, CalendarUnit::Day, zone)
}

fn range(start: &str, end: &str) -> TimeRange {
    TimeRange::new(at(start), at(end))
}

/// The day that is over at this local midnight, given in UTC.
fn day_before(zone: &str, end: &str) -> TimeRange {
    days(1, zone).whole_before(at(end)).unwrap()
}

fn length(range: TimeRange) -> Span {
    range.end.since(range.start)
}

#[test]
fn a_day_has_the_hours_that_its_clock_gives_it() {
    for (zone, end, start, hours) in [
        ("Europe/Berlin", "2026-03-29T22:00:00Z", "2026-03-28T23:00:00Z", "23h"),
        ("Europe/Berlin", "2026-03-30T22:00:00Z", "2026-03-29T22:00:00Z", "1d"),
        ("Europe/Berlin", "2026-10-25T23:00:00Z", "2026-10-24T22:00:00Z", "1d1h"),
        ("America/New_York", "2026-03-09T04:00:00Z", "2026-03-08T05:00:00Z", "23h"),
        ("America/New_York", "2026-11-02T05:00:00Z", "2026-11-01T04:00:00Z", "1d1h"),
        // Half an hour is enough there.
        ("Australia/Lord_Howe", "2026-04-05T13:30:00Z", "2026-04-04T13:00:00Z", "1d30m"),
        ("Australia/Lord_Howe", "2026-10-04T13:00:00Z", "2026-10-03T13:30:00Z", "23h30m"),
        ("Asia/Kathmandu", "2026-05-15T18:15:00Z", "2026-05-14T18:15:00Z", "1d"),
        ("Asia/Kolkata", "2026-05-15T18:30:00Z", "2026-05-14T18:30:00Z", "1d"),
        ("UTC", "2026-05-16T00:00:00Z", "2026-05-15T00:00:00Z", "1d"),
        // Clocks that are changed at midnight: the day begins at one; the hour before midnight comes twice.
        ("America/Santiago", "2026-09-07T03:00:00Z", "2026-09-06T04:00:00Z", "23h"),
        ("America/Santiago", "2026-04-05T04:00:00Z", "2026-04-04T03:00:00Z", "1d1h"),
        // From half past eleven to half past twelve: the day begins when that is done, and not at one.
        ("America/Toronto", "1919-04-01T04:00:00Z", "1919-03-31T04:30:00Z", "23h30m"),
        // A minute after midnight back to a minute after eleven: midnight was there already.
        ("America/St_Johns", "2006-10-29T02:30:00Z", "2006-10-28T02:30:00Z", "1d"),
        ("America/St_Johns", "2006-10-30T03:30:00Z", "2006-10-29T02:30:00Z", "1d1h"),
    ] {
        let day = day_before(zone, end);
        assert_eq!(day, range(start, end), "{zone} {end}");
        assert_eq!(length(day).to_string(), hours, "{zone} {end}");
    }
}

#[test]
fn so_many_days_are_today_and_those_before_or_those_that_are_over() {
    let now = at("2026-03-30T08:00:00Z");
    let seven = days(7, "Europe/Berlin");
    assert_eq!(seven.before(now), Ok(range("2026-03-23T23:00:00Z", "2026-03-30T08:00:00Z")));
    assert_eq!(seven.whole_before(now), Ok(range("2026-03-22T23:00:00Z", "2026-03-29T22:00:00Z")));
    assert_eq!(days(1, "Europe/Berlin").before(now), Ok(range("2026-03-29T22:00:00Z", "2026-03-30T08:00:00Z")));

    // An end is outside: at midnight the day before it is the current one, and is over.
    let midnight = at("2026-03-29T22:00:00Z");
    let day = range("2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z");
    assert_eq!(days(1, "Europe/Berlin").before(midnight), Ok(day));
    assert_eq!(days(1, "Europe/Berlin").whole_before(midnight), Ok(day));
    let later = midnight.saturating_add(Span::from_micros(1));
    assert_eq!(days(1, "Europe/Berlin").before(later), Ok(TimeRange::new(midnight, later)));
    assert_eq!(days(1, "Europe/Berlin").whole_before(later), Ok(day));
}

#[test]
fn weeks_begin_on_monday_and_months_on_the_first() {
    let week = |count| units(count, CalendarUnit::Week, "Europe/Berlin");
    let month = |count| units(count, CalendarUnit::Month, "Europe/Berlin");
    // A Sunday evening in Berlin; the week has an hour less.
    let sunday = at("2026-03-29T20:00:00Z");
    assert_eq!(week(1).before(sunday), Ok(range("2026-03-22T23:00:00Z", "2026-03-29T20:00:00Z")));
    assert_eq!(week(2).whole_before(sunday), Ok(range("2026-03-08T23:00:00Z", "2026-03-22T23:00:00Z")));
    let over = week(1).whole_before(at("2026-03-29T22:00:00Z")).unwrap();
    assert_eq!(
        (over, length(over).to_string().as_str()),
        (range("2026-03-22T23:00:00Z", "2026-03-29T22:00:00Z"), "6d23h")
    );

    // The last day of the longest month, and the shortest one, in a year with a leap day and in one without.
    assert_eq!(month(1).before(at("2026-03-31T21:59:59Z")).unwrap().start, at("2026-02-28T23:00:00Z"));
    assert_eq!(
        month(1).whole_before(at("2026-03-31T21:59:59Z")),
        Ok(range("2026-01-31T23:00:00Z", "2026-02-28T23:00:00Z"))
    );
    assert_eq!(
        month(1).whole_before(at("2028-03-31T12:00:00Z")),
        Ok(range("2028-01-31T23:00:00Z", "2028-02-29T23:00:00Z"))
    );
    assert_eq!(
        month(12).whole_before(at("2026-01-15T12:00:00Z")),
        Ok(range("2024-12-31T23:00:00Z", "2025-12-31T23:00:00Z"))
    );
    assert_eq!(month(14).before(at("2026-01-31T22:00:00Z")).unwrap().start, at("2024-11-30T23:00:00Z"));
}

/// Its clock was set back from a minute after midnight: an hour later the date was that of yesterday still.
#[test]
fn a_day_that_has_begun_does_not_end_when_its_date_does() {
    let evening_again = at("2006-10-29T03:00:00Z");
    let today = days(1, "America/St_Johns");
    assert_eq!(today.before(evening_again), Ok(range("2006-10-29T02:30:00Z", "2006-10-29T03:00:00Z")));
    assert_eq!(today.whole_before(evening_again), Ok(range("2006-10-28T02:30:00Z", "2006-10-29T02:30:00Z")));
}

#[test]
fn a_day_that_was_left_out_is_no_yesterday() {
    // Samoa went from the 29th to the 31st of December 2011.
    let friday = range("2011-12-29T10:00:00Z", "2011-12-30T10:00:00Z");
    assert_eq!(day_before("Pacific/Apia", "2011-12-30T12:00:00Z"), friday);
    let week = days(7, "Pacific/Apia").whole_before(at("2011-12-31T10:00:00Z")).unwrap();
    assert_eq!(length(week).to_string(), "6d");
}

#[test]
fn zones_are_found_by_their_name_in_any_case() {
    let berlin: Zone = "europe/BERLIN".parse().unwrap();
    assert_eq!((berlin.name(), berlin), ("Europe/Berlin", "Europe/Berlin".parse().unwrap()));
    assert_eq!("utc".parse(), Ok(Zone::utc()));
    assert_ne!(berlin, Zone::default());
    for name in ["", "Mars/Olympus", "+01:00", "../etc/passwd", "Europe", "Etc/Unknown", "Europe/Berlin\0"] {
        let error = name.parse::<Zone>().unwrap_err();
        assert!(error.contains(&format!("{name:?} is not a time zone")) && error.contains("Europe/Berlin"), "{error}");
    }
    assert!("x".repeat(10_000).parse::<Zone>().unwrap_err().len() < 200);
    for name in zone::names() {
        assert!(name.parse::<Zone>().unwrap().name().eq_ignore_ascii_case(name), "{name}");
    }
}

#[test]
fn the_ends_of_time_are_answered_or_refused_and_never_panic() {
    for zone in ["UTC", "Pacific/Kiritimati", "Pacific/Pago_Pago", "Europe/Berlin"] {
        for unit in [CalendarUnit::Day, CalendarUnit::Week, CalendarUnit::Month] {
            for count in [1, 2, u32::MAX] {
                let asked = units(count, unit, zone);
                for end in [Timestamp::MIN, Timestamp::from_micros(Timestamp::MIN.as_micros() + 1), Timestamp::MAX] {
                    let _ = (asked.before(end), asked.whole_before(end), asked.edges(end).take(9).count());
                }
                assert!(asked.least() > Span::ZERO);
                let edges = asked.edges(at("9999-12-01T00:00:00Z")).count();
                assert!(edges <= 32, "{asked:?}: {edges}");
            }
        }
    }
    let error = days(1, "UTC").before(Timestamp::MAX).unwrap_err();
    assert!(error.contains("`end` 9999-12-31T23:59:59.999999Z"), "{error}");
    assert_eq!(days(u32::MAX, "UTC").before(at("2026-01-01T12:00:00Z")).unwrap().start, Timestamp::MIN);
}

fn any_units() -> impl Strategy<Value = CalendarUnits> {
    let unit = proptest::sample::select(&[CalendarUnit::Day, CalendarUnit::Week, CalendarUnit::Month]);
    (1u32..40, unit, proptest::sample::select(zone::names())).prop_map(|(count, unit, zone)| units(count, unit, zone))
}

/// From 1900 to 2100, to the minute and beside it.
fn moments() -> impl Strategy<Value = Timestamp> {
    (-36_816_480i64..68_400_000, -1i64..2)
        .prop_map(|(minutes, beside)| Timestamp::from_micros(minutes * 60_000_000 + beside))
}

proptest! {
    #[test]
    fn consecutive_units_of_any_zone_tile_time(asked in any_units(), end in moments()) {
        let one = CalendarUnits { count: NonZeroU32::MIN, ..asked };
        let current = one.before(end).unwrap();
        prop_assert!(!current.is_empty() && current.end == end);
        let mut over = one.whole_before(end).unwrap();
        prop_assert!(over.end == current.start || over == current, "{:?} {:?}", over, current);
        let many = asked.whole_before(end).unwrap();
        prop_assert_eq!(many.end, over.end);
        let mut seen = 0;
        while over.start > many.start {
            prop_assert!(!over.is_empty());
            let before = one.whole_before(over.start).unwrap();
            prop_assert_eq!(before.end, over.start);
            // Whatever is inside finds itself in the same unit.
            let inside = Timestamp::from_micros((over.start.as_micros() + over.end.as_micros()) / 2);
            for instant in [over.start.saturating_add(Span::from_micros(1)), inside, over.end] {
                prop_assert_eq!(one.before(instant).unwrap().start, over.start);
            }
            over = before;
            seen += 1;
        }
        prop_assert_eq!(over.start, many.start);
        // A zone has left out a day at most once or twice.
        let count = asked.count.get();
        prop_assert!((count.saturating_sub(3)..=count).contains(&(seen + 1)), "{} of {}", seen + 1, count);
    }

    #[test]
    fn a_unit_begins_where_its_date_does(asked in any_units(), end in moments()) {
        let start = asked.before(end).unwrap().start;
        let date = |micros: i64| asked.zone.date(jiff::Timestamp::from_microsecond(micros).unwrap());
        let first = date(start.as_micros());
        for before in [1, HOUR, 12 * HOUR] {
            prop_assert!(date(start.as_micros() - before) < first);
        }
        match asked.unit {
            CalendarUnit::Day => {}
            CalendarUnit::Week => prop_assert_eq!(first.weekday(), jiff::civil::Weekday::Monday),
            CalendarUnit::Month => prop_assert_eq!(first.day(), 1),
        }
        let last = date(end.as_micros() - 1);
        let whole = match asked.unit {
            CalendarUnit::Day => first.duration_until(last).as_hours() / 24 + 1,
            CalendarUnit::Week => first.duration_until(last).as_hours() / (7 * 24) + 1,
            CalendarUnit::Month => i64::from((last.year() - first.year()) * 12 + i16::from(last.month() - first.month())) + 1,
        };
        prop_assert_eq!(whole, i64::from(asked.count.get()));
    }

    #[test]
    fn the_edges_of_a_stretch_cut_it_into_its_units(asked in any_units(), end in moments()) {
        let one = CalendarUnits { count: NonZeroU32::MIN, ..asked };
        let whole = asked.whole_before(end).unwrap();
        let mut at = whole.end;
        let edges: Vec<Timestamp> = one.edges(whole.start).take_while(|at| *at <= whole.end).collect();
        for edge in edges.iter().rev().skip(1).chain([&whole.start]).filter(|edge| **edge < whole.end) {
            let unit = one.whole_before(at).unwrap();
            prop_assert!(unit.start == *edge || at == *edge);
            at = *edge;
        }
        let spans: Vec<Timestamp> = asked.edges(whole.start).take(1).collect();
        prop_assert_eq!(spans, [whole.end]);
    }

    #[test]
    fn the_least_length_is_no_more_than_the_real_one_but_for_the_clock(asked in any_units(), end in moments()) {
        let real = length(asked.whole_before(end).unwrap());
        let changes = Span::from_seconds(49 * 3_600);
        prop_assert!(asked.least().as_micros() <= real.as_micros() + changes.as_micros());
    }
}
