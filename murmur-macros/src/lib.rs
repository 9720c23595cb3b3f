//! The macros of `murmur-stream`, documented where it exports them.

use proc_macro::TokenStream;

mod aggregate;
mod build;
mod checks;
mod event;
mod expand;
mod fallback;
mod format;
mod hygiene;
mod main_macro;
mod pipeline;
mod serde;
#[cfg(test)]
mod tests;
mod totals;
mod value;

use build::Build;
use murmur_spec::item::Marker;

#[allow(missing_docs, reason = "documented in `murmur-stream`")]
#[proc_macro_attribute]
pub fn event(arguments: TokenStream, item: TokenStream) -> TokenStream {
    expand::attribute(Marker::Event, arguments.into(), item.into(), &Build::read()).into()
}

#[allow(missing_docs, reason = "documented in `murmur-stream`")]
#[proc_macro_attribute]
pub fn value(arguments: TokenStream, item: TokenStream) -> TokenStream {
    expand::attribute(Marker::Value, arguments.into(), item.into(), &Build::read()).into()
}

#[allow(missing_docs, reason = "documented in `murmur-stream`")]
#[proc_macro_attribute]
pub fn aggregate(arguments: TokenStream, item: TokenStream) -> TokenStream {
    expand::attribute(Marker::Aggregate, arguments.into(), item.into(), &Build::read()).into()
}

#[allow(missing_docs, reason = "documented in `murmur-stream`")]
#[proc_macro_attribute]
pub fn pipeline(arguments: TokenStream, item: TokenStream) -> TokenStream {
    expand::attribute(Marker::Pipeline, arguments.into(), item.into(), &Build::read()).into()
}

#[allow(missing_docs, reason = "documented in `murmur-stream`")]
#[proc_macro]
pub fn main(arguments: TokenStream) -> TokenStream {
    main_macro::expand(arguments.into(), &Build::read()).into()
}
