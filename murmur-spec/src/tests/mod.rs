//! Whole sources, read and lowered.

#[cfg(feature = "emit")]
mod contracts;
mod findings;
mod reading;

use crate::ctxt::Ctxt;
use crate::find::{Scope, annotated};
use crate::item;
use crate::package::{Located, Lowered, lower};

/// Read a source as the build step does. Findings on single items come first, then those of the package.
fn read(source: &str) -> (Lowered, Vec<String>) {
    let file = syn::parse_file(source).unwrap();
    let ctxt = Ctxt::new();
    let runtimes = ["murmur".to_owned()];
    let scope = Scope { runtimes: &runtimes, cfg: &|meta| meta.path().is_ident("unix") };
    let found = annotated(&file.items, &scope, &ctxt);
    let items = found.into_iter().filter_map(|a| item::parse(a.marker, a.arguments, a.item, &ctxt));
    let items: Vec<Located> = items.map(|item| Located { item, file: "src/lib.rs".into() }).collect();
    let lowered = lower(&items, "shop.v1");
    let mut findings: Vec<String> = ctxt.finish().iter().map(|finding| finding.text()).collect();
    findings.extend(
        lowered
            .findings
            .iter()
            .map(|placed| format!("{}: {} {}: {}", placed.code, placed.item, placed.part.to_word(), placed.message)),
    );
    (lowered, findings)
}
