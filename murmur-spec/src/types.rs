//! Rust types, read by their spelling. The table is in the documentation of the crate.
//!
//! A parser sees names, not types: `type Id = usize;` or a `String` of the user's own look like what they are not. So
//! whatever is read here, the macro has the compiler check, on the user's own token.

use quote::ToTokens;
use syn::{GenericArgument, PathArguments, PathSegment, Type};

use crate::attr::text;
use crate::codes::{self, Code};
use crate::ctxt::Ctxt;
use crate::model::{Kind, Label, MapKey};

/// What a type was read as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Typed {
    /// The type itself, or that of the elements.
    pub kind: Kind,
    /// How often it stands.
    pub label: Label,
}

/// Read the type of a field. `None` after a finding.
pub fn read(ty: &Type, ctxt: &Ctxt) -> Option<Typed> {
    let ty = bare(ty);
    if let Some(segment) = last_segment(ty) {
        match (text(&segment.ident).as_str(), arguments(segment).as_slice()) {
            ("Box", [inner]) => return read(inner, ctxt),
            ("Option", [inner]) => return single(inner, ctxt).map(|kind| Typed { kind, label: Label::Optional }),
            ("Vec", [inner]) if !is_byte(inner) => {
                return single(inner, ctxt).map(|kind| Typed { kind, label: Label::Repeated });
            }
            ("HashMap" | "BTreeMap", [key, value, ..]) => {
                let key = map_key(key, ctxt);
                let kind = single(value, ctxt)?;
                return key.map(|key| Typed { kind, label: Label::Map(key) });
            }
            _ => {}
        }
    }
    single(ty, ctxt).map(|kind| Typed { kind, label: Label::Plain })
}

/// Read a type that stands once: no `Option`, no `Vec`, no map.
pub fn single(ty: &Type, ctxt: &Ctxt) -> Option<Kind> {
    let ty = bare(ty);
    let refuse = |code: Code, why: String| {
        ctxt.say(code, ty, why);
        None
    };
    let shown = show(ty);
    let path = match ty {
        Type::Path(path) if path.qself.is_none() => &path.path,
        Type::Reference(reference) => {
            let owned = match &*reference.elem {
                Type::Slice(slice) => format!("Vec<{}>", show(&slice.elem)),
                other if show(other) == "str" => "String".into(),
                other => show(other),
            };
            return refuse(codes::BORROWED, format!("`{shown}` borrows; own the data: write `{owned}`"));
        }
        Type::Tuple(_) => {
            return refuse(codes::TUPLE, format!("`{shown}` is a tuple; write a struct with `#[murmur::value]`"));
        }
        Type::Array(syn::TypeArray { elem, .. }) | Type::Slice(syn::TypeSlice { elem, .. }) => {
            let vec = format!("Vec<{}>", show(elem));
            return refuse(codes::ARRAY, format!("`{shown}` has no protobuf form; write `{vec}`"));
        }
        _ => return refuse(codes::NO_PROTO, no_form(&shown)),
    };
    let Some(segment) = path.segments.last() else { return refuse(codes::NO_PROTO, no_form(&shown)) };
    let name = text(&segment.ident);
    let arguments = arguments(segment);
    let bare = matches!(segment.arguments, PathArguments::None);
    if let Some(kind) = scalar(&name).filter(|_| bare) {
        return Some(kind);
    }
    match (name.as_str(), arguments.as_slice()) {
        ("Box", [inner]) => single(inner, ctxt),
        ("Vec", [inner]) if is_byte(inner) => Some(Kind::Bytes),
        // chrono's; the time zone is not carried.
        ("DateTime", [_]) => Some(Kind::Timestamp),
        ("usize", []) => refuse(codes::NO_FIXED_SIZE, "`usize` has no fixed size; write `u64`".into()),
        ("isize", []) => refuse(codes::NO_FIXED_SIZE, "`isize` has no fixed size; write `i64`".into()),
        ("u128" | "i128", []) => {
            let narrow = if name == "u128" { "u64" } else { "i64" };
            refuse(codes::TOO_WIDE, format!("`{name}` has no protobuf form; write `{narrow}` or `String`"))
        }
        ("str" | "Cow", _) => refuse(codes::BORROWED, format!("`{shown}` borrows; own the data: write `String`")),
        ("char", []) => refuse(codes::NO_PROTO, "`char` has no protobuf form; write `String` or `u32`".into()),
        ("Option" | "Vec" | "HashMap" | "BTreeMap", [_, ..]) => {
            let message =
                format!("`{shown}` stands inside another container; put it into a struct with `#[murmur::value]`");
            refuse(codes::NESTED, message)
        }
        (_, []) if bare => Some(Kind::Value(name)),
        _ => refuse(codes::NO_PROTO, no_form(&shown)),
    }
}

