//! Days, weeks and months of zones through the reader, on days that are known.

use super::*;
use crate::ErrorKind;
use crate::query::{Ask, Every, Limits, Presence};
use crate::store::Consistency::Eventual;
use crate::time::{CalendarUnit, CalendarUnits};

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn units(count: u32, unit: CalendarUnit, zone: &str) -> CalendarUnits {
    CalendarUnits { count: count.try_into().unwrap(), unit, zone: zone.parse().unwrap() }
}

fn days(count: u32, zone: &str) -> CalendarUnits {
    units(count, CalendarUnit::Day, zone)
}

fn last(units: CalendarUnits) -> Ask {
    Ask::Calendar { units, whole: false, end: None }
}

fn whole(units: CalendarUnits) -> Ask {
    Ask::Calendar { units, whole: true, end: None }
}

/// One event at the beginning of every hour of the 30 days before `now`, and at `now`.
fn hourly(now: Timestamp) -> Vec<Happening> {
    let event = |ago: u64| Happening {
        id: "a".into(),
        at: now.saturating_sub(Span::from_seconds(ago * 3_600)),
        partition: 0,
        what: '\u{1}',
    };
    (0..30 * 24).map(event).collect()
}

async fn hours(now: &str) -> Reader<Test<MonthOfHours, Count>> {
    reader(&hourly(at(now)), at(now)).await
}

async fn count(reader: &Reader<Test<MonthOfHours, Count>>, ask: Ask) -> (u64, String, bool, bool) {
    let answer = reader.ask(&Id::new("a"), ask, Eventual).await.unwrap();
    let interval = answer.interval;
    let sides = format!("{}/{}", interval.start.unwrap(), interval.end.unwrap());
    (answer.value, sides, interval.start_exact, interval.end_exact)
}

#[tokio::test]
async fn days_are_cut_at_the_midnights_of_their_zone() {
    let reader = hours("2026-03-30T08:00:00Z").await;
    let got = count(&reader, whole(days(1, "Europe/Berlin"))).await;
    assert_eq!(got, (23, "2026-03-28T23:00:00Z/2026-03-29T22:00:00Z".into(), true, true));
    // Up to now, this instant included: that is the slot which began now.
    let got = count(&reader, last(days(1, "Europe/Berlin"))).await;
    assert_eq!(got, (11, "2026-03-29T22:00:00Z/2026-03-30T09:00:00Z".into(), true, false));
    let got = count(&reader, last(days(2, "Europe/Berlin"))).await;
    assert_eq!((got.0, got.2), (34, true));
    let autumn = hours("2026-11-02T12:00:00Z").await;
    let got = count(&autumn, whole(days(1, "America/New_York"))).await;
    assert_eq!(got, (25, "2026-11-01T04:00:00Z/2026-11-02T05:00:00Z".into(), true, true));
    let end = Some(at("2026-10-25T23:00:00Z"));
    let units = days(1, "Europe/Berlin");
    for whole in [false, true] {
        assert_eq!(count(&autumn, Ask::Calendar { units, whole, end }).await.0, 25, "the day that ends there");
    }
}

#[tokio::test]
async fn at_midnight_today_has_begun() {
    let reader = hours("2026-03-29T22:00:00Z").await;
    let got = count(&reader, last(days(1, "Europe/Berlin"))).await;
    assert_eq!((got.0, got.1.as_str()), (1, "2026-03-29T22:00:00Z/2026-03-29T23:00:00Z"));
    assert_eq!(count(&reader, whole(days(1, "Europe/Berlin"))).await.0, 23);
}

#[tokio::test]
async fn an_edge_within_a_slot_is_moved_outwards_and_said() {
    let reader = hours("2026-05-16T12:00:00Z").await;
    for (zone, sides) in [
        ("Asia/Kathmandu", "2026-05-14T18:00:00Z/2026-05-15T19:00:00Z"),
        ("Australia/Lord_Howe", "2026-05-14T13:00:00Z/2026-05-15T14:00:00Z"),
    ] {
        assert_eq!(count(&reader, whole(days(1, zone))).await, (25, sides.into(), false, false), "{zone}");
    }
    let now = at("2026-05-16T12:00:00Z");
    let quarters = super::reader::<Test<MonthOfQuarters, Count>>(&hourly(now), now).await;
    let answer = quarters.ask(&Id::new("a"), whole(days(1, "Asia/Kathmandu")), Eventual).await.unwrap();
    assert_eq!((answer.value, answer.interval.start_exact, answer.interval.end_exact), (24, true, true));
}

