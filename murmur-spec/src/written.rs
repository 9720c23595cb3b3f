//! Types as they are written in Rust: what the lock keeps of them, and what names are made of.

use crate::model::{Kind, MapKey, Monoid};

/// The monoid as its type is written. The sizes of a `TopK` and a `Set` are left out: those of all sizes merge.
pub(crate) fn monoid(monoid: &Monoid) -> String {
    let of = |name: &str, kind: &Kind| format!("{name}<{}>", self::kind(kind));
    match monoid {
        Monoid::Count => "Count".into(),
        Monoid::Sum(kind) => of("Sum", kind),
        Monoid::DecimalSum(digits) => format!("Sum<Decimal<{digits}>>"),
        Monoid::Average => "Average".into(),
        Monoid::Moments => "Moments".into(),
        Monoid::Quantiles => "Quantiles".into(),
        Monoid::Min(kind) => of("Min", kind),
        Monoid::Max(kind) => of("Max", kind),
        Monoid::First(kind) => of("First", kind),
        Monoid::Last(kind) => of("Last", kind),
        Monoid::Latest(kind) => of("Latest", kind),
        Monoid::Set(kind, _) => of("Set", kind),
        Monoid::Distinct => "Distinct".into(),
        Monoid::DistinctSet => "DistinctSet".into(),
        Monoid::TopK(_) => "TopK".into(),
        Monoid::Decayed(seconds) => format!("Decayed<{seconds}>"),
        Monoid::Membership(elements) => format!("Membership<{elements}>"),
        Monoid::Frequency => "Frequency".into(),
        Monoid::Map(key, of, keys) => format!("Map<{}, {}, {keys}>", map_key(*key), self::monoid(of)),
        Monoid::Custom { rust: name, .. } | Monoid::Struct(name) => name.clone(),
    }
}

/// The key of a map.
pub(crate) fn map_key(key: MapKey) -> &'static str {
    match key {
        MapKey::Bool => "bool",
        MapKey::U32 => "u32",
        MapKey::U64 => "u64",
        MapKey::I32 => "i32",
        MapKey::I64 => "i64",
        MapKey::String => "String",
    }
}

/// The type of a field.
fn kind(kind: &Kind) -> String {
    let word = match kind {
        Kind::Bool => "bool",
        Kind::U8 => "u8",
        Kind::U16 => "u16",
        Kind::U32 => "u32",
        Kind::U64 => "u64",
        Kind::I8 => "i8",
        Kind::I16 => "i16",
        Kind::I32 => "i32",
        Kind::I64 => "i64",
        Kind::F32 => "f32",
        Kind::F64 => "f64",
        Kind::String => "String",
        Kind::Bytes => "Bytes",
        Kind::Timestamp => "Timestamp",
        Kind::Duration => "Duration",
        Kind::Uuid => "Uuid",
        Kind::Value(name) => name,
        Kind::Decimal(digits) => return format!("Decimal<{digits}>"),
    };
    word.to_owned()
}
