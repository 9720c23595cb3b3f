//! `#[murmur::event]`.

use murmur_spec::attr::{CratePath, text};
use murmur_spec::event::{Event, Field};
use murmur_spec::types;
use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;

use crate::hygiene::{canonical, field_hash};

/// The traits of an event. `krate` is that of the attribute, which may be a pipeline's.
pub(crate) fn expand(event: &Event, krate: &CratePath) -> TokenStream {
    let ident = &event.ident;
    let name = text(ident);
    let names = event.fields.iter().map(|field| text(&field.ident));
    let time = event.fields.iter().find(|field| field.time.is_given());
    let timed = time.map(|_| quote!(impl #krate::event::Timed for #ident {}));
    let time = match time {
        Some(field) => {
            let instant = instant(field, krate);
            quote!(::core::option::Option::Some(#instant))
        }
        None => quote!(::core::option::Option::None),
    };
    let fields = event.fields.iter().map(|field| {
        let (name, ty) = (&field.ident, &field.ty);
        let hash = field_hash(&text(name));
        // Of the time more is asked below; asking twice would give two errors for one mistake.
        let read = match field.time.is_given() {
            true => quote!(#krate::codegen::Unread),
            false => canonical(ty, &field.typed, field.converted, krate),
        };
        quote! {
            impl #krate::event::Field<#hash> for #ident {
                type Type = #ty;
                type Read = #read;

                fn get(&self) -> &#ty {
                    &self.#name
                }
            }
        }
    });
    quote! {
        impl #krate::event::Event for #ident {
            const NAME: &'static ::core::primitive::str = #name;
            const FIELDS: &'static [&'static ::core::primitive::str] = &[#(#names),*];

            fn time(&self) -> ::core::option::Option<#krate::time::Timestamp> {
                #time
            }
        }
        #timed
        #(#fields)*
    }
}

/// The time of an event as a timestamp.
fn instant(field: &Field, krate: &CratePath) -> TokenStream {
    let ty = &field.ty;
    // The whole call points at the type: that is what may be wrong.
    let mut name = field.ident.clone();
    name.set_span(ty.span());
    let foreign = types::last_segment(ty).is_some_and(|segment| segment.ident == "DateTime");
    if foreign {
        quote_spanned! {ty.span()=>
            #krate::event::Instant::instant(
                &::core::convert::Into::<::std::time::SystemTime>::into(::core::clone::Clone::clone(&self.#name))
            )
        }
    } else {
        quote_spanned!(ty.span()=> #krate::event::Instant::instant(&self.#name))
    }
}