/// The types without parameters that are known by name.
fn scalar(name: &str) -> Option<Kind> {
    Some(match name {
        "bool" => Kind::Bool,
        "u8" => Kind::U8,
        "u16" => Kind::U16,
        "u32" => Kind::U32,
        "u64" => Kind::U64,
        "i8" => Kind::I8,
        "i16" => Kind::I16,
        "i32" => Kind::I32,
        "i64" => Kind::I64,
        "f32" => Kind::F32,
        "f64" => Kind::F64,
        "String" => Kind::String,
        "Bytes" => Kind::Bytes,
        // Murmur's and jiff's have the same name; either is right.
        "Timestamp" | "SystemTime" => Kind::Timestamp,
        "Duration" | "Span" => Kind::Duration,
        "Uuid" => Kind::Uuid,
        _ => return None,
    })
}

/// The kind that `#[murmur(as = "...")]` names.
pub fn named(proto: &str) -> Option<Kind> {
    Some(match proto {
        "bool" => Kind::Bool,
        "uint32" => Kind::U32,
        "uint64" => Kind::U64,
        "int32" => Kind::I32,
        "int64" => Kind::I64,
        "float" => Kind::F32,
        "double" => Kind::F64,
        "string" => Kind::String,
        "bytes" => Kind::Bytes,
        _ => return None,
    })
}

fn no_form(shown: &str) -> String {
    format!("`{shown}` has no protobuf form; write a type of the table, or a type of your own with `#[murmur::value]`")
}

/// What a protobuf map can have as its key. `None` after a finding.
pub fn map_key(ty: &Type, ctxt: &Ctxt) -> Option<MapKey> {
    let key = match single(ty, ctxt)? {
        Kind::Bool => MapKey::Bool,
        Kind::U32 => MapKey::U32,
        Kind::U64 => MapKey::U64,
        Kind::I32 => MapKey::I32,
        Kind::I64 => MapKey::I64,
        Kind::String => MapKey::String,
        _ => {
            let shown = show(ty);
            let message =
                format!("`{shown}` cannot be the key of a map; write `String`, `bool`, `u32`, `u64`, `i32` or `i64`");
            ctxt.say(codes::MAP_KEY, ty, message);
            return None;
        }
    };
    Some(key)
}

/// Without parentheses and the invisible groups that macros leave.
pub fn bare(mut ty: &Type) -> &Type {
    loop {
        ty = match ty {
            Type::Group(group) => &group.elem,
            Type::Paren(paren) => &paren.elem,
            _ => return ty,
        };
    }
}

/// The last segment of a plain path.
pub fn last_segment(ty: &Type) -> Option<&PathSegment> {
    match bare(ty) {
        Type::Path(path) if path.qself.is_none() => path.path.segments.last(),
        _ => None,
    }
}

/// The type arguments of a segment; a lifetime or a constant among them is left out.
pub fn arguments(segment: &PathSegment) -> Vec<&Type> {
    let PathArguments::AngleBracketed(arguments) = &segment.arguments else { return Vec::new() };
    let types = arguments.args.iter().filter_map(|argument| match argument {
        GenericArgument::Type(ty) => Some(ty),
        _ => None,
    });
    types.collect()
}

fn is_byte(ty: &Type) -> bool {
    last_segment(ty).is_some_and(|segment| segment.ident == "u8")
}

