//! What an item with mistakes still gets, so that nothing which uses it lights up.

use murmur_spec::attr::{entries, text};
use murmur_spec::ctxt::Ctxt;
use murmur_spec::item::Marker;
use murmur_spec::{aggregate, attr::CratePath, names, types};
use proc_macro2::{Ident, TokenStream, TokenTree};
use quote::{ToTokens, quote};

use crate::hygiene::{field_hash, public};

/// The traits that the item should have. Nothing for what has no name or has parameters.
pub(crate) fn stub(marker: Marker, arguments: TokenStream, item: TokenStream) -> TokenStream {
    let Some((ident, keyword)) = named(item.clone()) else { return TokenStream::new() };
    let (krate, name) = head(arguments);
    match (marker, keyword.as_str()) {
        (Marker::Event, "struct" | "enum") => event(&ident, item, &krate),
        (Marker::Value, "struct" | "enum") => quote!(impl #krate::event::Is<#krate::event::AnyValue> for #ident {}),
        (Marker::Aggregate, "struct") => {
            let reply = public(&names::reply(&text(&ident)), ident.span());
            let derived =
                syn::parse2::<syn::ItemStruct>(item).map(|item| aggregate::derives(&item.attrs)).unwrap_or_default();
            let missing = |name: &str| !derived.iter().any(|derive| derive == name);
            let clone = missing("Clone").then(|| quote!(clone));
            let debug = missing("Debug").then(|| quote!(debug));
            quote! {
                #krate::no_aggregate!(#ident #clone #debug);
                #[allow(dead_code, reason = "it stands for a reply that could not be made")]
                pub type #reply = ::core::primitive::u64;
            }
        }
        (Marker::Pipeline, "struct" | "fn") => {
            let event = (keyword == "struct").then(|| self::event(&ident, item, &krate));
            let name = name.unwrap_or_else(|| text(&ident));
            let clash = keyword == "struct" && names::marker(&name) == text(&ident);
            let pipeline = (!clash && names::is_snake(&name)).then(|| pipeline(&ident, &name, &krate));
            quote!(#event #pipeline)
        }
        _ => TokenStream::new(),
    }
}

/// The name of an item without parameters, and its keyword.
fn named(item: TokenStream) -> Option<(Ident, String)> {
    let mut tokens = item.into_iter().peekable();
    loop {
        let TokenTree::Ident(keyword) = tokens.next()? else { continue };
        if !["struct", "enum", "fn"].iter().any(|word| keyword == word) {
            continue;
        }
        let TokenTree::Ident(ident) = tokens.next()? else { return None };
        let generic = matches!(tokens.peek(), Some(TokenTree::Punct(punct)) if punct.as_char() == '<');
        return (!generic || keyword == "fn").then(|| (ident, keyword.to_string()));
    }
}

/// What can be understood of the arguments: the crate's path and the name.
pub(crate) fn head(arguments: TokenStream) -> (CratePath, Option<String>) {
    let ctxt = Ctxt::new();
    let (mut krate, mut name) = (CratePath::default(), None);
    for entry in entries(arguments, &ctxt) {
        match entry.name().as_str() {
            "crate" => krate.set(&entry, &ctxt),
            "name" => name = entry.string("", &ctxt),
            _ => {}
        }
    }
    // The item's own reading has said all of it.
    ctxt.finish();
    (krate, name)
}

fn event(ident: &Ident, item: TokenStream, krate: &CratePath) -> TokenStream {
    let name = text(ident);
    let fields = syn::parse2::<syn::ItemStruct>(item).map(|item| item.fields).ok();
    let fields = fields.iter().flatten().filter_map(|field| {
        let name = field.ident.as_ref()?;
        let hash = field_hash(&text(name));
        let ctxt = Ctxt::new();
        types::read(&field.ty, &ctxt);
        // What cannot be a field becomes something that can be anything, a key too.
        let (ty, get) = match ctxt.finish().is_empty() {
            true => (field.ty.to_token_stream(), quote!(&self.#name)),
            false => (quote!(::std::string::String), quote!(::core::unreachable!())),
        };
        let conditions = field.attrs.iter().filter(|attribute| attribute.path().is_ident("cfg"));
        Some(quote! {
            #(#conditions)*
            impl #krate::event::Field<#hash> for #ident {
                type Type = #ty;
                type Read = #krate::codegen::Unread;
                fn get(&self) -> &#ty {
                    #get
                }
            }
        })
    });
    quote! {
        impl #krate::event::Event for #ident {
            const NAME: &'static ::core::primitive::str = #name;
            const FIELDS: &'static [&'static ::core::primitive::str] = &[];
            fn time(&self) -> ::core::option::Option<#krate::time::Timestamp> {
                ::core::option::Option::None
            }
        }
        impl #krate::event::Timed for #ident {}
        #(#fields)*
    }
}

fn pipeline(ident: &Ident, name: &str, krate: &CratePath) -> TokenStream {
    let marker = public(&names::marker(name), ident.span());
    let key = public(&names::key(name), ident.span());
    let service = names::service(name);
    quote! {
        #[allow(missing_docs, dead_code, reason = "it stands for a pipeline that could not be read")]
        #[derive(Clone, Copy, Debug)]
        pub struct #marker;
        #[allow(missing_docs, dead_code, reason = "it stands for a key that could not be read")]
        pub type #key = #krate::codegen::NoKey;
        impl #krate::pipeline::Pipeline for #marker {
            type Event = #krate::codegen::NoEvent;
            type Key = #krate::codegen::NoKey;
            type Aggregate = #krate::aggregate::Count;
            const SPEC: #krate::pipeline::Spec = #krate::pipeline::Spec {
                name: #name,
                package: "",
                service: #service,
                about: "",
                window: #krate::time::Window::AllTime,
                fingerprint: 0,
            };
            fn apply(_: &Self::Event, _: &mut #krate::pipeline::Emissions<Self::Aggregate>) {}
        }
    }
}
