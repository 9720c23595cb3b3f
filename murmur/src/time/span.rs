use std::fmt;
use std::str::FromStr;

/// A length of time, never negative, in microseconds.
///
/// Written as a number and a unit, several in a row: `30s`, `90d`, `1h30m`. Units: `us ms s m h d w`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Span(u64);

impl Span {
    /// No time at all.
    pub const ZERO: Self = Self(0);
    /// The longest span: about 292,000 years.
    pub const MAX: Self = Self(i64::MAX as u64);

    /// From microseconds, brought into the range of the type.
    pub const fn from_micros(micros: u64) -> Self {
        if micros > Self::MAX.0 { Self::MAX } else { Self(micros) }
    }

    /// From milliseconds.
    pub const fn from_millis(millis: u64) -> Self {
        Self::from_micros(millis.saturating_mul(1_000))
    }

    /// From seconds.
    pub const fn from_seconds(seconds: u64) -> Self {
        Self::from_micros(seconds.saturating_mul(1_000_000))
    }

    /// Microseconds.
    pub const fn as_micros(self) -> i64 {
        self.0 as i64
    }

    /// Whole seconds, floored.
    pub const fn as_seconds(self) -> u64 {
        self.0 / 1_000_000
    }

    /// Seconds with their fraction.
    pub fn as_seconds_f64(self) -> f64 {
        self.0 as f64 / 1e6
    }

    /// Whether there is no time in it.
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// As the standard library's duration.
    pub const fn to_std(self) -> std::time::Duration {
        std::time::Duration::from_micros(self.0)
    }
}

impl From<std::time::Duration> for Span {
    fn from(duration: std::time::Duration) -> Self {
        Self::from_micros(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX))
    }
}

/// Units with their length in microseconds, longest first, as [`Span`] prints them.
const UNITS: [(&str, u64); 6] =
    [("d", 86_400_000_000), ("h", 3_600_000_000), ("m", 60_000_000), ("s", 1_000_000), ("ms", 1_000), ("us", 1)];

impl FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bad = || format!("`{text}` is not a length of time; write a number and a unit such as `30s`, `15m`, `90d`");
        let mut rest = text.trim();
        if rest.is_empty() {
            return Err(bad());
        }
        let mut total: u64 = 0;
        while !rest.is_empty() {
            let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(bad)?;
            let number: u64 = rest[..digits].parse().map_err(|_| bad())?;
            rest = &rest[digits..];
            let letters = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len());
            let micros = match &rest[..letters] {
                "w" => 604_800_000_000,
                unit => UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(bad)?.1,
            };
            total = number.checked_mul(micros).and_then(|n| total.checked_add(n)).ok_or_else(bad)?;
            rest = &rest[letters..];
        }
        if total > Self::MAX.0 { Err(bad()) } else { Ok(Self(total)) }
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0 {
            return f.write_str("0s");
        }
        let mut rest = self.0;
        for (name, micros) in UNITS {
            if rest >= micros {
                write!(f, "{}{name}", rest / micros)?;
                rest %= micros;
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
