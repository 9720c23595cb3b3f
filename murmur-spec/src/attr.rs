//! The grammar of attributes, and the slots that their values go into.
//!
//! ```text
//! arguments = [ entry { "," entry } [ "," ] ]
//! entry     = key | key "=" value | key "(" list ")"
//! ```
//!
//! The tables of what may stand where are in the documentation of the crate. Reading never fails: a bad entry is a
//! finding, and the next entry is read.

use proc_macro2::{Delimiter, Group, Ident, TokenStream, TokenTree};
use quote::ToTokens;
use syn::ext::IdentExt;
use syn::parse::Parser;

use crate::codes;
use crate::ctxt::{At, Ctxt, Finding, suggest};

/// One entry of an attribute's arguments.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Its key.
    pub key: Ident,
    value: Value,
}

#[derive(Clone, Debug)]
enum Value {
    Word,
    Equals(TokenStream),
    List(Group),
}

/// An identifier as text, without `r#`.
pub fn text(ident: &Ident) -> String {
    ident.unraw().to_string()
}

/// Split arguments into entries.
pub fn entries(arguments: TokenStream, ctxt: &Ctxt) -> Vec<Entry> {
    split(arguments).into_iter().filter_map(|tokens| entry(tokens, ctxt)).collect()
}

/// Split at the commas; empty parts vanish, as after a trailing comma.
fn split(tokens: TokenStream) -> Vec<TokenStream> {
    let mut parts = vec![TokenStream::new()];
    for token in tokens {
        match (&token, parts.last_mut()) {
            (TokenTree::Punct(punct), _) if punct.as_char() == ',' => parts.push(TokenStream::new()),
            (_, Some(part)) => part.extend([token]),
            (_, None) => {}
        }
    }
    parts.retain(|part| !part.is_empty());
    parts
}

fn entry(tokens: TokenStream, ctxt: &Ctxt) -> Option<Entry> {
    let whole = At::of(&tokens);
    let mut rest = tokens.into_iter();
    let bad = |at: At| {
        ctxt.push(Finding::new(codes::ATTRIBUTE_FORM, at, "an entry is `key`, `key = value` or `key(...)`"));
        None
    };
    let Some(TokenTree::Ident(key)) = rest.next() else { return bad(whole) };
    match (rest.next(), rest.next()) {
        (None, _) => Some(Entry { key, value: Value::Word }),
        (Some(TokenTree::Punct(punct)), Some(first)) if punct.as_char() == '=' => {
            let value = std::iter::once(first).chain(rest).collect();
            Some(Entry { key, value: Value::Equals(value) })
        }
        (Some(TokenTree::Group(group)), None) if group.delimiter() == Delimiter::Parenthesis => {
            Some(Entry { key, value: Value::List(group) })
        }
        _ => bad(whole),
    }
}

impl Entry {
    /// The key as text.
    pub fn name(&self) -> String {
        text(&self.key)
    }

    /// Where its value stands; the key when there is none.
    pub fn at(&self) -> At {
        match &self.value {
            Value::Word => At::of(&self.key),
            Value::Equals(tokens) => At::of(tokens),
            Value::List(group) => At::of(group),
        }
    }

    fn wrong(&self, form: &str, ctxt: &Ctxt) {
        let name = self.name();
        ctxt.push(Finding::new(codes::ATTRIBUTE_FORM, self.at(), format!("`{name}` is written {form}")));
    }

    /// A key alone.
    pub fn word(&self, ctxt: &Ctxt) -> Option<()> {
        match &self.value {
            Value::Word => Some(()),
            _ => {
                self.wrong(&format!("`{}`, without a value", self.name()), ctxt);
                None
            }
        }
    }

    /// The tokens after `=`.
    pub fn value(&self, form: &str, ctxt: &Ctxt) -> Option<&TokenStream> {
        match &self.value {
            Value::Equals(tokens) => Some(tokens),
            _ => {
                self.wrong(form, ctxt);
                None
            }
        }
    }

    /// What stands after `=`, or a finding that shows `form`.
    pub fn parse<T>(&self, form: &str, parser: impl Parser<Output = T>, ctxt: &Ctxt) -> Option<T> {
        let tokens = self.value(form, ctxt)?.clone();
        parser.parse2(tokens).map_err(|_| self.wrong(form, ctxt)).ok()
    }

