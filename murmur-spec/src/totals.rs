//! Aggregates said on the fields of an event: `#[murmur(distinct)] user_id` in a pipeline's struct.
//!
//! | key | fields | field of the reply |
//! |---|---|---|
//! | (always) | | `count` |
//! | `sum`, `average`, `moments`, `quantiles` | numbers | `dwell_ms_sum`, `dwell_ms_average` |
//! | `min`, `max`, `first`, `last` | numbers, `bool`, `String`, `Timestamp` | `dwell_ms_max` |
//! | `distinct`, `distinct_set`, `frequency`, `membership(10_000)` | numbers, `bool`, `String`, `Vec<u8>`, `Timestamp` | `user_id_distinct` |
//! | `set(100)` | integers, `String`, `Timestamp` | `country_set` |
//! | `top_k(10)` | `String` | `referrer_top_k` |
//!
//! An `Option` may stand around each: an absent value adds nothing.

use proc_macro2::Ident;

use crate::aggregate::{MOST_ITEMS, MOST_MEMBERS};
use crate::attr::{Entry, text};
use crate::codes;
use crate::ctxt::{Ctxt, Finding};
use crate::model::{Kind, Label, Monoid};
use crate::names;
use crate::types::Typed;

/// An aggregate over one field.
#[derive(Clone)]
pub struct Total {
    /// Its name in the reply.
    pub name: String,
    /// What it is.
    pub monoid: Monoid,
    /// The key that asked for it.
    pub key: Ident,
}

/// Which aggregate a key asks for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum What {
    Sum,
    Average,
    Moments,
    Quantiles,
    Min,
    Max,
    First,
    Last,
    Distinct,
    DistinctSet,
    Set(u32),
    TopK(u32),
    Membership(u32),
    Frequency,
}

/// Read one key.
pub(crate) fn what(entry: &Entry, ctxt: &Ctxt) -> Option<What> {
    let what = match entry.name().as_str() {
        "sum" => What::Sum,
        "average" => What::Average,
        "moments" => What::Moments,
        "quantiles" => What::Quantiles,
        "min" => What::Min,
        "max" => What::Max,
        "first" => What::First,
        "last" => What::Last,
        "distinct" => What::Distinct,
        "distinct_set" => What::DistinctSet,
        "frequency" => What::Frequency,
        "membership" => {
            let elements = entry.count(ctxt)?;
            if !(1..=MOST_MEMBERS).contains(&elements) {
                let message = format!("`membership` is for 1 to {MOST_MEMBERS} elements, not {elements}");
                ctxt.push(Finding::new(codes::AGGREGATE_OF, entry.at(), message));
                return None;
            }
            return Some(What::Membership(elements));
        }
        key @ ("top_k" | "set") => {
            let items = entry.count(ctxt)?;
            if !(1..=MOST_ITEMS).contains(&items) {
                let message = format!("`{key}` keeps 1 to {MOST_ITEMS} items, not {items}");
                ctxt.push(Finding::new(codes::AGGREGATE_OF, entry.at(), message));
                return None;
            }
            return Some(if key == "set" { What::Set(items) } else { What::TopK(items) });
        }
        _ => return None,
    };
    entry.word(ctxt).map(|()| what)
}

/// The aggregates of one field.
pub(crate) fn of_field(field: &Ident, typed: &Typed, wanted: Vec<(Entry, What)>, ctxt: &Ctxt) -> Vec<Total> {
    let mut totals: Vec<Total> = Vec::new();
    for (entry, what) in wanted {
        let (key, field) = (entry.name(), text(field));
        let name = names::field_aggregate(&field, &key);
        if totals.iter().any(|total| total.name == name) {
            ctxt.say(codes::DUPLICATE_KEY, &entry.key, format!("`{key}` is given twice; leave one"));
            continue;
        }
        let single = matches!(typed.label, Label::Plain | Label::Optional);
        match monoid(what, &typed.kind).filter(|_| single) {
            Some(monoid) => totals.push(Total { name, monoid, key: entry.key }),
            None => {
                let message = format!("`{key}` is of {}; `{field}` is not", takes(what));
                ctxt.say(codes::FIELD_AGGREGATE, &entry.key, message);
            }
        }
    }
    totals
}

fn takes(what: What) -> &'static str {
    match what {
        What::Sum | What::Average | What::Moments | What::Quantiles => "numbers",
        What::Min | What::Max | What::First | What::Last => "numbers, `bool`, `String` and `Timestamp`",
        What::Set(_) => "integers, `String` and `Timestamp`",
        What::Distinct | What::DistinctSet | What::Membership(_) | What::Frequency => {
            "numbers, `bool`, `String`, `Vec<u8>` and `Timestamp`"
        }
        What::TopK(_) => "`String`",
    }
}

/// The monoid of a field; `None` when there is none.
fn monoid(what: What, kind: &Kind) -> Option<Monoid> {
    let wide = match kind {
        Kind::U8 | Kind::U16 | Kind::U32 | Kind::U64 => Kind::U64,
        Kind::I8 | Kind::I16 | Kind::I32 | Kind::I64 => Kind::I64,
        Kind::F32 | Kind::F64 => Kind::F64,
        other => other.clone(),
    };
    let number = matches!(wide, Kind::U64 | Kind::I64 | Kind::F64);
    let comparable = number || matches!(wide, Kind::Bool | Kind::String | Kind::Timestamp);
    let countable = comparable || wide == Kind::Bytes;
    match what {
        What::Sum if number => Some(Monoid::Sum(wide)),
        What::Average if number => Some(Monoid::Average),
        What::Moments if number => Some(Monoid::Moments),
        What::Quantiles if number => Some(Monoid::Quantiles),
        What::Min if comparable => Some(Monoid::Min(wide)),
        What::Max if comparable => Some(Monoid::Max(wide)),
        What::First if comparable => Some(Monoid::First(wide)),
        What::Last if comparable => Some(Monoid::Last(wide)),
        What::Distinct if countable => Some(Monoid::Distinct),
        What::DistinctSet if countable => Some(Monoid::DistinctSet),
        What::Membership(elements) if countable => Some(Monoid::Membership(elements)),
        What::Frequency if countable => Some(Monoid::Frequency),
        What::Set(items) if comparable && !matches!(wide, Kind::F64 | Kind::Bool) => Some(Monoid::Set(wide, items)),
        What::TopK(items) if wide == Kind::String => Some(Monoid::TopK(items)),
        _ => None,
    }
}
