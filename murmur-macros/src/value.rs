//! `#[murmur::value]`.

use murmur_spec::attr::CratePath;
use murmur_spec::event::Field;
use murmur_spec::model::{Kind, Label};
use murmur_spec::types::Typed;
use murmur_spec::value::{Holds, Shape, Value};
use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::Type;
use syn::spanned::Spanned;

use crate::hygiene::canonical;

/// What makes a type a value, and the checks that its parts are what they were read as.
pub(crate) fn expand(value: &Value) -> TokenStream {
    let (ident, krate) = (&value.ident, &value.krate);
    let checks = match &value.shape {
        Shape::Newtype(ty, kind) => one(ty, kind, krate),
        Shape::Message(fields) => named(fields, krate),
        Shape::Enum(_) => TokenStream::new(),
        Shape::OneOf(variants) => variants
            .iter()
            .map(|variant| match &variant.holds {
                Holds::Nothing => TokenStream::new(),
                Holds::One(ty, kind) => one(ty, kind, krate),
                Holds::Fields(fields) => named(fields, krate),
            })
            .collect(),
    };
    let checks = (!checks.is_empty()).then(|| quote!(const _: fn() = || { #checks };));
    quote! {
        impl #krate::event::Is<#krate::event::AnyValue> for #ident {}
        #checks
    }
}

fn one(ty: &Type, kind: &Kind, krate: &CratePath) -> TokenStream {
    check(ty, &Typed { kind: kind.clone(), label: Label::Plain }, false, krate)
}

fn named(fields: &[Field], krate: &CratePath) -> TokenStream {
    fields.iter().map(|field| check(&field.ty, &field.typed, field.converted, krate)).collect()
}

fn check(ty: &Type, typed: &Typed, converted: bool, krate: &CratePath) -> TokenStream {
    let read = canonical(ty, typed, converted, krate);
    quote_spanned!(ty.span()=> #krate::codegen::is::<#ty, #read>();)
}