    /// A string after `=`.
    pub fn string(&self, example: &str, ctxt: &Ctxt) -> Option<String> {
        let form = format!("`{} = \"{example}\"`", self.name());
        self.parse(&form, |input: syn::parse::ParseStream| input.parse::<syn::LitStr>(), ctxt).map(|s| s.value())
    }

    /// A whole number after `=`.
    pub fn number(&self, ctxt: &Ctxt) -> Option<u32> {
        let form = format!("`{} = 7`, a field number", self.name());
        let literal = self.parse(&form, |input: syn::parse::ParseStream| input.parse::<syn::LitInt>(), ctxt)?;
        let number = literal.base10_parse::<u32>().ok().filter(|n| is_field_number(*n));
        if number.is_none() {
            let help = "1 to 536870911, without 19000 to 19999, which protobuf keeps for itself";
            ctxt.say(codes::NUMBER, &literal, format!("`{literal}` is not a field number; write one of {help}"));
        }
        number
    }

    /// The entries in its parentheses; none of a key alone.
    pub fn list(&self, form: &str, ctxt: &Ctxt) -> Option<Vec<Self>> {
        match &self.value {
            Value::Word => Some(Vec::new()),
            Value::List(group) => Some(entries(group.stream(), ctxt)),
            Value::Equals(_) => {
                self.wrong(form, ctxt);
                None
            }
        }
    }

    /// A whole number in parentheses: `top_k(10)`.
    pub fn count(&self, ctxt: &Ctxt) -> Option<u32> {
        let number = match &self.value {
            Value::List(group) => syn::parse2::<syn::LitInt>(group.stream()).ok(),
            _ => None,
        };
        let number = number.and_then(|literal| literal.base10_parse().ok());
        if number.is_none() {
            self.wrong(&format!("`{}(10)`", self.name()), ctxt);
        }
        number
    }
}

/// Whether protobuf allows it as the number of a field.
pub fn is_field_number(number: u32) -> bool {
    (1..=536_870_911).contains(&number) && !(19_000..=19_999).contains(&number)
}

/// A value that may be given once.
#[derive(Clone, Debug)]
pub struct Slot<T> {
    value: Option<(T, At)>,
    given: bool,
}

impl<T> Default for Slot<T> {
    fn default() -> Self {
        Self { value: None, given: false }
    }
}

impl<T> Slot<T> {
    /// Fill it; a second time is a finding. `value` is `None` when reading it already was a finding.
    pub fn set(&mut self, entry: &Entry, value: Option<T>, ctxt: &Ctxt) {
        if std::mem::replace(&mut self.given, true) {
            let name = entry.name();
            ctxt.say(codes::DUPLICATE_KEY, &entry.key, format!("`{name}` is given twice; leave one"));
        } else {
            self.value = value.map(|value| (value, entry.at()));
        }
    }

    /// Whether the key was there, with a good value or a bad one.
    pub fn is_given(&self) -> bool {
        self.given
    }

    /// Where its value stands.
    pub fn at(&self) -> Option<At> {
        self.value.as_ref().map(|(_, at)| *at)
    }

    /// The value.
    pub fn get(&self) -> Option<&T> {
        self.value.as_ref().map(|(value, _)| value)
    }

    /// The value, taken.
    pub fn take(self) -> Option<T> {
        self.value.map(|(value, _)| value)
    }
}

/// A key that may not stand here. `place` reads like `a field of an event`.
pub fn unknown(entry: &Entry, place: &str, allowed: &[&str], ctxt: &Ctxt) {
    let name = entry.name();
    let list = allowed.iter().map(|key| format!("`{key}`")).collect::<Vec<_>>().join(", ");
    let message = match (suggest(&name, allowed.iter().copied()), allowed) {
        (Some(near), _) => format!("unknown key `{name}` on {place}; did you mean `{near}`?"),
        (None, []) => format!("unknown key `{name}` on {place}; nothing can be said there"),
        (None, _) => format!("unknown key `{name}` on {place}; possible are {list}"),
    };
    ctxt.say(codes::UNKNOWN_KEY, &entry.key, message);
}

