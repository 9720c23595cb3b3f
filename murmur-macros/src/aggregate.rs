//! `#[murmur::aggregate]`.

use murmur_spec::aggregate::Aggregate;
use murmur_spec::attr::text;
use murmur_spec::names;
use proc_macro2::TokenStream;
use quote::quote;

use crate::build::Build;
use crate::checks;
use crate::hygiene::{docs, number, public};

/// The struct with the traits that a monoid has, its reply, and the checks that its fields are what they were read as.
pub(crate) fn expand(aggregate: &Aggregate, users: TokenStream, build: &Build) -> TokenStream {
    let (ident, krate) = (&aggregate.ident, &aggregate.krate);
    let name = text(ident);
    let derive = derives(&aggregate.derives);
    let reply = public(&names::reply(&name), ident.span());
    let package = build.package(None);
    let proto = format!("{package}.{name}");
    let numbered: Vec<_> = aggregate.fields.iter().map(|f| (text(&f.ident), f.number.get().copied())).collect();
    let numbers = build.numbers(&name, &numbered);
    let retired = numbers.retired.iter().copied().map(number);
    let fields = aggregate.fields.iter().zip(&numbers.fields).map(|(field, (_, n))| {
        let docs = docs(&field.docs, &format!("The answer of `{}`.", text(&field.ident)));
        let (field, ty, n) = (&field.ident, &field.ty, number(*n));
        quote!(#docs #field: #ty = #n,)
    });
    let types = aggregate.fields.iter().filter_map(|field| checks::same(&field.ty, &field.monoid, krate));
    let answers = aggregate.fields.iter().filter_map(|field| checks::answer(&field.ty, &field.monoid, krate, &package));
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
        #(#answers)*
    }
}

/// The derives that an aggregate needs and the user has not written.
fn derives(written: &[String]) -> TokenStream {
    let missing = |name: &str| !written.iter().any(|derive| derive == name);
    let clone = missing("Clone").then(|| quote!(::core::clone::Clone,));
    let debug = missing("Debug").then(|| quote!(::core::fmt::Debug,));
    quote!(#[derive(#clone #debug)])
}
