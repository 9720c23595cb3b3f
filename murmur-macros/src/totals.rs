//! The aggregate that a pipeline makes under its own name: of the fields of its event, or of the members of a tuple.

use murmur_spec::event::Event;
use murmur_spec::model::{Label, Monoid};
use murmur_spec::names;
use murmur_spec::pipeline::{Pipeline, Source};
use murmur_spec::totals::Total;
use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::Type;

use crate::build::Build;
use crate::hygiene::{docs, local, monoid, number, public};

/// The struct, and what makes it an aggregate; nothing where the pipeline keeps one that is there already.
pub(crate) fn expand(pipeline: &Pipeline, totals: &Ident, package: &str, build: &Build) -> TokenStream {
    let Some(model) = murmur_spec::package::totals(pipeline) else { return TokenStream::new() };
    let (krate, vis) = (&pipeline.krate, &pipeline.vis);
    let reply = public(&names::reply(&model.name), pipeline.ident.span());
    let numbered: Vec<_> = model.fields.iter().map(|field| (field.name.clone(), field.number)).collect();
    let numbers = build.numbers(&model.name, &numbered);
    let retired = numbers.retired.iter().copied().map(number);
    let fields: Vec<_> = model
        .fields
        .iter()
        .zip(&numbers.fields)
        .enumerate()
        .map(|(place, (field, (_, n)))| {
            let (ident, ty) = match pipeline.members().get(place) {
                Some(member) => (member.ident.clone(), Some(member.ty.to_token_stream())),
                None => (public(&field.name, Span::call_site()), monoid(&field.monoid, krate)),
            };
            (docs(&field.docs, &format!("`{}`.", field.name)), ident, ty, number(*n))
        })
        .collect();
    let plain = fields.iter().map(|(docs, name, ty, _)| quote!(#docs pub #name: #ty,));
    let with_numbers = fields.iter().map(|(docs, name, ty, number)| quote!(#docs #name: #ty = #number,));
    let from = if let Source::Function(function) = &pipeline.source {
        from_tuple(pipeline, &function.output, totals)
    } else {
        TokenStream::new()
    };
    let what = format!(" What the pipeline `{}` keeps of a key.", pipeline.name);
    let proto = format!("{package}.{}", model.name);
    quote! {
        #[doc = #what]
        #[derive(Clone, Debug)]
        #vis struct #totals { #(#plain)* }
        #krate::aggregate_struct! {
            impl #totals;
            #[doc = #what]
            #vis struct #reply: #proto { #(#with_numbers)* }
            retired [#(#retired),*];
        }
        #from
    }
}

/// What one event adds: one to the count, and each field to its aggregates.
pub(crate) fn of_event(pipeline: &Pipeline, event: &Event, from: &Ident) -> TokenStream {
    let krate = &pipeline.krate;
    let totals = public(&names::totals(&pipeline.name), pipeline.ident.span());
    let of = |field: &murmur_spec::event::Field, total: &Total| {
        let (name, ty) = (public(&total.name, Span::call_site()), monoid(&total.monoid, krate));
        let ident = &field.ident;
        let given = match field.typed.label {
            Label::Optional => quote!(#from.#ident.as_ref()),
            _ => quote!(&#from.#ident),
        };
        let make = match total.monoid {
            Monoid::First(_) | Monoid::Last(_) => {
                quote!(<#ty>::at(#krate::event::Event::time(#from).unwrap_or_default(), #given))
            }
            _ => quote!(<#ty>::of(#given)),
        };
        quote_spanned!(total.key.span()=> #name: #make,)
    };
    let fields = event.fields.iter().flat_map(|field| field.totals.iter().map(move |total| of(field, total)));
    quote!(#totals { count: #krate::aggregate::Count::one(), #(#fields)* })
}

/// How a tuple becomes the struct: each member in the field of its name.
fn from_tuple(pipeline: &Pipeline, tuple: &Type, totals: &Ident) -> TokenStream {
    let names = pipeline.members().iter().map(|member| &member.ident);
    let values: Vec<Ident> = (0..pipeline.members().len()).map(|place| local(&format!("member_{place}"))).collect();
    quote! {
        impl ::core::convert::From<#tuple> for #totals {
            fn from((#(#values,)*): #tuple) -> Self {
                Self { #(#names: #values,)* }
            }
        }
    }
}