/// The entries of all `#[murmur(...)]` among these attributes.
pub fn helpers(attributes: &[syn::Attribute], ctxt: &Ctxt) -> Vec<Entry> {
    let ours = attributes.iter().filter(|attribute| attribute.path().is_ident("murmur"));
    ours.flat_map(|attribute| match &attribute.meta {
        syn::Meta::List(list) => entries(list.tokens.clone(), ctxt),
        other => {
            ctxt.say(codes::ATTRIBUTE_FORM, other, "it is written `#[murmur(...)]`");
            Vec::new()
        }
    })
    .collect()
}

/// The lines of the doc comment.
pub fn docs(attributes: &[syn::Attribute]) -> Vec<String> {
    let mut lines = Vec::new();
    for attribute in attributes {
        let syn::Meta::NameValue(meta) = &attribute.meta else { continue };
        let syn::Expr::Lit(syn::ExprLit { lit: syn::Lit::Str(text), .. }) = &meta.value else { continue };
        if meta.path.is_ident("doc") {
            // Not `lines()`: an empty line is a line too, and ends a paragraph.
            lines.extend(text.value().split('\n').map(|line| line.trim().to_owned()));
        }
    }
    lines
}

/// The item without the `#[murmur(...)]` in it, which only we understand.
///
/// Works on tokens, so that an item which cannot be parsed comes out whole too. Bodies of functions are not entered:
/// `depth` counts down through the item's braces.
pub fn strip(item: TokenStream, depth: usize) -> TokenStream {
    let mut out = Vec::<TokenTree>::new();
    for token in item {
        let TokenTree::Group(group) = &token else {
            out.push(token);
            continue;
        };
        let after_hash = matches!(out.last(), Some(TokenTree::Punct(punct)) if punct.as_char() == '#');
        if after_hash && is_helper(group) {
            out.pop();
        } else if depth > 0 && group.delimiter() != Delimiter::Bracket {
            let mut inner = Group::new(group.delimiter(), strip(group.stream(), depth - 1));
            inner.set_span(group.span());
            out.push(inner.into());
        } else {
            out.push(token);
        }
    }
    out.into_iter().collect()
}

fn is_helper(group: &Group) -> bool {
    let mut tokens = group.stream().into_iter();
    let name = matches!(tokens.next(), Some(TokenTree::Ident(ident)) if ident == "murmur");
    // `murmur::event` is an attribute of its own.
    name && !matches!(tokens.next(), Some(TokenTree::Punct(punct)) if punct.as_char() == ':')
}

/// The path of the runtime: `crate = path` in an attribute's arguments, `::murmur` without.
#[derive(Clone, Default)]
pub struct CratePath(pub Slot<syn::Path>);

impl CratePath {
    /// Read `crate = path`.
    pub fn set(&mut self, entry: &Entry, ctxt: &Ctxt) {
        let path = entry.parse("`crate = path::to::murmur`", syn::Path::parse_mod_style, ctxt);
        self.0.set(entry, path, ctxt);
    }
}

impl ToTokens for CratePath {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        match self.0.get() {
            Some(path) => path.to_tokens(tokens),
            None => tokens.extend(quote::quote!(::murmur)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use quote::quote;

    #[test]
    fn entries_take_all_three_forms() {
        let ctxt = Ctxt::new();
        let entries = entries(quote!(time, was = "old", top_k(10), window = sliding("1d", slot = "1m"),), &ctxt);
        let names: Vec<_> = entries.iter().map(Entry::name).collect();
        assert_eq!(names, ["time", "was", "top_k", "window"]);
        assert_eq!(entries[1].string("old_name", &ctxt).as_deref(), Some("old"));
        assert_eq!(entries[2].count(&ctxt), Some(10));
        assert!(ctxt.finish().is_empty());
    }

    #[test]
    fn bad_entries_are_all_reported() {
        let ctxt = Ctxt::new();
        entries(quote!(1, a b, c =, d[1]), &ctxt);
        assert_eq!(ctxt.finish().len(), 4);
    }

    #[test]
    fn helper_attributes_are_stripped_and_others_stay() {
        let item = quote! {
            #[serde(default)]
            pub struct E { #[murmur(time)] #[serde(rename = "t")] pub at: Timestamp, #[murmur::other] x: u8 }
        };
        let want = quote! {
            #[serde(default)]
            pub struct E { #[serde(rename = "t")] pub at: Timestamp, #[murmur::other] x: u8 }
        };
        assert_eq!(strip(item, 1).to_string(), want.to_string());
    }
}