#[tokio::test]
async fn a_series_has_a_point_for_each_unit_and_the_clock_decides_how_long_it_is() {
    let reader = hours("2026-03-31T21:30:00Z").await;
    let values = async |ask, every| {
        let series = reader.series_of(&Id::new("a"), ask, Every::Calendar(every), Eventual).await.unwrap();
        let starts: Vec<String> = series.points.iter().map(|point| point.range.start.to_string()).collect();
        (series.points.iter().map(|point| point.value).collect::<Vec<u64>>(), starts)
    };
    let day = days(1, "Europe/Berlin");
    let (counts, starts) = values(last(days(4, "Europe/Berlin")), day).await;
    assert_eq!(counts, [24, 23, 24, 24]);
    assert_eq!(starts[1..3], ["2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z"]);
    // This month, by the day and by the week; retention has cut its first day.
    let month = last(units(1, CalendarUnit::Month, "Europe/Berlin"));
    let (counts, _) = values(month, day).await;
    assert_eq!((counts.len(), counts[0], counts[28], counts.iter().sum::<u64>()), (31, 1, 23, 720));
    let (counts, starts) = values(month, units(1, CalendarUnit::Week, "Europe/Berlin")).await;
    assert_eq!(
        starts[1..],
        [
            "2026-03-01T23:00:00Z",
            "2026-03-08T23:00:00Z",
            "2026-03-15T23:00:00Z",
            "2026-03-22T23:00:00Z",
            "2026-03-29T22:00:00Z"
        ]
        .map(String::from)
    );
    assert_eq!(counts[4], 167, "{counts:?}");
    // Two at a time, counted from the first.
    let (counts, _) = values(last(days(5, "Europe/Berlin")), days(2, "Europe/Berlin")).await;
    assert_eq!(counts, [48, 47, 24]);
}

#[tokio::test]
async fn a_series_of_days_that_begin_within_a_slot_is_refused_by_name() {
    let reader = hours("2026-05-16T12:00:00Z").await;
    let every = Every::Calendar(days(1, "Asia/Kathmandu"));
    let ask = last(days(3, "Asia/Kathmandu"));
    let error = reader.series_of(&Id::new("a"), ask, every, Eventual).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    for words in ["`calendar_step`", "a day of Asia/Kathmandu", "2026-05-13T18:15:00Z", "a slot of 1h"] {
        assert!(error.to_string().contains(words), "{error}");
    }
}

#[tokio::test]
async fn a_length_is_refused_on_every_day_or_on_none() {
    for now in ["2026-02-28T12:00:00Z", "2026-03-01T00:00:00Z", "2026-03-31T21:30:00Z"] {
        let reader = hours(now).await;
        for zone in ["UTC", "Europe/Berlin"] {
            for fits in [days(30, zone), units(4, CalendarUnit::Week, zone), units(1, CalendarUnit::Month, zone)] {
                for ask in [last(fits), whole(fits)] {
                    let answer = reader.ask(&Id::new("a"), ask, Eventual).await.unwrap();
                    // Of the days before the last month nothing may be left, and that is said too.
                    let gone = answer.presence == Presence::OutOfRetention;
                    assert!(answer.is_present() || gone && fits.unit == CalendarUnit::Month, "{fits} {now}");
                }
            }
            for (exceeds, least) in [(days(31, zone), "31d"), (units(2, CalendarUnit::Month, zone), "56d")] {
                let error = reader.ask(&Id::new("a"), last(exceeds), Eventual).await.unwrap_err();
                assert!(error.to_string().contains(&format!("`calendar` asks for {least}, but only 30d are kept")));
            }
        }
    }
    // On the last of a long month its first day is not kept any more.
    let got = count(&hours("2026-03-31T21:30:00Z").await, last(units(1, CalendarUnit::Month, "UTC"))).await;
    assert_eq!((got.1.as_str(), got.2), ("2026-03-01T21:00:00Z/2026-03-31T22:00:00Z", false));
}

#[tokio::test]
async fn points_of_a_calendar_are_limited_like_others() {
    let reader = hours("2026-03-31T21:30:00Z").await;
    let limited = |items| reader.clone().limits(Limits { items, ..Limits::default() });
    let series = async |items| {
        let every = Every::Calendar(days(1, "Europe/Berlin"));
        limited(items).series_of(&Id::new("nobody"), last(days(7, "Europe/Berlin")), every, Eventual).await
    };
    assert_eq!(series(7).await.unwrap().points.len(), 7);
    assert_eq!(series(6).await.unwrap_err().kind(), ErrorKind::InvalidArgument);
}

#[tokio::test]
async fn what_keeps_all_time_has_no_calendar() {
    let reader = super::reader::<Test<AllTime, Count>>(&[], at("2026-03-01T12:00:00Z")).await;
    let error = reader.ask(&Id::new("a"), last(days(1, "UTC")), Eventual).await.unwrap_err();
    assert!(error.to_string().contains("use `Get`"), "{error}");
}
