//! Calendar units as a person writes them.

use std::num::NonZeroU32;
use std::str::FromStr;

use serde_json::json;

use super::call::Json;
use crate::time::{CalendarUnit, Span, Zone};

/// So many units: `7d`, `4 weeks`, `3mo`; `month` is one. A single `m` stays a minute, and is none of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Units {
    count: NonZeroU32,
    unit: CalendarUnit,
}

impl Units {
    /// The fields of the message that says so.
    pub(super) fn request(self, zone: Zone) -> Json {
        let count = self.count.get();
        match self.unit {
            CalendarUnit::Day => json!({ "days": count, "zone": zone.name() }),
            CalendarUnit::Week => json!({ "weeks": count, "zone": zone.name() }),
            CalendarUnit::Month => json!({ "months": count, "zone": zone.name() }),
        }
    }
}

impl FromStr for Units {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bad =
            || format!("`{text}` is no number of calendar units; write such as `7d`, `4w`, `3mo`, `day`, `month`");
        let text = text.trim();
        let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
        let unit = match unit.trim_start() {
            "d" | "day" | "days" => CalendarUnit::Day,
            "w" | "week" | "weeks" => CalendarUnit::Week,
            "mo" | "month" | "months" => CalendarUnit::Month,
            _ => return Err(bad()),
        };
        let count = if number.is_empty() { NonZeroU32::MIN } else { number.parse().map_err(|_| bad())? };
        Ok(Self { count, unit })
    }
}

/// How long the steps of a series are: `1h` and `1d` are 60 minutes and 24 hours, `day` is one of the calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    Span(Span),
    Calendar(Units),
}

impl FromStr for Step {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(span) = text.parse() {
            return Ok(Self::Span(span));
        }
        text.parse().map(Self::Calendar).map_err(|_| {
            format!(
                "`{text}` is no step; write a length of time such as `1h`, or `day`, `week` or `month` of the calendar"
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn units(count: u32, unit: CalendarUnit) -> Units {
        Units { count: count.try_into().unwrap(), unit }
    }

    #[test]
    fn units_are_read_as_they_are_written() {
        for (text, expected) in [
            ("7d", units(7, CalendarUnit::Day)),
            ("day", units(1, CalendarUnit::Day)),
            ("4 weeks", units(4, CalendarUnit::Week)),
            ("2w", units(2, CalendarUnit::Week)),
            ("12mo", units(12, CalendarUnit::Month)),
            ("1month", units(1, CalendarUnit::Month)),
        ] {
            assert_eq!(text.parse(), Ok(expected), "{text}");
        }
        for text in ["", "7", "1m", "0d", "1h", "-1d", "1.5d", "1d12h", "4294967296d", "today"] {
            assert!(text.parse::<Units>().unwrap_err().contains("`7d`, `4w`, `3mo`"), "{text}");
        }
    }

    #[test]
    fn a_step_is_a_length_of_time_where_it_can_be() {
        assert_eq!("1d".parse(), Ok(Step::Span(Span::from_seconds(86_400))));
        assert_eq!("day".parse(), Ok(Step::Calendar(units(1, CalendarUnit::Day))));
        assert_eq!("3mo".parse(), Ok(Step::Calendar(units(3, CalendarUnit::Month))));
        assert!("fortnight".parse::<Step>().unwrap_err().contains("`day`, `week` or `month`"));
    }

    #[test]
    fn a_request_names_the_zone() {
        let zone = "europe/berlin".parse().unwrap();
        assert_eq!(units(4, CalendarUnit::Week).request(zone), json!({"weeks": 4, "zone": "Europe/Berlin"}));
    }
}