/// Tokens as a person writes them: `Vec<u8>`, not `Vec < u8 >`.
pub fn show(tokens: &impl ToTokens) -> String {
    let spaced = tokens.to_token_stream().to_string();
    let mut out = String::with_capacity(spaced.len());
    let mut letters = spaced.chars().peekable();
    while let Some(letter) = letters.next() {
        let before = out.chars().last();
        if letter != ' ' {
            out.push(letter);
        } else if let (Some(before), Some(&after)) = (before, letters.peek()) {
            let word = |c: char| c.is_alphanumeric() || c == '_' || c == '\'';
            let bound = before == ':' && after != ':' && !out.ends_with("::");
            let separates = bound || matches!(before, ',' | ';' | '=' | '+') || matches!(after, '=' | '+' | '{');
            if separates || (word(before) && word(after)) || (before == ')' && word(after)) {
                out.push(' ');
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use syn::parse_str;

    fn reading(ty: &str) -> Result<Typed, String> {
        let ctxt = Ctxt::new();
        let typed = read(&parse_str(ty).unwrap(), &ctxt);
        let findings = ctxt.finish();
        assert_eq!(typed.is_none(), !findings.is_empty(), "{ty}");
        typed.ok_or_else(|| findings[0].text())
    }

    #[test]
    fn every_type_of_the_table_is_read() {
        let plain = |kind| Ok(Typed { kind, label: Label::Plain });
        let cases = [
            ("bool", Kind::Bool),
            ("u8", Kind::U8),
            ("u16", Kind::U16),
            ("u32", Kind::U32),
            ("u64", Kind::U64),
            ("i8", Kind::I8),
            ("i16", Kind::I16),
            ("i32", Kind::I32),
            ("i64", Kind::I64),
            ("f32", Kind::F32),
            ("f64", Kind::F64),
            ("String", Kind::String),
            ("std::string::String", Kind::String),
            ("Vec<u8>", Kind::Bytes),
            ("bytes::Bytes", Kind::Bytes),
            ("Timestamp", Kind::Timestamp),
            ("jiff::Timestamp", Kind::Timestamp),
            ("SystemTime", Kind::Timestamp),
            ("chrono::DateTime<Utc>", Kind::Timestamp),
            ("Duration", Kind::Duration),
            ("Span", Kind::Duration),
            ("Uuid", Kind::Uuid),
            ("Box<u64>", Kind::U64),
            ("Color", Kind::Value("Color".into())),
            ("r#type", Kind::Value("type".into())),
            ("(u64)", Kind::U64),
        ];
        for (ty, kind) in cases {
            assert_eq!(reading(ty), plain(kind), "{ty}");
        }
    }

    #[test]
    fn containers_give_labels() {
        let cases = [
            ("Option<u64>", Kind::U64, Label::Optional),
            ("Option<Box<Node>>", Kind::Value("Node".into()), Label::Optional),
            ("Option<Vec<u8>>", Kind::Bytes, Label::Optional),
            ("Vec<String>", Kind::String, Label::Repeated),
            ("Vec<Vec<u8>>", Kind::Bytes, Label::Repeated),
            ("HashMap<String, f64>", Kind::F64, Label::Map(MapKey::String)),
            ("std::collections::BTreeMap<u32, Color>", Kind::Value("Color".into()), Label::Map(MapKey::U32)),
        ];
        for (ty, kind, label) in cases {
            assert_eq!(reading(ty), Ok(Typed { kind, label }), "{ty}");
        }
    }

    #[test]
    fn every_refusal_says_the_way_out() {
        let cases = [
            ("usize", "M0101: `usize` has no fixed size; write `u64`"),
            ("Option<isize>", "M0101: `isize` has no fixed size; write `i64`"),
            ("u128", "M0102: `u128` has no protobuf form; write `u64` or `String`"),
            ("&'static str", "M0103: `&'static str` borrows; own the data: write `String`"),
            ("&[u8]", "M0103: `&[u8]` borrows; own the data: write `Vec<u8>`"),
            ("Cow<'static, str>", "M0103: `Cow<'static, str>` borrows; own the data: write `String`"),
            ("(u8, String)", "M0105: `(u8, String)` is a tuple; write a struct with `#[murmur::value]`"),
            ("[u64; 4]", "M0106: `[u64; 4]` has no protobuf form; write `Vec<u64>`"),
            (
                "Option<Option<u64>>",
                "M0107: `Option<u64>` stands inside another container; put it into a struct with `#[murmur::value]`",
            ),
            (
                "HashMap<f64, u64>",
                "M0108: `f64` cannot be the key of a map; write `String`, `bool`, `u32`, `u64`, `i32` or `i64`",
            ),
            ("char", "M0109: `char` has no protobuf form; write `String` or `u32`"),
        ];
        for (ty, want) in cases {
            assert_eq!(reading(ty), Err(want.into()), "{ty}");
        }
        for ty in ["fn(u8)", "impl Display", "dyn Any", "!", "Rc<str>", "*const u8", "<A as B>::C"] {
            assert!(reading(ty).unwrap_err().starts_with("M0109"), "{ty}");
        }
    }
}
