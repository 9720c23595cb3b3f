//! `#[murmur::aggregate]`: a struct of aggregates; and monoids, read by their spelling.

use proc_macro2::{Ident, TokenStream};
use syn::{Fields, GenericArgument, ItemStruct, PathArguments, Type};

use crate::attr::{CratePath, Entry, Slot, docs, entries, helpers, text, unknown};
use crate::codes;
use crate::ctxt::{At, Ctxt, Finding};
use crate::event;
use crate::model::{Kind, Monoid};
use crate::types::{self, show};

/// An aggregate struct, with the user's tokens.
#[derive(Clone)]
pub struct Aggregate {
    /// The struct's name.
    pub ident: Ident,
    /// Its visibility, which the reply takes over.
    pub vis: syn::Visibility,
    /// Doc comment, a line each.
    pub docs: Vec<String>,
    /// The traits that the user derives below our attribute.
    pub derives: Vec<String>,
    /// Its fields, in order of declaration.
    pub fields: Vec<Field>,
    /// `crate = path`.
    pub krate: CratePath,
}

/// A field, with the user's tokens.
#[derive(Clone)]
pub struct Field {
    /// Its name.
    pub ident: Ident,
    /// Doc comment, a line each.
    pub docs: Vec<String>,
    /// Its type as written.
    pub ty: Type,
    /// What the type was read as.
    pub monoid: Monoid,
    /// `#[murmur(was = "old")]`.
    pub was: Slot<String>,
    /// `#[murmur(number = 7)]`.
    pub number: Slot<u32>,
}

/// Read `#[murmur::aggregate(arguments)] item`.
pub fn parse(arguments: TokenStream, item: TokenStream, ctxt: &Ctxt) -> Option<Aggregate> {
    let mut krate = CratePath::default();
    for entry in entries(arguments, ctxt) {
        match entry.name().as_str() {
            "crate" => krate.set(&entry, ctxt),
            _ => unknown(&entry, "an aggregate", &["crate"], ctxt),
        }
    }
    let parsed = syn::parse2::<ItemStruct>(item.clone()).ok();
    let Some((parsed, named)) = parsed.as_ref().and_then(|item| match &item.fields {
        Fields::Named(named) => Some((item, named)),
        _ => None,
    }) else {
        ctxt.say(codes::SHAPE, &item, "an aggregate is a struct with named fields: `struct Traffic { views: Count }`");
        return None;
    };
    event::refuse_generics(&parsed.generics, ctxt);
    event::message_name(&parsed.ident, ctxt);
    for entry in helpers(&parsed.attrs, ctxt) {
        unknown(&entry, "the struct itself", &[], ctxt);
    }
    if named.named.is_empty() {
        ctxt.say(codes::EMPTY, &parsed.ident, format!("`{}` has no fields", parsed.ident));
    }
    let fields: Vec<Field> = named.named.iter().filter_map(|f| field(f, ctxt)).collect();
    event::check_fields(fields.iter().map(|f| (&f.ident, &f.number)), ctxt);
    Some(Aggregate {
        ident: parsed.ident.clone(),
        vis: parsed.vis.clone(),
        docs: docs(&parsed.attrs),
        derives: derives(&parsed.attrs),
        fields,
        krate,
    })
}

fn field(field: &syn::Field, ctxt: &Ctxt) -> Option<Field> {
    let ident = field.ident.clone()?;
    event::conditional(&field.attrs, ctxt);
    named(ident, docs(&field.attrs), &field.ty, helpers(&field.attrs, ctxt), ctxt)
}

/// A field of this name and type, with what is said of it: `was`, `number`, `as`.
pub(crate) fn named(ident: Ident, docs: Vec<String>, ty: &Type, said: Vec<Entry>, ctxt: &Ctxt) -> Option<Field> {
    let (mut was, mut number, mut as_) = (Slot::default(), Slot::default(), Slot::default());
    for entry in said {
        match entry.name().as_str() {
            "was" => was.set(&entry, entry.string("old_name", ctxt), ctxt),
            "number" => number.set(&entry, entry.number(ctxt), ctxt),
            "as" => as_.set(&entry, event::as_kind(&entry, ctxt).and_then(|_| entry.string("string", ctxt)), ctxt),
            _ => unknown(&entry, "a field of an aggregate", &["was", "number", "as"], ctxt),
        }
    }
    let mut monoid = read(ty, ctxt)?;
    if let Some(reply) = as_.get()
        && !answer(&mut monoid, reply)
    {
        let at = as_.at().unwrap_or_else(|| At::of(&ident));
        let message = format!("`as` is for a monoid of your own; `{}` has its reply already", show(ty));
        ctxt.push(Finding::new(codes::ATTRIBUTE_FORM, at, message));
    }
    Some(Field { docs, ty: ty.clone(), ident, monoid, was, number })
}

