//! What stands beside the payload is not read from it: `#[serde(skip)]`.

use murmur_spec::attr::text;
use murmur_spec::event::Event;
use proc_macro2::{TokenStream, TokenTree};
use quote::ToTokens;
use syn::punctuated::Punctuated;
use syn::{Attribute, ItemStruct, Meta, Path, Token, parse_quote};

/// Whether serde looks for the fields in the payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reading {
    /// It does not.
    LeftOut,
    /// No derive can be seen that would; one above the attribute cannot.
    Unknown,
}

/// The user's struct with the fields left out which its derived `Deserialize` would look for.
///
/// A derive above this attribute has been and gone by now, so it cannot be helped. There the user can say
/// `#[serde(skip)]`; where there is no derive at all it is taken away again, as nobody else would understand it.
pub(crate) fn leave_out(event: &Event, users: TokenStream) -> (TokenStream, Reading) {
    let mut beside = event.fields.iter().filter(|field| field.beside.is_given()).peekable();
    if beside.peek().is_none() {
        return (users, Reading::LeftOut);
    }
    // It was read as one before.
    let Ok(mut item) = syn::parse2::<ItemStruct>(users.clone()) else { return (users, Reading::LeftOut) };
    let derived: Vec<Path> = item.attrs.iter().flat_map(derives).collect();
    let reads = derived.iter().any(|path| path.segments.last().is_some_and(|last| last.ident == "Deserialize"));
    let mut all_skip = true;
    for field in beside {
        let Some(field) = item.fields.iter_mut().find(|own| own.ident.as_ref().is_some_and(|i| *i == field.ident))
        else {
            continue;
        };
        let said = |word: &str| field.attrs.iter().any(|attribute| serde_says(attribute, word));
        if said("skip") || said("skip_deserializing") {
            if derived.is_empty() {
                field.attrs.retain(|attribute| !attribute.path().is_ident("serde"));
            }
            continue;
        }
        all_skip = false;
        if reads {
            // Twice the same word would be an error.
            field.attrs.push(if said("skip_serializing") {
                parse_quote!(#[serde(skip_deserializing)])
            } else {
                parse_quote!(#[serde(skip)])
            });
        }
    }
    let reading = if reads || all_skip { Reading::LeftOut } else { Reading::Unknown };
    (item.into_token_stream(), reading)
}

/// What an attribute derives.
fn derives(attribute: &Attribute) -> Punctuated<Path, Token![,]> {
    let Meta::List(list) = &attribute.meta else { return Punctuated::new() };
    if !list.path.is_ident("derive") {
        return Punctuated::new();
    }
    list.parse_args_with(Punctuated::parse_terminated).unwrap_or_default()
}

/// Whether `word` is among what a `#[serde(...)]` says.
fn serde_says(attribute: &Attribute, word: &str) -> bool {
    let Meta::List(list) = &attribute.meta else { return false };
    let mut start = true;
    list.path.is_ident("serde")
        && list.tokens.clone().into_iter().any(|token| {
            let found = start && matches!(&token, TokenTree::Ident(ident) if text(ident) == word);
            start = matches!(&token, TokenTree::Punct(punct) if punct.as_char() == ',');
            found
        })
}

#[cfg(test)]
mod tests {
    use murmur_spec::attr::strip;
    use murmur_spec::ctxt::Ctxt;
    use quote::quote;

    use super::*;

    /// What becomes of `item`, of which the field `a` is a header.
    fn left_out(item: TokenStream) -> (String, Reading) {
        let ctxt = Ctxt::new();
        let event = murmur_spec::event::parse(TokenStream::new(), item.clone(), &ctxt).unwrap();
        assert!(ctxt.finish().is_empty());
        let (users, reading) = leave_out(&event, strip(item, 1));
        (users.to_string(), reading)
    }

    #[test]
    fn the_field_is_left_out_once() {
        let out = |derive: TokenStream, serde: TokenStream| {
            left_out(quote!(#derive struct E { #serde #[murmur(header = "a")] a: String, b: u64 }))
        };
        let want = |derive: TokenStream, serde: TokenStream| quote!(#derive struct E { #serde a: String, b: u64 });
        let derive = quote!(#[derive(Debug, ::serde::Deserialize)]);
        for (derive, said, then, reading) in [
            (derive.clone(), quote!(), quote!(#[serde(skip)]), Reading::LeftOut),
            (derive.clone(), quote!(#[serde(skip)]), quote!(#[serde(skip)]), Reading::LeftOut),
            (
                derive.clone(),
                quote!(#[serde(default, skip_deserializing)]),
                quote!(#[serde(default, skip_deserializing)]),
                Reading::LeftOut,
            ),
            (
                derive,
                quote!(#[serde(skip_serializing)]),
                quote!(#[serde(skip_serializing)] #[serde(skip_deserializing)]),
                Reading::LeftOut,
            ),
            (quote!(), quote!(), quote!(), Reading::Unknown),
            (quote!(), quote!(#[serde(skip)]), quote!(), Reading::LeftOut),
            (quote!(#[derive(Serialize)]), quote!(#[serde(skip)]), quote!(#[serde(skip)]), Reading::LeftOut),
            (quote!(#[derive(Debug)]), quote!(), quote!(), Reading::Unknown),
        ] {
            assert_eq!(out(derive.clone(), said), (want(derive, then).to_string(), reading));
        }
    }
}
