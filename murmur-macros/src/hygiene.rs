//! Names in what is made: our own never meet the user's.

use murmur_spec::attr::CratePath;
use murmur_spec::model::{Kind, Label, MapKey, Monoid};
use murmur_spec::types::{self, Typed};
use proc_macro2::{Ident, Literal, Span, TokenStream};
use quote::quote;
use syn::Type;

/// A local variable that only our tokens can name.
pub(crate) fn local(name: &str) -> Ident {
    Ident::new(name, Span::mixed_site())
}

/// An item that the user can name.
pub(crate) fn public(name: &str, span: Span) -> Ident {
    Ident::new(name, span.resolved_at(Span::call_site()))
}

/// A number without suffix, as the macros of the runtime take it.
pub(crate) fn number(number: u32) -> Literal {
    Literal::u32_unsuffixed(number)
}

/// FNV-1a of a field's name: what `Field` is implemented for.
pub(crate) fn field_hash(name: &str) -> Literal {
    Literal::u64_suffixed(murmur_spec::fingerprint::hash(name))
}

/// The lines of a doc comment; `otherwise` when there are none, as what is made must not lack documentation.
pub(crate) fn docs(lines: &[String], otherwise: &str) -> TokenStream {
    if lines.is_empty() {
        return docs(&[otherwise.to_owned()], otherwise);
    }
    lines
        .iter()
        .map(|line| {
            let line = if line.is_empty() { String::new() } else { format!(" {line}") };
            quote!(#[doc = #line])
        })
        .collect()
}

/// The type that a field was read as, by a path that nothing can shadow.
pub(crate) fn canonical(ty: &Type, typed: &Typed, converted: bool, krate: &CratePath) -> TokenStream {
    let ty = types::bare(ty);
    let arguments = types::last_segment(ty).map(types::arguments).unwrap_or_default();
    let name = types::last_segment(ty).map(|segment| segment.ident.to_string()).unwrap_or_default();
    if converted {
        return match &typed.kind {
            Kind::String => quote!(#krate::event::Shown),
            kind => {
                let inner = plain(Some(ty), kind, krate);
                quote!(#krate::event::Converted<#inner>)
            }
        };
    }
    if let ("Box", [inner]) = (name.as_str(), arguments.as_slice()) {
        let inner = canonical(inner, typed, false, krate);
        return quote!(::std::boxed::Box<#inner>);
    }
    match (&typed.label, arguments.as_slice()) {
        (Label::Optional, [inner]) => {
            let inner = boxed(inner, &typed.kind, krate);
            quote!(::core::option::Option<#inner>)
        }
        (Label::Repeated, [inner]) => {
            let inner = boxed(inner, &typed.kind, krate);
            quote!(::std::vec::Vec<#inner>)
        }
        (Label::Map(key), [_, value, ..]) => {
            let key = map_key(*key);
            let value = boxed(value, &typed.kind, krate);
            let map = Ident::new(if name == "BTreeMap" { "BTreeMap" } else { "HashMap" }, Span::call_site());
            quote!(::std::collections::#map<#key, #value>)
        }
        _ => boxed(ty, &typed.kind, krate),
    }
}

/// The key of a map.
pub(crate) fn map_key(key: MapKey) -> TokenStream {
    match key {
        MapKey::Bool => quote!(::core::primitive::bool),
        MapKey::U32 => quote!(::core::primitive::u32),
        MapKey::U64 => quote!(::core::primitive::u64),
        MapKey::I32 => quote!(::core::primitive::i32),
        MapKey::I64 => quote!(::core::primitive::i64),
        MapKey::String => quote!(::std::string::String),
    }
}

/// A type that stands once, with the boxes around it.
fn boxed(ty: &Type, kind: &Kind, krate: &CratePath) -> TokenStream {
    let segment = types::last_segment(ty);
    match segment.map(types::arguments).as_deref() {
        Some([inner]) if segment.is_some_and(|segment| segment.ident == "Box") => {
            let inner = boxed(inner, kind, krate);
            quote!(::std::boxed::Box<#inner>)
        }
        _ => plain(Some(ty), kind, krate),
    }
}

fn plain(ty: Option<&Type>, kind: &Kind, krate: &CratePath) -> TokenStream {
    let name = |name: &str| ty.and_then(types::last_segment).is_some_and(|segment| segment.ident == name);
    match kind {
        Kind::Bool => quote!(::core::primitive::bool),
        Kind::U8 => quote!(::core::primitive::u8),
        Kind::U16 => quote!(::core::primitive::u16),
        Kind::U32 => quote!(::core::primitive::u32),
        Kind::U64 => quote!(::core::primitive::u64),
        Kind::I8 => quote!(::core::primitive::i8),
        Kind::I16 => quote!(::core::primitive::i16),
        Kind::I32 => quote!(::core::primitive::i32),
        Kind::I64 => quote!(::core::primitive::i64),
        Kind::F32 => quote!(::core::primitive::f32),
        Kind::F64 => quote!(::core::primitive::f64),
        Kind::String => quote!(::std::string::String),
        Kind::Bytes => quote!(::std::vec::Vec<::core::primitive::u8>),
        Kind::Timestamp if name("DateTime") => quote!(#krate::event::AnyDateTime),
        Kind::Timestamp => quote!(#krate::time::Timestamp),
        Kind::Duration => quote!(#krate::time::Span),
        Kind::Uuid => quote!(#krate::event::AnyUuid),
        Kind::Value(_) => quote!(#krate::event::AnyValue),
        Kind::Decimal(digits) => {
            let digits = number(*digits);
            quote!(#krate::aggregate::Decimal<#digits>)
        }
    }
}

/// The type that a monoid was read as; `None` for what is the user's own, or has such in it.
pub(crate) fn monoid(monoid: &Monoid, krate: &CratePath) -> Option<TokenStream> {
    let of = |name: &str, kind: &Kind| {
        let name = Ident::new(name, Span::call_site());
        let inner = plain(None, kind, krate);
        quote!(#krate::aggregate::#name<#inner>)
    };
    Some(match monoid {
        Monoid::Count => quote!(#krate::aggregate::Count),
        Monoid::Average => quote!(#krate::aggregate::Average),
        Monoid::Moments => quote!(#krate::aggregate::Moments),
        Monoid::DistinctSet => quote!(#krate::aggregate::DistinctSet),
        Monoid::Quantiles => quote!(#krate::aggregate::Quantiles),
        Monoid::Distinct => quote!(#krate::aggregate::Distinct),
        Monoid::Sum(kind) => of("Sum", kind),
        Monoid::DecimalSum(digits) => of("Sum", &Kind::Decimal(*digits)),
        Monoid::Min(kind) => of("Min", kind),
        Monoid::Max(kind) => of("Max", kind),
        Monoid::First(kind) => of("First", kind),
        Monoid::Last(kind) => of("Last", kind),
        Monoid::Latest(kind) => of("Latest", kind),
        Monoid::Set(kind, most) => {
            let (inner, most) = (plain(None, kind, krate), number(*most));
            quote!(#krate::aggregate::Set<#inner, #most>)
        }
        Monoid::TopK(items) => {
            let items = number(*items);
            quote!(#krate::aggregate::TopK<#items>)
        }
        Monoid::Decayed(seconds) => {
            let seconds = number(*seconds);
            quote!(#krate::aggregate::Decayed<#seconds>)
        }
        Monoid::Membership(elements) => {
            let elements = number(*elements);
            quote!(#krate::aggregate::Membership<#elements>)
        }
        Monoid::Frequency => quote!(#krate::aggregate::Frequency),
        Monoid::Map(key, of, keys) => {
            let (key, of, keys) = (map_key(*key), self::monoid(of, krate)?, number(*keys));
            quote!(#krate::aggregate::Map<#key, #of, #keys>)
        }
        Monoid::Custom { .. } | Monoid::Struct(_) => return None,
    })
}
