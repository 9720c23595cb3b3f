//! What the compiler is asked about aggregates: that each is what it was read as, and answers what the contract says.

use murmur_spec::attr::CratePath;
use murmur_spec::codes;
use murmur_spec::model::Monoid;
use murmur_spec::types;
use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::Type;
use syn::spanned::Spanned;

use crate::hygiene::{map_key, monoid, number};

/// A statement that compiles when the aggregate is what it was read as; `None` where that is the user's own.
pub(crate) fn same(ty: &Type, read: &Monoid, krate: &CratePath) -> Option<TokenStream> {
    let read = match (read, of_map(ty, read)) {
        // What the map is of stays as it is written.
        (Monoid::Map(key, of, keys), Some(own)) if monoid(of, krate).is_none() => {
            let (key, keys) = (map_key(*key), number(*keys));
            quote!(#krate::aggregate::Map<#key, #own, #keys>)
        }
        _ => monoid(read, krate)?,
    };
    Some(quote_spanned!(ty.span()=> #krate::codegen::same::<#ty, #read>();))
}

/// An assertion that the user's own monoid, or struct in a map, has the reply that the contract has; `None` of others.
pub(crate) fn answer(ty: &Type, read: &Monoid, krate: &CratePath, package: &str) -> Option<TokenStream> {
    let (ty, read) = match (read, of_map(ty, read)) {
        (Monoid::Map(_, of, _), Some(own)) => (own, &**of),
        _ => (ty, read),
    };
    let (proto, message) = match read {
        Monoid::Custom { rust, reply } => (
            reply.clone(),
            format!("the reply of `{rust}` is not `{reply}`; write its protobuf type, as in `as = \"uint64\"`"),
        ),
        Monoid::Struct(name) => {
            let way = "for a monoid of your own write the protobuf type of its reply, as in `as = \"uint64\"`";
            (format!("{package}.{name}"), format!("`{name}` is no aggregate struct of this package; {way}"))
        }
        _ => return None,
    };
    let message = format!("{}: {message}", codes::AGGREGATE_TYPE);
    let same = quote! {
        #krate::wire::same_proto(<<#ty as #krate::aggregate::Monoid>::Reply as #krate::wire::WireField>::PROTO, #proto)
    };
    Some(quote_spanned!(ty.span()=> const _: () = ::core::assert!(#same, #message);))
}

/// The type that a map is of, as it is written.
fn of_map<'a>(ty: &'a Type, read: &Monoid) -> Option<&'a Type> {
    let segment = types::last_segment(ty).filter(|_| matches!(read, Monoid::Map(..)))?;
    types::arguments(segment).get(1).copied()
}
