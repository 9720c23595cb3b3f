//! From an annotated item to tokens: read, place what the build step found, expand.

use murmur_spec::attr::strip;
use murmur_spec::codes::Code;
use murmur_spec::ctxt::{Ctxt, Finding};
use murmur_spec::find::alone;
use murmur_spec::item::{self, Item, Marker};
use proc_macro2::TokenStream;
use quote::quote;

use crate::build::Build;
use crate::{aggregate, event, fallback, pipeline, value};

/// Expand `#[murmur::<marker>(arguments)] item`.
///
/// The user's item always comes out, and whatever is wrong, the traits it should have are implemented: nothing that
/// uses it lights up beside the real mistake.
pub(crate) fn attribute(marker: Marker, arguments: TokenStream, item: TokenStream, build: &Build) -> TokenStream {
    let ctxt = Ctxt::new();
    let item = alone(marker, item, &fallback::head(arguments.clone()).0, &ctxt);
    let apart = ctxt.is_empty();
    let parsed = item::parse(marker, arguments.clone(), item.clone(), &ctxt);
    let own = errors(&ctxt.finish());
    let users = strip(item.clone(), 1);
    let Some(parsed) = parsed.filter(|_| apart) else {
        let stub = fallback::stub(marker, arguments, item);
        return quote!(#own #users #stub);
    };
    let placed = build.findings(&parsed);
    let made = if placed.iter().any(|finding| spoils(finding.code)) {
        let stub = fallback::stub(marker, arguments, item);
        quote!(#users #stub)
    } else {
        match &parsed {
            Item::Event(event) => {
                let (users, made) = event::expand(event, users, &event.krate);
                quote!(#users #made)
            }
            Item::Value(value) => {
                let made = value::expand(value);
                quote!(#users #made)
            }
            Item::Aggregate(aggregate) => aggregate::expand(aggregate, users, build),
            Item::Pipeline(pipeline) => pipeline::expand(pipeline, users, murmur_spec::fingerprint::of(&parsed), build),
        }
    };
    let errors = errors(&placed);
    let agreement = build.agreement(&parsed);
    quote!(#made #errors #agreement)
}

fn errors(findings: &[Finding]) -> TokenStream {
    findings.iter().map(Finding::to_compile_error).collect()
}

/// Whether the expansion of an item with this finding would only give more errors about the same thing. What is said
/// about numbers and the history of a contract does not.
fn spoils(code: Code) -> bool {
    !code.id.starts_with("M06")
}
