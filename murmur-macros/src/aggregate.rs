//! `#[murmur::aggregate]`.

use murmur_spec::aggregate::Aggregate;
use murmur_spec::attr::text;
use murmur_spec::model::Monoid;
use murmur_spec::{codes, names};
use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;

use crate::build::Build;
use crate::hygiene::{docs, monoid, number, public};

/// The struct with the traits that a monoid has, its reply, and the checks that its fields are what they were read as.
pub(crate) fn expand(aggregate: &Aggregate, users: TokenStream, build: &Build) -> TokenStream {
    let (ident, krate) = (&aggregate.ident, &aggregate.krate);
    let name = text(ident);
    let derive = derives(&aggregate.derives);
    let reply = public(&names::reply(&name), ident.span());
    let proto = format!("{}.{name}", build.package(None));
    let numbered: Vec<_> = aggregate.fields.iter().map(|f| (text(&f.ident), f.number.get().copied())).collect();
    let numbers = build.numbers(&name, &numbered);
    let retired = numbers.retired.iter().copied().map(number);
    let fields = aggregate.fields.iter().zip(&numbers.fields).map(|(field, (_, n))| {
        let docs = docs(&field.docs, &format!("The answer of `{}`.", text(&field.ident)));
        let (field, ty, n) = (&field.ident, &field.ty, number(*n));
        quote!(#docs #field: #ty = #n,)
    });
    let types = aggregate.fields.iter().filter_map(|field| {
        let (ty, read) = (&field.ty, monoid(&field.monoid, krate)?);
        Some(quote_spanned!(ty.span()=> #krate::codegen::same::<#ty, #read>();))
    });
    let replies = aggregate.fields.iter().filter_map(|field| {
        let (ty, Monoid::Custom { rust, reply }) = (&field.ty, &field.monoid) else { return None };
        let message = format!("the reply of `{rust}` is not `{reply}`; write its protobuf type, as in `#[murmur(as = \"uint64\")]`");
        let message = format!("{}: {message}", codes::AGGREGATE_TYPE);
        let same = quote! {
            #krate::wire::same_proto(<<#ty as #krate::aggregate::Monoid>::Reply as #krate::wire::WireField>::PROTO, #reply)
        };
        Some(quote_spanned!(ty.span()=> const _: () = ::core::assert!(#same, #message);))
    });
    let (vis, docs) = (&aggregate.vis, docs(&aggregate.docs, &format!("The answer of `{name}`.")));
    quote! {
        #derive
        #users
        #krate::aggregate_struct! {
            impl #ident;
            #docs
            #vis struct #reply: #proto { #(#fields)* }
            retired [#(#retired),*];
        }
        const _: fn() = || { #(#types)* };
        #(#replies)*
    }
}

/// The derives that an aggregate needs and the user has not written.
fn derives(written: &[String]) -> TokenStream {
    let missing = |name: &str| !written.iter().any(|derive| derive == name);
    let clone = missing("Clone").then(|| quote!(::core::clone::Clone,));
    let debug = missing("Debug").then(|| quote!(::core::fmt::Debug,));
    quote!(#[derive(#clone #debug)])
}
