//! How payloads are written, in `murmur::main!`: `page_traffic: protobuf<proto::PageView>`.
//!
//! ```text
//! format = "json" | "protobuf" "<" type ">" | "descriptor" "(" bytes "," "name" ")" | "confluent" "<" format ">" | type
//! ```

use murmur_spec::attr::text;
use murmur_spec::ctxt::suggest;
use murmur_spec::types;
use proc_macro2::{Ident, Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::parse::{Parse, ParseStream};
use syn::{Expr, LitStr, Token, Type, parenthesized, token};

use crate::hygiene::public;

const NAMES: [&str; 4] = ["json", "protobuf", "descriptor", "confluent"];

/// A format as it is written.
pub(crate) enum Format {
    Json(Span),
    Protobuf(Span, Box<Type>),
    Descriptor(Span, Box<Expr>, LitStr),
    Confluent(Span, Box<Format>),
    Own(Box<Type>),
}

impl Parse for Format {
    fn parse(input: ParseStream) -> syn::Result<Self> {
        let ahead = input.fork();
        let name = ahead.parse::<Ident>().ok().filter(|_| !ahead.peek(Token![::]));
        let Some(name) = name.filter(|name| text(name).starts_with(|c: char| c.is_lowercase())) else {
            return Ok(Self::Own(input.parse()?));
        };
        input.parse::<Ident>()?;
        let wrong = |form: &str| syn::Error::new(name.span(), format!("`{name}` is written `{form}`"));
        match text(&name).as_str() {
            "json" => Ok(Self::Json(name.span())),
            "protobuf" => {
                let inner = inside(input, || wrong("protobuf<proto::PageView>"))?;
                Ok(Self::Protobuf(name.span(), Box::new(inner)))
            }
            "confluent" => {
                let inner = inside(input, || wrong("confluent<protobuf<proto::PageView>>"))?;
                Ok(Self::Confluent(name.span(), Box::new(inner)))
            }
            "descriptor" => {
                let form = "descriptor(include_bytes!(\"views.bin\"), \"shop.v1.PageView\")";
                if !input.peek(token::Paren) {
                    return Err(wrong(form));
                }
                let content;
                parenthesized!(content in input);
                let bytes = content.parse()?;
                content.parse::<Token![,]>().map_err(|_| wrong(form))?;
                let message = content.parse().map_err(|_| wrong(form))?;
                content.parse::<Option<Token![,]>>()?;
                if content.is_empty() { Ok(Self::Descriptor(name.span(), bytes, message)) } else { Err(wrong(form)) }
            }
            other => {
                let message = match suggest(other, NAMES) {
                    Some(near) => format!("there is no format `{other}`; did you mean `{near}`?"),
                    None => format!(
                        "there is no format `{other}`; there are `json`, `protobuf<proto::PageView>`, \
                         `descriptor(BYTES, \"shop.v1.PageView\")`, `confluent<FORMAT>`, or a type of your own"
                    ),
                };
                Err(syn::Error::new(name.span(), message))
            }
        }
    }
}

/// What stands in `<` and `>`.
fn inside<T: Parse>(input: ParseStream, wrong: impl FnOnce() -> syn::Error) -> syn::Result<T> {
    if !input.peek(Token![<]) {
        return Err(wrong());
    }
    input.parse::<Token![<]>()?;
    let inner = input.parse()?;
    input.parse::<Token![>]>()?;
    Ok(inner)
}

/// The types that stand for what is described by descriptors.
#[derive(Default)]
pub(crate) struct Descriptions {
    /// Each with how it was written: pipelines of one event have the same type.
    written: Vec<String>,
    /// The items.
    pub(crate) items: TokenStream,
}

impl Descriptions {
    /// The type of a format.
    pub(crate) fn ty(&mut self, format: &Format, krate: &TokenStream) -> TokenStream {
        match format {
            Format::Json(at) => {
                let engine = engine(krate, *at);
                quote_spanned!(*at=> #engine::Json)
            }
            Format::Protobuf(at, message) => {
                let engine = engine(krate, *at);
                quote_spanned!(*at=> #engine::Protobuf<#message>)
            }
            Format::Confluent(at, inner) => {
                let (inner, engine) = (self.ty(inner, krate), engine(krate, *at));
                quote_spanned!(*at=> #engine::Confluent<#inner>)
            }
            Format::Descriptor(at, bytes, message) => {
                let (description, engine) = (self.description(bytes, message, krate), engine(krate, *at));
                quote_spanned!(*at=> #engine::Described<#description>)
            }
            Format::Own(ty) => quote!(#ty),
        }
    }

    fn description(&mut self, bytes: &Expr, message: &LitStr, krate: &TokenStream) -> Ident {
        let written = format!("{} {}", types::show(bytes), message.value());
        let known = self.written.iter().position(|other| *other == written);
        let name = public(&format!("MurmurDescription{}", known.unwrap_or(self.written.len())), Span::call_site());
        if known.is_none() {
            self.written.push(written);
            self.items.extend(quote! {
                enum #name {}
                impl #krate::engine::Description for #name {
                    const DESCRIPTORS: &'static [::core::primitive::u8] = #bytes;
                    const MESSAGE: &'static ::core::primitive::str = #message;
                }
            });
        }
        name
    }
}

/// The path of the formats, standing where the format was written: that is what may be wrong.
fn engine(krate: &TokenStream, at: Span) -> TokenStream {
    let krate = krate.clone().into_iter().map(|mut token| {
        token.set_span(at.resolved_at(token.span()));
        token
    });
    let krate: TokenStream = krate.collect();
    quote_spanned!(at=> #krate::engine)
}