/// Give a monoid of the user's own its reply; whether it is one. In a `Map`, a name that is not known is that of a struct
/// until a reply is given.
fn answer(monoid: &mut Monoid, said: &str) -> bool {
    match monoid {
        Monoid::Custom { reply, .. } => said.clone_into(reply),
        Monoid::Map(_, of, _) => {
            let Monoid::Struct(rust) = &mut **of else { return false };
            **of = Monoid::Custom { rust: std::mem::take(rust), reply: said.to_owned() };
        }
        _ => return false,
    }
    true
}

/// The last words of the paths in `#[derive(...)]`.
pub fn derives(attributes: &[syn::Attribute]) -> Vec<String> {
    let mut out = Vec::new();
    for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("derive")) {
        // What cannot be read is not ours to report: rustc does.
        let _ = attribute.parse_nested_meta(|meta| {
            out.extend(meta.path.segments.last().map(|segment| text(&segment.ident)));
            Ok(())
        });
    }
    out
}

/// Read a type as a monoid. A name that is not known is the user's own.
pub fn read(ty: &Type, ctxt: &Ctxt) -> Option<Monoid> {
    let ty = types::bare(ty);
    let shown = show(ty);
    let refuse = |code, message: String| {
        ctxt.say(code, ty, message);
        None
    };
    let no_aggregate = |hint: &str| refuse(codes::AGGREGATE_TYPE, format!("`{shown}` is not an aggregate; {hint}"));
    let Some(segment) = types::last_segment(ty) else {
        return match ty {
            Type::Tuple(tuple) if !tuple.elems.is_empty() => {
                no_aggregate("name what is in it, as the fields of a struct with `#[murmur::aggregate]`")
            }
            _ => no_aggregate("write `Count`, `Sum<u64>`, `Distinct` or another one"),
        };
    };
    let name = text(&segment.ident);
    let types = types::arguments(segment);
    let bare = matches!(segment.arguments, PathArguments::None);
    let of = |allowed: &[Kind], list: &str| match types.as_slice() {
        [inner] => match types::last_segment(inner).and_then(|_| types::single(inner, ctxt)) {
            Some(kind) if allowed.contains(&kind) => Some(kind),
            _ => {
                ctxt.say(codes::AGGREGATE_OF, *inner, format!("`{name}` can be of {list}, not of `{}`", show(inner)));
                None
            }
        },
        _ => {
            ctxt.say(codes::AGGREGATE_OF, ty, format!("say what `{name}` is of: {list}"));
            None
        }
    };
    let value = || match types.as_slice() {
        [inner] if is_decimal(inner) => decimal(inner, ctxt).map(Kind::Decimal),
        _ => of(COMPARABLE, COMPARABLE_LIST),
    };
    let only = |most| size(segment, most).filter(|_| types.is_empty());
    match name.as_str() {
        "Count" | "Average" | "Moments" | "Quantiles" | "Distinct" | "DistinctSet" | "Frequency" if !bare => {
            refuse(codes::AGGREGATE_OF, format!("`{name}` has no parameter; write `{name}`"))
        }
        "Count" => Some(Monoid::Count),
        "Average" => Some(Monoid::Average),
        "Moments" => Some(Monoid::Moments),
        "Quantiles" => Some(Monoid::Quantiles),
        "Distinct" => Some(Monoid::Distinct),
        "DistinctSet" => Some(Monoid::DistinctSet),
        "Sum" => match types.as_slice() {
            [inner] if is_decimal(inner) => decimal(inner, ctxt).map(Monoid::DecimalSum),
            _ => of(SUMMABLE, "`u64`, `i64`, `f64` or `Decimal<2>`").map(Monoid::Sum),
        },
        "Min" => value().map(Monoid::Min),
        "Max" => value().map(Monoid::Max),
        "First" => value().map(Monoid::First),
        "Last" => value().map(Monoid::Last),
        "Latest" => value().map(Monoid::Latest),
        "Set" => match size(segment, MOST_ITEMS) {
            Some(most) => of(MEMBERS, MEMBERS_LIST).map(|kind| Monoid::Set(kind, most)),
            None => {
                let message =
                    format!("say of what and how many at most, as a number from 1 to {MOST_ITEMS}: `Set<String, 100>`");
                refuse(codes::AGGREGATE_OF, message)
            }
        },
        "TopK" => match only(MOST_ITEMS) {
            Some(number) => Some(Monoid::TopK(number)),
            None => {
                let message = format!("say how many items to keep as a number from 1 to {MOST_ITEMS}: `TopK<10>`");
                refuse(codes::AGGREGATE_OF, message)
            }
        },
        "Decayed" => match only(u32::MAX) {
            Some(seconds) => Some(Monoid::Decayed(seconds)),
            None => {
                let message = "say the half-life in seconds, as a whole number from 1: `Decayed<3600>` is one hour";
                refuse(codes::AGGREGATE_OF, message.to_owned())
            }
        },
        "Membership" => match only(MOST_MEMBERS) {
            Some(number) => Some(Monoid::Membership(number)),
            None => {
                let message = format!(
                    "say how many elements to expect as a number from 1 to {MOST_MEMBERS}, each is 1.2 bytes: `Membership<10_000>`"
                );
                refuse(codes::AGGREGATE_OF, message)
            }
        },
        "Frequency" => Some(Monoid::Frequency),
        "Map" => map(ty, segment, ctxt),
        "String" | "Vec" | "Option" | "bool" | "HashMap" | "BTreeMap" => {
            no_aggregate("write `Last<String>`, `Distinct` or `TopK<10>`")
        }
        "u8" | "u16" | "u32" | "u64" | "usize" => no_aggregate("write `Sum<u64>`, `Max<u64>` or another one"),
        "i8" | "i16" | "i32" | "i64" | "isize" => no_aggregate("write `Sum<i64>`, `Max<i64>` or another one"),
        "f32" | "f64" => no_aggregate("write `Sum<f64>`, `Average` or another one"),
        // Without the path, which says how the source is arranged, not what is kept.
        _ => Some(Monoid::Custom { rust: show(segment), reply: "bytes".into() }),
    }
}

