//! `murmur::main!`.

use murmur_spec::attr::text;
use murmur_spec::ctxt::suggest;
use murmur_spec::{codes, names};
use proc_macro2::{Span, TokenStream};
use quote::quote;
use syn::parse::{Parse, ParseStream, Parser};
use syn::punctuated::Punctuated;
use syn::{Ident, Path, Token};

use crate::build::{Build, assertion};
use crate::format::{Descriptions, Format};
use crate::hygiene::public;

/// `page_traffic, shop::likes: protobuf<proto::Like>; generator = generator::line, crate = path`.
struct Arguments {
    pipelines: Vec<Pipeline>,
    generator: Option<Path>,
    start: Option<Path>,
    krate: Option<Path>,
}

/// A pipeline of the binary.
struct Pipeline {
    /// As it was named.
    written: Path,
    /// Its marker type.
    marker: Path,
    format: Option<Format>,
}

impl Parse for Arguments {
    fn parse(input: ParseStream) -> syn::Result<Self> {
        let mut out = Self { pipelines: Vec::new(), generator: None, start: None, krate: None };
        while !input.is_empty() && !input.peek(Token![;]) {
            let written = input.call(Path::parse_mod_style)?;
            let marker = marker(&written);
            let shown = |path: &Path| quote!(#path).to_string();
            if out.pipelines.iter().any(|other| shown(&other.marker) == shown(&marker)) {
                let name = written.segments.last().map(|last| text(&last.ident)).unwrap_or_default();
                let message = format!("the pipeline `{name}` is named twice; each runs once");
                return Err(syn::Error::new_spanned(&written, message));
            }
            let format = input.parse::<Option<Token![:]>>()?.map(|_| input.parse()).transpose()?;
            out.pipelines.push(Pipeline { written, marker, format });
            if !input.is_empty() && !input.peek(Token![;]) {
                input.parse::<Token![,]>()?;
            }
        }
        if out.pipelines.is_empty() {
            return Err(input.error("name at least one pipeline: `murmur::main!(page_traffic);`"));
        }
        if input.parse::<Option<Token![;]>>()?.is_some() {
            let setting = |input: ParseStream| {
                let key = input.call(<Ident as syn::ext::IdentExt>::parse_any)?;
                input.parse::<Token![=]>()?;
                Ok((key, input.call(Path::parse_mod_style)?))
            };
            for (key, path) in Punctuated::<_, Token![,]>::parse_terminated_with(input, setting)? {
                match text(&key).as_str() {
                    "generator" if out.generator.is_none() => out.generator = Some(path),
                    "start" if out.start.is_none() => out.start = Some(path),
                    "crate" if out.krate.is_none() => out.krate = Some(path),
                    _ => {
                        let message = format!(
                            "`{key}` cannot be said here, or twice; possible are `generator`, `start` and `crate`, each `= path`"
                        );
                        return Err(syn::Error::new(key.span(), message));
                    }
                }
            }
        }
        Ok(out)
    }
}

/// The function `main`.
pub(crate) fn expand(arguments: TokenStream, build: &Build) -> TokenStream {
    let arguments = match Arguments::parse.parse2(arguments) {
        Ok(arguments) => arguments,
        Err(error) => {
            let error = syn::Error::new(error.span(), format!("{}: {error}", codes::ATTRIBUTE_FORM)).to_compile_error();
            // Without a `main` there would be a second error.
            return quote!(#error fn main() {});
        }
    };
    let krate = arguments.krate.map_or_else(|| quote!(::murmur), |path| quote!(#path));
    let typos = arguments.pipelines.iter().filter_map(|pipeline| typo(&pipeline.written, build)).collect::<Vec<_>>();
    if !typos.is_empty() {
        let typos = typos.iter().map(syn::Error::to_compile_error);
        return quote!(#(#typos)* fn main() {});
    }
    let mut descriptions = Descriptions::default();
    let pipelines: Vec<_> = arguments
        .pipelines
        .iter()
        .map(|Pipeline { marker, format, .. }| match format {
            None => quote!(.pipeline::<#marker>()),
            Some(format) => {
                let format = descriptions.ty(format, &krate);
                quote!(.pipeline_in::<#marker, #format>())
            }
        })
        .collect();
    let descriptions = descriptions.items;
    let generator = arguments.generator.map(|path| quote!(.generator(#path)));
    let start = arguments.start.map(|path| quote!(.start(#path)));
    let (contracts, missing) = if build.is_absent() {
        let message = "no build step ran; add `murmur_build::run()` to build.rs";
        let missing = assertion(codes::NO_BUILD_STEP, message, Span::call_site());
        (quote!(<#krate::app::Contracts as ::core::default::Default>::default()), missing)
    } else {
        let path = quote!(::core::concat!(::core::env!("OUT_DIR"), "/murmur/contracts.rs"));
        (quote!(#krate::app::Contracts::from(::core::include!(#path))), TokenStream::new())
    };
    quote! {
        #missing
        fn main() -> ::std::process::ExitCode {
            #descriptions
            #krate::app::App::new(::core::env!("CARGO_BIN_NAME"), #contracts)
                #(#pipelines)*
                #generator
                #start
                .run()
        }
    }
}

/// A name of this crate that was meant to be another one; rustc would speak of the marker type. Who brings a pipeline of
/// another crate by `use` and has one of nearly the same name writes its path.
fn typo(written: &Path, build: &Build) -> Option<syn::Error> {
    let name = written.get_ident().map(text).filter(|name| names::is_snake(name))?;
    // Names that differ in where a number begins make one key.
    let known = build.pipelines();
    if known.iter().any(|known| names::key(known) == names::key(&name)) {
        return None;
    }
    let near = suggest(&name, known.iter().map(String::as_str))?;
    let message = format!(
        "{}: this crate has no pipeline `{name}`; did you mean `{near}`? One of another crate is written with its path",
        codes::ATTRIBUTE_FORM
    );
    Some(syn::Error::new_spanned(written, message))
}

/// The marker type beside a pipeline's function; a path to a marker stays as it is.
fn marker(path: &Path) -> Path {
    let mut path = path.clone();
    if let Some(last) = path.segments.last_mut() {
        let name = text(&last.ident);
        if names::is_snake(&name) {
            last.ident = public(&names::marker(&name), last.ident.span());
        }
    }
    path
}
