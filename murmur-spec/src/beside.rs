//! Fields of an event that its payload does not have: what stands beside it at the source.
//!
//! | key | fields |
//! |---|---|
//! | `header = "trace-id"` | `String`, `Vec<u8>`, numbers and `bool` |
//! | `record_key` | `String`, `Vec<u8>` |
//! | `broker_time` | `Timestamp` |
//!
//! An `Option` may stand around each: it is absent where an event without it could otherwise not be counted.

use crate::attr::{Entry, Slot, text};
use crate::codes;
use crate::ctxt::{At, Ctxt, Finding};
use crate::event::Field;
use crate::model::{Kind, Label};
use crate::types::{last_segment, show};

/// Where the value of a field stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Beside {
    /// `header = "trace-id"`
    Header(String),
    /// `record_key`
    RecordKey,
    /// `broker_time`
    BrokerTime,
}

impl Beside {
    /// The key that says so.
    pub const fn key(&self) -> &'static str {
        match self {
            Self::Header(_) => "header",
            Self::RecordKey => "record_key",
            Self::BrokerTime => "broker_time",
        }
    }

    fn takes(&self, field: &Field) -> bool {
        use Kind::{Bool, Bytes, F32, F64, I8, I16, I32, I64, String, Timestamp, U8, U16, U32, U64};
        let kind = &field.typed.kind;
        let single = matches!(field.typed.label, Label::Plain | Label::Optional) && !field.converted;
        single
            && match self {
                Self::Header(_) => {
                    matches!(kind, Bool | U8 | U16 | U32 | U64 | I8 | I16 | I32 | I64 | F32 | F64 | String | Bytes)
                }
                Self::RecordKey => matches!(kind, String | Bytes),
                Self::BrokerTime => *kind == Timestamp && is_timestamp(field),
            }
    }

    fn types(&self) -> &'static str {
        match self {
            Self::Header(_) => "a header is a `String`, `Vec<u8>`, a number or `bool`, or `Option` of one",
            Self::RecordKey => "the key of a record is a `String` or `Vec<u8>`, or `Option` of one",
            Self::BrokerTime => "the time of a record is a `Timestamp` or `Option<Timestamp>`",
        }
    }
}

/// Not a time of another name, which has no default that serde could put there.
fn is_timestamp(field: &Field) -> bool {
    let shown = show(&field.ty);
    let inner = shown.strip_prefix("Option<").and_then(|inner| inner.strip_suffix('>')).unwrap_or(&shown);
    syn::parse_str(inner).is_ok_and(|ty| last_segment(&ty).is_some_and(|segment| segment.ident == "Timestamp"))
}

/// Read one of the keys.
pub(crate) fn set(slot: &mut Slot<Beside>, entry: &Entry, ctxt: &Ctxt) {
    let beside = match entry.name().as_str() {
        "header" => entry.string("trace-id", ctxt).and_then(|name| {
            if name.is_empty() {
                let message = "a header has a name: `header = \"trace-id\"`";
                ctxt.push(Finding::new(codes::ATTRIBUTE_FORM, entry.at(), message));
                return None;
            }
            Some(Beside::Header(name))
        }),
        "record_key" => entry.word(ctxt).map(|()| Beside::RecordKey),
        _ => entry.word(ctxt).map(|()| Beside::BrokerTime),
    };
    match slot.get() {
        Some(first) if first.key() != entry.name() => {
            let message = format!("a field has one place: leave `{}` or `{}`", first.key(), entry.name());
            ctxt.say(codes::TWO_PLACES, &entry.key, message);
        }
        _ => slot.set(entry, beside, ctxt),
    }
}

/// Whether the fields can be what they say.
pub(crate) fn check(fields: &[Field], ctxt: &Ctxt) {
    let mut seen: Vec<(&Beside, &Field)> = Vec::new();
    for field in fields {
        let Some(beside) = field.beside.get() else { continue };
        let name = text(&field.ident);
        // Of the event's time that has been said already.
        let is_said = *beside == Beside::BrokerTime && field.time.is_given() && !is_time(field);
        if !is_said && !beside.takes(field) {
            let read_as = if field.converted { " and says `as`, which is of the payload" } else { "" };
            let message = format!("`{name}` is `{}`{read_as}; {}", show(&field.ty), beside.types());
            ctxt.say(codes::BESIDE_TYPE, &field.ty, message);
        }
        if let Some(at) = field.number.at() {
            let message = format!("`{name}` stands beside the message, and has no number in it; remove `number`");
            ctxt.push(Finding::new(codes::NUMBER, at, message));
        }
        if let Some((_, first)) = seen.iter().find(|(other, _)| *other == beside) {
            let (first, key) = (text(&first.ident), beside.key());
            let message = format!("`{first}` is that already; remove `{key}` from `{first}` or from `{name}`");
            let at = field.beside.at().unwrap_or(At::of(&field.ident));
            ctxt.push(Finding::new(codes::TWO_PLACES, at, message));
        }
        seen.push((beside, field));
    }
}

fn is_time(field: &Field) -> bool {
    field.typed.kind == Kind::Timestamp && field.typed.label == Label::Plain
}