const SUMMABLE: &[Kind] = &[Kind::U64, Kind::I64, Kind::F64];
const COMPARABLE: &[Kind] =
    &[Kind::U32, Kind::U64, Kind::I32, Kind::I64, Kind::F64, Kind::Bool, Kind::String, Kind::Timestamp];
const COMPARABLE_LIST: &str = "`u32`, `u64`, `i32`, `i64`, `f64`, `bool`, `String`, `Timestamp` or `Decimal<2>`";

fn is_decimal(ty: &Type) -> bool {
    types::last_segment(ty).is_some_and(|segment| segment.ident == "Decimal")
}

/// The digits of a `Decimal<2>`.
fn decimal(ty: &Type, ctxt: &Ctxt) -> Option<u32> {
    let digits = types::last_segment(ty).and_then(number).filter(|digits| *digits <= MOST_DIGITS);
    if digits.is_none() {
        let message = format!("say how many digits follow the point, from 0 to {MOST_DIGITS}: `Decimal<2>`");
        ctxt.say(codes::AGGREGATE_OF, ty, message);
    }
    digits
}

/// The most digits that a `Decimal` has behind the point.
pub const MOST_DIGITS: u32 = 18;

/// `Map<String, Count, 100>`.
fn map(ty: &Type, segment: &syn::PathSegment, ctxt: &Ctxt) -> Option<Monoid> {
    let (types, number) = (types::arguments(segment), number(segment).filter(|number| *number > 0));
    let ([key, of], Some(number)) = (types.as_slice(), number) else {
        let message =
            "say the type of the keys, what is kept of each, and how many keys at most: `Map<String, Count, 100>`";
        ctxt.say(codes::AGGREGATE_OF, ty, message);
        return None;
    };
    let key = types::map_key(key, ctxt);
    let of = match read(of, ctxt)? {
        Monoid::Map(..) => {
            let message = format!(
                "protobuf has no map of maps: make `{}` a field of a struct with `#[murmur::aggregate]`, and the `Map` one \
                 of that struct",
                show(of)
            );
            ctxt.say(codes::AGGREGATE_OF, *of, message);
            return None;
        }
        Monoid::DistinctSet => {
            ctxt.say(codes::AGGREGATE_OF, *of, no_sets("`DistinctSet`"));
            return None;
        }
        Monoid::Custom { rust, .. } => Monoid::Struct(rust),
        of => of,
    };
    Some(Monoid::Map(key?, Box::new(of), number))
}

/// The sentence about a set in a map.
pub(crate) fn no_sets(what: &str) -> String {
    format!(
        "`CombineSets` does not look into a `Map`, where {what} would be larger than a `Distinct` for nothing: write \
         `Distinct`, or make a pipeline that has the key of the map in its own key"
    )
}

/// The number of `TopK<10>` and of `Set<String, 100>`, from 1 to `most`.
fn size(segment: &syn::PathSegment, most: u32) -> Option<u32> {
    number(segment).filter(|number| (1..=most).contains(number))
}

/// The number in angle brackets: the last argument, and the only number.
fn number(segment: &syn::PathSegment) -> Option<u32> {
    let PathArguments::AngleBracketed(arguments) = &segment.arguments else { return None };
    let mut numbers = arguments.args.iter().rev();
    let literal = match numbers.next()? {
        GenericArgument::Const(syn::Expr::Lit(syn::ExprLit { lit: syn::Lit::Int(literal), .. })) => literal,
        _ => return None,
    };
    if numbers.any(|argument| !matches!(argument, GenericArgument::Type(_))) {
        return None;
    }
    literal.base10_parse().ok()
}

const MEMBERS: &[Kind] = &[Kind::U32, Kind::U64, Kind::I32, Kind::I64, Kind::String, Kind::Timestamp];
const MEMBERS_LIST: &str = "`u32`, `u64`, `i32`, `i64`, `String` or `Timestamp`";

/// The most items that a `TopK` or a `Set` keeps: it has to fit into one stored item.
pub const MOST_ITEMS: u32 = 1_000;

/// The most elements that a `Membership` can be made for: its filter has to fit into one stored item.
pub const MOST_MEMBERS: u32 = 300_000;
