//! Texts that stand in requests, payloads, headers and URLs: what is read and written again is read as the same.

use std::fmt::{Debug, Display};
use std::str::FromStr;

use super::bounded;
use crate::aggregate::Decimal;
use crate::event::{BesideField, FromBytes, Place};
use crate::location::{ByteSize, Location};
use crate::source::{Batch, Beside};
use crate::time::{Span, Timestamp, Zone};

/// Errors repeat a text, with escapes.
const PER_BYTE: usize = 32;

fn text<T: FromStr<Err: Debug> + Display + Debug + PartialEq>(bytes: &[u8]) {
    if let Some(read) = read::<T>(bytes) {
        assert_eq!(read.to_string().parse::<T>().as_ref().ok(), Some(&read), "{read:?} is written as something else");
    }
}

fn read<T: FromStr>(bytes: &[u8]) -> Option<T> {
    let text = std::str::from_utf8(bytes).ok()?;
    bounded(bytes, PER_BYTE, || text.parse().ok())
}

pub(super) fn times(bytes: &[u8]) {
    text::<Timestamp>(bytes);
    text::<Span>(bytes);
    // Whoever asks for a zone for the first time has it read from the database.
    if let Some(zone) = std::str::from_utf8(bytes).ok().and_then(|text| text.parse::<Zone>().ok()) {
        assert_eq!(zone.name().parse(), Ok(zone));
    }
}

pub(super) fn some_times() -> Vec<Vec<u8>> {
    let texts = [
        "2026-05-16T12:00:00.25Z",
        "9999-12-31T23:59:59.999999Z",
        "0001-01-01T00:00:00+02:00",
        "1w2d3h4m5s6ms7us",
        "europe/Berlin",
    ];
    texts.map(|text| text.as_bytes().to_vec()).into()
}

pub(super) fn decimals(bytes: &[u8]) {
    text::<Decimal<0>>(bytes);
    text::<Decimal<2>>(bytes);
    text::<Decimal<18>>(bytes);
    // A number in JSON has gone through a float.
    let read = || serde_json::from_slice::<Decimal<2>>(bytes).ok();
    if let Some(read) = bounded(bytes, PER_BYTE, read) {
        assert_eq!(serde_json::from_str(&format!("{:?}", read.to_string())).ok(), Some(read));
    }
}

pub(super) fn some_decimals() -> Vec<Vec<u8>> {
    let texts = [
        "-12.34",
        "+007.100",
        "92233720368547758.07",
        "9.223372036854775807",
        "1.5e2",
        "\"12.30\"",
        "18446744073709551615",
    ];
    texts.map(|text| text.as_bytes().to_vec()).into()
}

pub(super) fn locations(bytes: &[u8]) {
    if let Some(location) = read::<Location>(bytes) {
        // What is shown is without secrets, so it may be another one; it is a URL all the same.
        assert!(location.to_string().parse::<Location>().is_ok(), "{location} is no URL");
    }
    if let Some(ByteSize(size)) = read(bytes) {
        assert_eq!(size.to_string().parse(), Ok(ByteSize(size)));
    }
}

pub(super) fn some_locations() -> Vec<Vec<u8>> {
    let texts = [
        "kafka://b:9092/t?group=g&librdkafka.sasl.password=hunter2&start=latest",
        "mongodb://user:hunter2@host/db",
        "file://a%20b%3F/c?id=x",
        "64KiB",
    ];
    texts.map(|text| text.as_bytes().to_vec()).into()
}

/// What stands in a header, as each type that is read from one.
pub(super) fn headers(bytes: &[u8]) {
    let name = b"n";
    let buffer = [name, bytes].concat();
    let headers = vec![(0..1, Some(1..buffer.len()))];
    let batch = Batch { buffer, beside: vec![Beside { headers, ..Beside::default() }], ..Batch::default() };
    fn header<T: FromBytes + Debug>(batch: &Batch, bytes: &[u8]) -> Option<T> {
        let field = BesideField { name: "field", place: Place::Header("n"), required: true };
        bounded(bytes, PER_BYTE, || field.read(&batch.envelope(0))).ok().flatten()
    }
    fn number<T: FromBytes + Debug + Display>(batch: &Batch, bytes: &[u8]) {
        if let Some(read) = header::<T>(batch, bytes) {
            let again = T::from_bytes(read.to_string().as_bytes());
            assert_eq!(again.map(|again| again.to_string()), Ok(read.to_string()));
        }
    }
    assert_eq!(header::<Vec<u8>>(&batch, bytes).as_deref(), Some(bytes));
    number::<String>(&batch, bytes);
    number::<bool>(&batch, bytes);
    number::<u8>(&batch, bytes);
    number::<u64>(&batch, bytes);
    number::<i64>(&batch, bytes);
    number::<f32>(&batch, bytes);
    number::<f64>(&batch, bytes);
}

pub(super) fn some_headers() -> Vec<Vec<u8>> {
    ["true", "-7", "18446744073709551615", "1e-7", "h\u{e9}"].map(|text| text.as_bytes().to_vec()).into()
}
