//! What every decoder of untrusted or stored bytes has to stand.
//!
//! One body per decoder, which takes any bytes and panics when a promise breaks: what is decoded and written again is
//! one spelling that never changes, combining and answering never panic, and decoding allocates a constant and a small
//! multiple of its input at most. `fuzz/` runs the bodies under a fuzzer, and the tests below run them over what it
//! kept. Not for people: there is no promise about anything in here.
//!
//! A decoder is added by one line of [`targets`]; an aggregate by `("name", of(|n| ITS VALUE OF EVENT n))`, and a
//! field in `aggregates::Everything`. What is small shares a target with others, and the first byte chooses.

mod aggregates;
#[cfg(feature = "descriptor")]
mod events;
mod kept;
mod keys;
mod meter;
#[cfg(all(feature = "descriptor", feature = "grpc"))]
mod port;
#[cfg(feature = "descriptor")]
mod schema;
#[cfg(all(feature = "descriptor", feature = "grpc"))]
mod service;
mod texts;

use self::aggregates::{Everything, of};
use crate::aggregate::{
    Average, Count, Decayed, Decimal, Distinct, DistinctSet, First, Frequency, Last, Latest, Map, Max, Membership, Min,
    Moments, Quantiles, Set, Sum, TopK,
};
use crate::time::Timestamp;
pub(crate) use kept::summed;
pub(crate) use meter::bounded;
pub use meter::{Meter, measure_by};

/// Something that takes bytes of any origin.
pub trait Body {
    /// Take them. Panics when a promise does not hold.
    fn run(&self, bytes: &[u8]);

    /// Inputs to begin with: of every kind that is written one.
    fn seeds(&self) -> Vec<Vec<u8>>;
}

/// A body that is a function, with its seeds.
struct Plain(fn(&[u8]), fn() -> Vec<Vec<u8>>);

fn plain(run: fn(&[u8]), seeds: fn() -> Vec<Vec<u8>>) -> Box<dyn Body> {
    Box::new(Plain(run, seeds))
}

impl Body for Plain {
    fn run(&self, bytes: &[u8]) {
        (self.0)(bytes);
    }

    fn seeds(&self) -> Vec<Vec<u8>> {
        (self.1)()
    }
}

/// One of several bodies, which the first byte chooses by its place. New ones go to the end: what was kept stays true.
struct Chosen(Vec<Box<dyn Body>>);

fn chosen<const N: usize>(bodies: [Box<dyn Body>; N]) -> Box<dyn Body> {
    Box::new(Chosen(bodies.into()))
}

impl Body for Chosen {
    fn run(&self, bytes: &[u8]) {
        if let Some((&place, rest)) = bytes.split_first()
            && let Some(body) = self.0.get(usize::from(place))
        {
            body.run(rest);
        }
    }

    fn seeds(&self) -> Vec<Vec<u8>> {
        let seeds = (0u8..)
            .zip(&self.0)
            .flat_map(|(place, body)| body.seeds().into_iter().map(move |seed| [&[place], seed.as_slice()].concat()));
        seeds.collect()
    }
}

