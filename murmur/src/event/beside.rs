//! Fields of an event that its payload does not have.

use std::fmt;

use crate::source::Envelope;
use crate::time::Timestamp;

/// A field whose value stands beside the payload at the source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BesideField {
    /// The field's name.
    pub name: &'static str,
    /// Where its value stands.
    pub place: Place,
    /// Whether an event without it cannot be counted; an `Option` can be absent.
    pub required: bool,
}

/// A place beside a payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// The header of this name; of several the last one, as Kafka's clients choose.
    Header(&'static str),
    /// The key of the record.
    RecordKey,
    /// The time of the record: when the broker took it in or its producer made it, as the topic is set.
    BrokerTime,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Header(name) => write!(f, "the header `{name}`"),
            Self::RecordKey => f.write_str("the key of the record"),
            Self::BrokerTime => f.write_str("the time of the record"),
        }
    }
}

impl BesideField {
    /// Its value, read from bytes; `None` when there is none. The error says what is wrong with the bytes.
    pub fn read<T: FromBytes>(&self, envelope: &Envelope<'_>) -> Result<Option<T>, String> {
        let bytes = match self.place {
            Place::Header(name) => envelope.header(name).flatten(),
            Place::RecordKey => envelope.key(),
            Place::BrokerTime => None,
        };
        bytes.map(T::from_bytes).transpose().map_err(|why| format!("{} is {why}", self.place))
    }

    /// Its value, which is a time; `None` when there is none.
    pub fn time<T: FromTimestamp>(&self, envelope: &Envelope<'_>) -> Option<T> {
        envelope.stamped().map(T::from_timestamp)
    }

    /// Why an event without it cannot be counted.
    pub fn missing(&self, envelope: &Envelope<'_>) -> String {
        let Self { name, place, .. } = self;
        match place {
            Place::Header(header) if envelope.header(header).is_some() => {
                format!("{place}, which its field `{name}` is read from, has no value")
            }
            _ => format!("{place}, which its field `{name}` is read from, is not there"),
        }
    }
}

/// A type that is read from a header, or from the key of a record.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be read from what stands beside a payload",
    label = "no type for a header or a key",
    note = "headers are `String`, `Vec<u8>`, integers, floats and `bool`, or `Option` of these"
)]
pub trait FromBytes: Sized {
    /// Read it. The error goes on after "the header is".
    fn from_bytes(bytes: &[u8]) -> Result<Self, String>;
}

impl FromBytes for String {
    fn from_bytes(bytes: &[u8]) -> Result<Self, String> {
        std::str::from_utf8(bytes).map(str::to_owned).map_err(|error| format!("not UTF-8: {error}"))
    }
}

impl FromBytes for Vec<u8> {
    fn from_bytes(bytes: &[u8]) -> Result<Self, String> {
        Ok(bytes.to_vec())
    }
}

impl FromBytes for bytes::Bytes {
    fn from_bytes(bytes: &[u8]) -> Result<Self, String> {
        Ok(Self::copy_from_slice(bytes))
    }
}

macro_rules! from_text {
    ($($ty:ty),*) => {$(impl FromBytes for $ty {
        fn from_bytes(bytes: &[u8]) -> Result<Self, String> {
            let text = std::str::from_utf8(bytes).map_err(|error| format!("not UTF-8: {error}"))?;
            text.parse().map_err(|error| format!("`{text}`, which is no `{}`: {error}", stringify!($ty)))
        }
    })*};
}

from_text!(bool, u8, u16, u32, u64, i8, i16, i32, i64, f32, f64);

/// A type that the time of a record can be.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the time of a record",
    label = "not a `Timestamp`",
    note = "the time of a record is `murmur::time::Timestamp` or `jiff::Timestamp`, or `Option` of one"
)]
pub trait FromTimestamp {
    /// The same time.
    fn from_timestamp(at: Timestamp) -> Self;
}

impl FromTimestamp for Timestamp {
    fn from_timestamp(at: Timestamp) -> Self {
        at
    }
}

impl FromTimestamp for jiff::Timestamp {
    fn from_timestamp(at: Timestamp) -> Self {
        let fits = if at.as_micros() < 0 { Self::MIN } else { Self::MAX };
        Self::from_microsecond(at.as_micros()).unwrap_or(fits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::{Batch, Beside};

    /// A payload with the key `k`, the headers `n`: 1, `n`: 2, `null` without a value and `latin` (not UTF-8).
    fn batch() -> Batch {
        let buffer = b"kn12null\xe9latin".to_vec();
        let headers = vec![(1..2, Some(2..3)), (1..2, Some(3..4)), (4..8, None), (9..14, Some(8..9))];
        let beside = vec![Beside { key: Some(0..1), headers, stamped: Some(Timestamp::from_millis(7)) }];
        Batch { buffer, beside, ..Batch::default() }
    }

    fn field(place: Place) -> BesideField {
        BesideField { name: "field", place, required: true }
    }

    #[test]
    fn values_are_read_from_their_places_and_of_several_headers_the_last() {
        let batch = batch();
        let envelope = &batch.envelope(0);
        let n = field(Place::Header("n"));
        assert_eq!(n.read::<u16>(envelope), Ok(Some(2)));
        assert_eq!(n.read::<f64>(envelope), Ok(Some(2.0)));
        assert_eq!(n.read::<String>(envelope), Ok(Some("2".to_owned())));
        assert_eq!(n.read::<Vec<u8>>(envelope), Ok(Some(b"2".to_vec())));
        assert_eq!(field(Place::RecordKey).read::<String>(envelope), Ok(Some("k".to_owned())));
        assert_eq!(field(Place::BrokerTime).time(envelope), Some(Timestamp::from_millis(7)));
        assert_eq!(field(Place::BrokerTime).time(envelope), Some(jiff::Timestamp::from_millisecond(7).unwrap()));
    }

    #[test]
    fn what_is_absent_or_broken_has_its_reason() {
        let batch = batch();
        let (here, nothing) = (&batch.envelope(0), &batch.envelope(1));
        let missing = |place, envelope| {
            assert_eq!(field(place).read::<String>(envelope), Ok(None));
            field(place).missing(envelope)
        };
        let reason = "the header `null`, which its field `field` is read from, has no value";
        assert_eq!(missing(Place::Header("null"), here), reason);
        let reason = "the header `N`, which its field `field` is read from, is not there";
        assert_eq!(missing(Place::Header("N"), here), reason);
        let reason = "the key of the record, which its field `field` is read from, is not there";
        assert_eq!(missing(Place::RecordKey, nothing), reason);
        assert_eq!(field(Place::BrokerTime).time::<Timestamp>(nothing), None);
        let reason = "the time of the record, which its field `field` is read from, is not there";
        assert_eq!(field(Place::BrokerTime).missing(nothing), reason);

        let broken = field(Place::Header("n")).read::<bool>(here).unwrap_err();
        assert!(broken.starts_with("the header `n` is `2`, which is no `bool`: "), "{broken}");
        let broken = field(Place::Header("latin")).read::<String>(here).unwrap_err();
        assert!(broken.starts_with("the header `latin` is not UTF-8: "), "{broken}");
    }
}
