//! `#[murmur::event]`.

use murmur_spec::attr::{CratePath, text};
use murmur_spec::beside::Beside;
use murmur_spec::codes;
use murmur_spec::event::{Event, Field};
use murmur_spec::model::Label;
use murmur_spec::types;
use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;

use crate::hygiene::{canonical, field_hash, local};
use crate::serde::{self, Reading};

/// The user's struct, and the traits of an event. `krate` is that of the attribute, which may be a pipeline's.
pub(crate) fn expand(event: &Event, users: TokenStream, krate: &CratePath) -> (TokenStream, TokenStream) {
    let (users, reading) = serde::leave_out(event, users);
    let apart = (reading == Reading::Unknown).then(|| read_once(event, krate));
    let traits = traits(event, krate);
    (users, quote!(#traits #apart))
}

fn traits(event: &Event, krate: &CratePath) -> TokenStream {
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
    let beside = beside(event, krate);
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
            #beside

            fn time(&self) -> ::core::option::Option<#krate::time::Timestamp> {
                #time
            }
        }
        #timed
        #(#fields)*
    }
}

/// The fields that do not come from the payload, and how they are set.
fn beside(event: &Event, krate: &CratePath) -> Option<TokenStream> {
    let fields: Vec<_> =
        event.fields.iter().filter_map(|field| field.beside.get().map(|beside| (field, beside))).collect();
    if fields.is_empty() {
        return None;
    }
    let envelope = local("envelope");
    let listed = fields.iter().map(|(field, beside)| {
        let (name, required) = (text(&field.ident), field.typed.label != Label::Optional);
        let place = match beside {
            Beside::Header(header) => quote!(Header(#header)),
            Beside::RecordKey => quote!(RecordKey),
            Beside::BrokerTime => quote!(BrokerTime),
        };
        quote!(#krate::event::BesideField { name: #name, place: #krate::event::Place::#place, required: #required })
    });
    let set = fields.iter().enumerate().map(|(place, (field, beside))| {
        let (name, ty) = (&field.ident, &field.ty);
        let from = quote!(<Self as #krate::event::Event>::BESIDE[#place]);
        // The call points at the type: that is what may be wrong.
        let value = match beside {
            Beside::BrokerTime => quote_spanned!(ty.span()=> #from.time(#envelope)),
            Beside::Header(_) | Beside::RecordKey => quote_spanned!(ty.span()=> #from.read(#envelope)?),
        };
        match field.typed.label {
            Label::Optional => quote!(self.#name = #value;),
            _ => quote!(self.#name = #value.ok_or_else(|| #from.missing(#envelope))?;),
        }
    });
    Some(quote! {
        const BESIDE: &'static [#krate::event::BesideField] = &[#(#listed),*];

        fn fill(
            &mut self,
            #envelope: &#krate::source::Envelope<'_>,
        ) -> ::core::result::Result<(), ::std::string::String> {
            #(#set)*
            ::core::result::Result::Ok(())
        }
    })
}

/// Has the compiler look whether serde reads the event, where its fields should have been left out.
fn read_once(event: &Event, krate: &CratePath) -> TokenStream {
    let ident = &event.ident;
    let field = event.fields.iter().find(|field| field.beside.is_given()).map_or(ident, |field| &field.ident);
    let code = codes::READ_TWICE;
    let message = format!(
        "{code}: `{name}` stands beside the payload, and serde would look for it inside; move `#[derive(Deserialize)]` \
         below the `murmur` attribute, or write `#[serde(skip)]` on `{name}`",
        name = text(field)
    );
    quote_spanned! {field.span()=>
        const _: () = {
            #[allow(unused_imports, reason = "of use only where serde does not read the event")]
            use #krate::codegen::NotBySerde as _;
            if #krate::codegen::Read::<#ident>::BY_SERDE {
                ::core::panic!(#message)
            }
        };
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