/// All bodies, by name.
pub fn targets() -> Vec<(&'static str, Box<dyn Body>)> {
    Vec::from([
        (
            "values",
            chosen([
                of(Count::of),
                of(|n| Sum::<i64>::of(n as i64)),
                of(Sum::<u64>::of),
                of(|n| Sum::<f64>::of(n as f64 / 7.0)),
                of(|n| Average::of(n as f64 / 7.0)),
                of(|n| Max::<u32>::of(n as u32)),
                of(Min::<u64>::of),
                of(|n| Max::<i32>::of(n as i32)),
                of(|n| Min::<i64>::of(-(n as i64))),
                of(|n| Max::<f64>::of(n as f64)),
                of(|n| Min::<bool>::of(n == 0)),
                of(|n| Max::<Timestamp>::of(at(n))),
                of(|n| Min::<String>::of(format!("text {n}"))),
                of(|n| First::<u32>::at(at(n), n as u32)),
                of(|n| Last::<u64>::at(at(n), n)),
                of(|n| First::<i32>::at(at(n), n as i32)),
                of(|n| Last::<i64>::at(at(n), n as i64)),
                of(|n| First::<f64>::at(at(n), n as f64)),
                of(|n| Last::<bool>::at(at(n), n == 0)),
                of(|n| First::<Timestamp>::at(at(n), at(n))),
                of(|n| Last::<String>::at(at(n), format!("text {n}"))),
                of(|n| Moments::of(n as f64 / 7.0)),
                of(|n| Sum::<Decimal<2>>::of(Decimal::from_units(n as i64))),
                of(|n| Decayed::<3600>::of(n as f64 / 7.0, Timestamp::from_seconds(n as i64 * 60))),
                of(|n| Latest::<f64>::of(n / 3, n as f64)),
                of(|n| Latest::<String>::of(at(n), format!("text {n}"))),
            ]),
        ),
        (
            "collections",
            chosen([
                of(|n| Set::<String, 3>::of(format!("text {}", n * n % 301))),
                of(|n| Set::<u32, 10>::of((n * n % 301) as u32)),
                of(|n| Set::<i64, 1>::of(-(n as i64))),
                of(|n| Set::<Timestamp, 4>::of(at(n))),
                of(|n| Map::<String, Count, 3>::of(format!("key {}", n * n % 301), Count::of(n))),
                of(|n| Map::<i64, Distinct, 5>::of(n as i64 % 7, Distinct::of(n))),
                of(|n| Map::<u32, Last<i64>, 2>::of(n as u32 % 3, Last::at(at(n), n as i64))),
                of(|n| Map::<bool, Max<String>, 2>::of(n % 2 == 0, Max::of(format!("text {n}")))),
            ]),
        ),
        ("distinct", of(Distinct::of)),
        ("distinct_set", of(DistinctSet::of)),
        ("quantiles", of(|n| Quantiles::of(n * n % 301))),
        ("top_k", of(|n| TopK::<10>::of(format!("item {}", n * n % 301)))),
        ("membership", of(Membership::<1_000>::of)),
        ("frequency", of(|n| Frequency::of(n * n % 301))),
        ("struct", chosen([of(Everything::of), plain(aggregates::reply, aggregates::replies)])),
        (
            "stored",
            chosen([
                plain(kept::envelope, kept::envelopes),
                plain(kept::offset, kept::offsets),
                plain(kept::partition_record, kept::partition_records),
                plain(crate::engine::fuzz::frontier, crate::engine::fuzz::frontiers),
                plain(crate::engine::fuzz::owner, crate::engine::fuzz::owners),
                plain(crate::source::dead_letter::fuzz::line, crate::source::dead_letter::fuzz::lines),
            ]),
        ),
        #[cfg(feature = "embedded")]
        (
            "embedded",
            chosen([
                plain(crate::store::embedded::fuzz::row, crate::store::embedded::fuzz::rows),
                plain(crate::store::embedded::fuzz::item, crate::store::embedded::fuzz::items),
                plain(crate::store::embedded::fuzz::record, crate::store::embedded::fuzz::records),
            ]),
        ),
        #[cfg(feature = "dynamodb")]
        ("dynamodb", plain(crate::store::dynamodb::fuzz::item, crate::store::dynamodb::fuzz::items)),
        #[cfg(feature = "jsonl")]
        (
            "jsonl",
            chosen([
                plain(crate::source::jsonl::fuzz::lines, crate::source::jsonl::fuzz::texts),
                plain(crate::source::jsonl::fuzz::manifest, crate::source::jsonl::fuzz::manifests),
                plain(crate::source::jsonl::fuzz::head, crate::source::jsonl::fuzz::heads),
            ]),
        ),
        (
            "texts",
            chosen([
                plain(keys::key, keys::keys),
                plain(texts::times, texts::some_times),
                plain(texts::decimals, texts::some_decimals),
                plain(texts::locations, texts::some_locations),
                plain(texts::headers, texts::some_headers),
            ]),
        ),
        #[cfg(feature = "descriptor")]
        ("json", plain(events::json, events::texts)),
        #[cfg(feature = "descriptor")]
        ("protobuf", chosen([plain(events::described, events::messages), plain(events::confluent, events::prefixed)])),
        #[cfg(all(feature = "descriptor", feature = "grpc"))]
        ("service", plain(service::call, service::calls)),
        #[cfg(all(feature = "descriptor", feature = "grpc"))]
        ("port", plain(port::connection, port::connections)),
    ])
}

/// The time of event `n`: some share one.
fn at(n: u64) -> Timestamp {
    Timestamp::from_micros((n / 3) as i64)
}

/// What must be there.
#[track_caller]
pub(crate) fn must<T, E: std::fmt::Debug>(result: Result<T, E>, what: &str) -> T {
    result.unwrap_or_else(|error| panic!("{what}: {error:?}"))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::{Path, PathBuf};

    use super::*;

    fn corpus() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus")
    }

    #[test]
    fn seeds_of_every_kind_are_taken() {
        for (name, body) in targets() {
            eprintln!("{name}");
            let seeds = body.seeds();
            assert!(!seeds.is_empty());
            seeds.iter().for_each(|seed| body.run(seed));
        }
    }

    #[test]
    fn what_the_fuzzer_kept_is_taken() {
        for (name, body) in targets() {
            let folder = corpus().join(name);
            let files = std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
            let mut count = 0;
            for file in files {
                let path = file.unwrap().path();
                // Shown with the panic of this input, should there be one.
                eprintln!("{}", path.display());
                body.run(&std::fs::read(&path).unwrap());
                count += 1;
            }
            assert!(count > 0, "{} is empty; `scripts/fuzz.sh keep {name}` fills it", folder.display());
        }
    }

    #[test]
    fn nothing_is_kept_for_a_decoder_that_is_not_there() {
        let known: BTreeSet<&str> = targets().iter().map(|(name, _)| *name).collect();
        let source = include_str!("mod.rs");
        for folder in std::fs::read_dir(corpus()).unwrap() {
            let name = folder.unwrap().file_name().into_string().unwrap();
            // It may be of a feature that this build does not have.
            assert!(known.contains(&*name) || source.contains(&format!("\"{name}\",")), "fuzz/corpus/{name}");
        }
    }
}
