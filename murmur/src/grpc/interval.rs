//! From the fields of requests that say which time is asked about to an [`Ask`], and back.

use std::num::NonZeroU32;

use tonic::Status;

use super::refusal::Reason;
use crate::query::{Ask, Every};
use crate::time::{CalendarUnit, CalendarUnits, Span, TimeRange, Timestamp, Zone};
use crate::wire::types::{Calendar, CalendarStep};

/// A field that a request must have.
pub(super) fn set<T>(field: Option<T>, name: &'static str) -> Result<T, Status> {
    field.ok_or_else(|| Reason::FIELD_MISSING.of_field(name, format!("`{name}` is not set")))
}

/// `[start, end)`.
pub(super) fn range(start: Option<Timestamp>, end: Option<Timestamp>) -> Result<Ask, Status> {
    Ok(Ask::Range(TimeRange::new(set(start, "start")?, set(end, "end")?)))
}

/// The last stretch of time, of a fixed length or by the calendar.
pub(super) fn last(window: Option<Span>, calendar: Option<Calendar>, end: Option<Timestamp>) -> Result<Ask, Status> {
    match (window, calendar) {
        (Some(span), None) => Ok(Ask::Window { span, end }),
        (None, Some(calendar)) => by_calendar(&calendar, end),
        (Some(_), Some(_)) => Err(one_of("window", "calendar")),
        (None, None) => Err(Reason::FIELD_MISSING.of_field(
            "window",
            "neither `window` nor `calendar` is set; set one of them, such as \"calendar\": {\"days\": 7, \"zone\": \
             \"Europe/Berlin\"}",
        )),
    }
}

/// What the generic service is asked for.
pub(super) fn any(
    window: Option<Span>,
    calendar: Option<Calendar>,
    start: Option<Timestamp>,
    end: Option<Timestamp>,
) -> Result<Ask, Status> {
    match (&window, &calendar, start) {
        (None, None, None) if end.is_none() => Ok(Ask::Retention),
        (None, None, None) => {
            Err(Reason::FIELD_INVALID.of_field("end", "`end` needs `window`, `calendar` or `start` beside it"))
        }
        (None, None, Some(_)) => range(start, end),
        (Some(_), _, Some(_)) => Err(one_of("window", "start")),
        (None, Some(_), Some(_)) => Err(one_of("calendar", "start")),
        (_, _, None) => last(window, calendar, end),
    }
}

/// The interval of a series; it ends at `now` when nothing else is said.
pub(super) fn of_series(
    start: Option<Timestamp>,
    calendar: Option<&Calendar>,
    end: Option<Timestamp>,
    now: Timestamp,
) -> Result<Ask, Status> {
    match (start, calendar) {
        (Some(_), Some(_)) => Err(one_of("calendar", "start")),
        (None, None) => {
            Err(Reason::FIELD_MISSING.of_field("start", "neither `start` nor `calendar` is set; set one of them"))
        }
        (start, None) => range(start, end.or(Some(now))),
        (None, Some(calendar)) => by_calendar(calendar, end),
    }
}

/// The steps of a series.
pub(super) fn steps(
    step: Option<Span>,
    calendar_step: Option<CalendarStep>,
    calendar: Option<&Calendar>,
) -> Result<Every, Status> {
    match (step, calendar_step) {
        (Some(_), Some(_)) => Err(one_of("step", "calendar_step")),
        (Some(step), None) => Ok(Every::Span(step)),
        (None, Some(CalendarStep { days, weeks, months, zone })) => {
            let of_request = calendar.filter(|_| zone.is_empty()).map(|calendar| calendar.zone.as_str());
            units("calendar_step", [days, weeks, months], of_request.unwrap_or(&zone)).map(Every::Calendar)
        }
        (None, None) => match calendar {
            Some(calendar) => Ok(Every::Calendar(CalendarUnits { count: NonZeroU32::MIN, ..of_calendar(calendar)? })),
            None => Ok(Every::Slot),
        },
    }
}

/// The message of calendar units.
pub(super) fn calendar(units: CalendarUnits, whole: bool) -> Calendar {
    let [days, weeks, months] = counts(units);
    Calendar { days, weeks, months, zone: units.zone.name().to_owned(), whole }
}

/// The message of a step of calendar units.
pub(super) fn calendar_step(units: CalendarUnits) -> CalendarStep {
    let [days, weeks, months] = counts(units);
    CalendarStep { days, weeks, months, zone: units.zone.name().to_owned() }
}

/// The units, what their fields are called, and how many there are in the years 1 to 9999.
const UNITS: [(CalendarUnit, &str, u32); 3] = [
    (CalendarUnit::Day, "days", 3_652_059),
    (CalendarUnit::Week, "weeks", 521_722),
    (CalendarUnit::Month, "months", 119_988),
];

fn counts(units: CalendarUnits) -> [u32; 3] {
    UNITS.map(|(unit, ..)| if unit == units.unit { units.count.get() } else { 0 })
}

fn by_calendar(calendar: &Calendar, end: Option<Timestamp>) -> Result<Ask, Status> {
    Ok(Ask::Calendar { units: of_calendar(calendar)?, whole: calendar.whole, end })
}

fn of_calendar(Calendar { days, weeks, months, zone, .. }: &Calendar) -> Result<CalendarUnits, Status> {
    units("calendar", [*days, *weeks, *months], zone)
}

fn units(field: &'static str, counts: [u32; 3], zone: &str) -> Result<CalendarUnits, Status> {
    let mut given = UNITS.into_iter().zip(counts).filter_map(|(unit, count)| Some((unit, NonZeroU32::new(count)?)));
    let (Some(((unit, name, most), count)), None) = (given.next(), given.next()) else {
        return Err(Reason::FIELD_INVALID
            .of_field(field, format!("`{field}` needs exactly one of `days`, `weeks` and `months`, from 1 on")));
    };
    if count.get() > most {
        let path = format!("{field}.{name}");
        let text = format!("`{path}` is {count}, and all of the years 1 to 9999 have {most} {name}; ask for fewer");
        return Err(Reason::FIELD_INVALID.of_field(path, text));
    }
    let zone = if zone.is_empty() { Ok(Zone::utc()) } else { zone.parse() };
    let path = format!("{field}.zone");
    let zone = zone.map_err(|why: String| Reason::FIELD_INVALID.of_field(path, format!("`{field}.zone`: {why}")))?;
    Ok(CalendarUnits { count, unit, zone })
}

fn one_of(one: &'static str, other: &str) -> Status {
    Reason::FIELD_INVALID.of_field(one, format!("`{one}` and `{other}` cannot both be set; take one of them"))
}
