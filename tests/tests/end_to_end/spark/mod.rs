//! Sketches to Spark and back, and the answers of both. Each side reads, estimates and merges what the other made of the
//! same events; Spark does it by the SQL of `docs/spark.md`, as it stands there.
//!
//! A further sketch has a section of that page, a file here with its [`Exchanged`], and a line in the test. Aggregates
//! without bytes to exchange are in [`answers`].
//!
//! Some of what Spark makes is kept for the aggregates' own tests, in `murmur/src/aggregate/golden`. `BLESS=1` with this
//! test writes it anew.

use std::fs;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use murmur::aggregate::{Distinct, DistinctSet, Monoid, Quantiles, TopK};
use murmur_tests::{process, tools, workspace};
use serde_json::{Value, json};

mod answers;
mod distinct;
mod quantiles;
mod top_k;

/// An aggregate that Spark has too.
pub(crate) trait Exchanged: Monoid {
    /// Its heading in `docs/spark.md`.
    const SECTION: &str;
    /// The cases of which what Spark makes is kept for the aggregate's own tests.
    const GOLDEN: &[&str];

    /// Cases, by the type that their elements have in Spark.
    fn cases() -> Vec<(&'static str, Vec<Case<Self>>)>;

    /// Whether Spark does the same as we do.
    fn check(case: &Case<Self>, spark: &Spark<Self>);

    /// Whether Spark makes of two of our sketches what we make of them, and we of two of Spark's, where sketches can be
    /// combined in more than one way. `combined` has Spark's rows of two keys.
    fn check_pairs(_cases: &[(&Case<Self>, Self)], _combined: &Value) {}
}

/// Events, and what we make of them.
#[derive(Debug)]
pub(crate) struct Case<A> {
    key: &'static str,
    elements: Vec<Value>,
    ours: A,
}

impl<A: Monoid> Case<A> {
    fn new<T: Clone + Into<Value>>(
        key: &'static str,
        elements: impl IntoIterator<Item = T>,
        of: impl Fn(T) -> A,
    ) -> Self {
        let mut ours = A::identity();
        let elements = elements.into_iter().map(|element| {
            ours.combine(of(element.clone()));
            element.into()
        });
        Self { key, elements: elements.collect(), ours }
    }
}

/// What Spark says of a case.
#[derive(Debug)]
pub(crate) struct Spark<A> {
    /// The sketch that Spark made of the elements.
    made: A,
    /// What it reads in ours.
    read: Value,
    /// Our sketch and its own, merged by Spark.
    joined: A,
    /// What it reads in that one.
    joined_read: Value,
}

#[test]
fn spark_reads_merges_and_makes_the_same_sketches_and_answers_the_same() {
    let folder = tempfile::TempDir::new().unwrap();
    let checks = [
        prepare::<Distinct>(folder.path()),
        prepare::<DistinctSet>(folder.path()),
        prepare::<Quantiles>(folder.path()),
        prepare::<TopK<10>>(folder.path()),
        answers::prepare(folder.path()),
    ];
    let script = workspace().join("tests/clients/spark/exchange.py");
    let page = workspace().join("docs/spark.md");
    let arguments = [&script, &page, folder.path()].map(|path: &Path| path.to_str().unwrap());
    let replies = process::json(tools::spark(), &arguments);
    let tested = format!("Tested with Spark {} ", replies["version"].as_str().unwrap());
    assert!(fs::read_to_string(&page).unwrap().contains(&tested), "docs/spark.md does not say `{tested}`");
    for check in checks {
        check(&replies);
    }
}

/// Write down what Spark gets; what it answers is checked by what is returned.
fn prepare<A: Exchanged>(folder: &Path) -> Box<dyn FnOnce(&Value)> {
    let cases = A::cases();
    for (element, cases) in &cases {
        let lines = cases.iter().map(|Case { key, elements, ours }| {
            let mut sketch = Vec::new();
            ours.encode(&mut sketch);
            json!({ "key": key, "elements": elements, "sketch": BASE64.encode(sketch) }).to_string() + "\n"
        });
        fs::write(folder.join(format!("{}.{element}.jsonl", A::SECTION)), lines.collect::<String>()).unwrap();
    }
    Box::new(move |replies| {
        for (element, cases) in &cases {
            let views = &replies[format!("{}.{element}", A::SECTION)];
            let mut pairs = Vec::new();
            for case in cases {
                let row = |view: &str| &views[view][case.key];
                let bytes = |view| BASE64.decode(row(view)["sketch"].as_str().unwrap()).unwrap();
                let decoded = |view| {
                    A::decode(&bytes(view)).unwrap_or_else(|error| panic!("`{view}` of `{}`: {error}", case.key))
                };
                let mut spark = Spark {
                    made: decoded("made"),
                    read: row("read")["estimate"].clone(),
                    joined: decoded("joined"),
                    joined_read: row("joined")["estimate"].clone(),
                };
                A::check(case, &spark);
                pairs.push((case, spark.made.clone()));
                if A::GOLDEN.contains(&case.key) {
                    let kept = kept(A::SECTION, case.key, &bytes("made"));
                    spark.made = A::decode(&kept).unwrap_or_else(|error| panic!("golden `{}`: {error}", case.key));
                    A::check(case, &spark);
                }
            }
            A::check_pairs(&pairs, &views["combined"]);
        }
    })
}

/// What Spark made when the golden file was written. Not compared with what it makes now: a KLL sketch is another one
/// every time.
fn kept(section: &str, key: &str, made: &[u8]) -> Vec<u8> {
    let file = workspace().join(format!("murmur/src/aggregate/golden/{}_{key}.bin", section.to_lowercase()));
    if std::env::var_os("BLESS").is_some_and(|bless| bless == "1") {
        fs::write(&file, made).unwrap();
    }
    fs::read(&file).unwrap_or_else(|error| panic!("{}: {error}; `BLESS=1` with this test writes it", file.display()))
}
