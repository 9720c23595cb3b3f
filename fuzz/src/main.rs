//! One body of `murmur::fuzzing` under libFuzzer: the one that `MURMUR_FUZZ` names. `scripts/fuzz.sh` runs it.
//!
//! All decoders are one program: adding one is a line in the library, and there is one thing to link.
#![no_main]

mod allocator;

use std::path::Path;

use allocator::Counting;
use libfuzzer_sys::fuzz_target;
use murmur::fuzzing::{Body, Meter, measure_by, targets};

#[global_allocator]
static ALLOCATOR: Counting = Counting::new();

thread_local! {
    // libFuzzer runs all inputs on one thread.
    static BODY: Box<dyn Body> = named();
}

fn named() -> Box<dyn Body> {
    let name = std::env::var("MURMUR_FUZZ").unwrap_or_default();
    let mut known = targets();
    let names: Vec<&str> = known.iter().map(|(name, _)| *name).collect();
    let Some(at) = names.iter().position(|known| *known == name) else {
        // With this on standard output, it is the list of them.
        println!("{}", names.join("\n"));
        std::process::exit(if name == "list" { 0 } else { 2 });
    };
    known.swap_remove(at).1
}

/// Write the seeds where `MURMUR_FUZZ_SEEDS` says.
fn write_seeds(body: &dyn Body) {
    let Some(folder) = std::env::var_os("MURMUR_FUZZ_SEEDS") else { return };
    for (n, seed) in body.seeds().into_iter().enumerate() {
        let file = Path::new(&folder).join(format!("seed-{n:03}"));
        std::fs::write(&file, seed).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    }
}

fuzz_target!(
    init: {
        BODY.with(|body| write_seeds(&**body));
        measure_by(Meter { begin: || ALLOCATOR.begin(), peak: || ALLOCATOR.peak() });
    },
    |bytes: &[u8]| BODY.with(|body| body.run(bytes))
);
