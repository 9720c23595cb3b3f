//! What lies in tables stays readable, and is still written so: each kind of stored value beside its bytes in `golden/`.
//!
//! A line that is there is never changed. A new form of a value gets a version, and a line of its own.

use std::fs;

use super::*;
use crate::source::Offset;
use crate::time::Timestamp;

/// As tables hold it: fields with numbers, one that is retired among them.
#[derive(Clone, Debug)]
struct Page {
    views: Count,
    slowest: Max<u64>,
    visitors: Distinct,
}

crate::aggregate_struct! {
    impl Page;
    struct PageReply: "test.v1.Page" {
        views: Count = 1,
        slowest: Max<u64> = 4,
        visitors: Distinct = 300,
    }
    retired [2];
}

/// Each line is a name and the hexadecimal bytes of an [`envelope`].
const LINES: &str = include_str!("golden/stored.txt");

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(seconds)
}

fn fold<M: Monoid>(values: impl IntoIterator<Item = M>) -> M {
    let mut whole = M::identity();
    values.into_iter().for_each(|value| whole.combine(value));
    whole
}

/// What was found, to be said all at once.
#[derive(Default)]
struct Findings {
    seen: Vec<&'static str>,
    wrong: Vec<String>,
}

impl Findings {
    /// A value whose bytes stand in the file of lines.
    fn line<M: Monoid>(&mut self, name: &'static str, value: &M) {
        self.line_with(name, value, &Refused::default());
    }

    fn line_with<M: Monoid>(&mut self, name: &'static str, value: &M, refused: &Refused) {
        let stands = LINES.lines().filter_map(|line| line.split_once(' ')).find(|(known, _)| *known == name);
        let stands = stands.map(|(_, digits)| bytes(digits));
        self.seen.push(name);
        self.compare(name, stands.as_deref().unwrap_or_default(), value, refused);
    }

    /// A value whose bytes have a file of their own, which `BLESS=1` writes where there is none yet.
    fn file<M: Monoid>(&mut self, name: &'static str, value: &M) {
        let file = format!("{}/src/aggregate/golden/{name}.bin", env!("CARGO_MANIFEST_DIR"));
        if std::env::var_os("BLESS").is_some_and(|bless| bless == "1") && !fs::exists(&file).unwrap() {
            fs::write(&file, envelope::seal_with(value, &Refused::default())).unwrap();
        }
        match fs::read(&file) {
            Ok(stands) => self.compare(name, &stands, value, &Refused::default()),
            Err(error) => self.wrong.push(format!("{file}: {error}; `BLESS=1` with this test writes it")),
        }
    }

    fn compare<M: Monoid>(&mut self, name: &str, stands: &[u8], value: &M, refused: &Refused) {
        let written = envelope::seal_with(value, refused);
        if stands != written {
            self.wrong.push(format!("{name} {}", digits(&written)));
        }
        let again = envelope::unseal_with(stands).and_then(|(value, refused)| Ok((M::decode(value)?, refused)));
        match again {
            Ok((again, with)) if envelope::seal_with(&again, &with) == stands => {}
            Ok(_) => self.wrong.push(format!("{name} is another value when it is read")),
            Err(error) => self.wrong.push(format!("{name} cannot be read: {error}")),
        }
    }
}

fn digits(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn bytes(digits: &str) -> Vec<u8> {
    assert_eq!(digits.len() % 2, 0, "{digits}");
    (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap()).collect()
}

#[test]
fn stored_values_are_read_and_written_as_ever() {
    let mut found = Findings::default();
    found.line("count", &Count::of(300));
    found.line("sum_u64", &Sum::<u64>::of(u64::MAX));
    found.line("sum_i64", &fold([Sum::<i64>::of(i64::MIN), Sum::of(1i64)]));
    found.line("sum_f64", &fold([Sum::<f64>::of(0.1), Sum::of(1e300), Sum::of(-1e-300)]));
    found.line("sum_decimal", &Sum::<Decimal<2>>::of("-12.34".parse::<Decimal<2>>().unwrap()));
    found.line("average", &fold([Average::of(1u64), Average::of(-2.5)]));
    found.line("moments", &fold([1.0, 2.0, 4.0].map(|number: f64| Moments::of(number))));
    found.line("decayed", &Decayed::<3600>::of(1.5, at(1_700_000_000)));
    found.line("min_i64", &Min::<i64>::of(-7i64));
    found.line("max_text", &Max::<String>::of("z".to_owned()));
    found.line("max_nothing", &Max::<u64>::identity());
    found.line("first_text", &First::<String>::at(at(5), "one".to_owned()));
    found.line("last_u64", &Last::<u64>::at(at(-5), 7u64));
    found.line("latest_u64", &Latest::<u64>::of(3u64, 42u64));
    found.line("set_text", &fold(["b", "a", ""].map(|text| Set::<String, 100>::of(text.to_owned()))));
    found.line("map_count", &fold([7u64, 3, 7].map(|key| Map::<u64, Count, 100>::of(key, Count::one()))));
    found.line("distinct_few", &fold((0..5u64).map(Distinct::of)));
    found.line("distinct_set_few", &fold((0..5u64).map(DistinctSet::of)));
    found.line("topk", &fold(["a", "b", "a"].map(|item| TopK::<10>::of(item.to_owned()))));
    found.line("quantiles", &fold((0..20).map(|number| Quantiles::of(f64::from(number)))));
    found.line("frequency_none", &Frequency::identity());
    found.line("frequency_few", &fold(["a", "b", "a"].map(Frequency::of)));
    found.line("membership_none", &Membership::<100>::identity());
    found.line("membership_few", &fold(["a", "b", "a"].map(Membership::<100>::of)));
    found.line("membership_many", &fold((0..80u64).map(Membership::<100>::of)));
    let page = |user: u64| Page { views: Count::one(), slowest: Max::of(user * 7), visitors: Distinct::of(user) };
    found.line("struct", &fold((0..3).map(page)));
    // Larger than they can hold one by one: what is left out, and what is kept of it, follows from the log for ever.
    found.file("frequency_many", &fold((0..500u64).map(Frequency::of)));
    found.file("distinct_many", &fold((0..5_000u64).map(Distinct::of)));
    found.file("distinct_set_many", &fold((0..5_000u64).map(DistinctSet::of)));
    found.file("quantiles_many", &fold((0..5_000u32).map(|number| Quantiles::of(number % 997))));
    found.file("topk_many", &fold((0..5_000u64).map(|n| TopK::<10>::of((n * n % 4_099).to_string()))));
    found.file("set_truncated", &fold((0..200u64).map(|n| Set::<u64, 100>::of(n * 7 % 211))));
    found.file("map_truncated", &fold((0..40u64).map(|key| Map::<u64, Count, 10>::of(key * 7 % 41, Count::one()))));
    let mut refused = Refused::default();
    refused.note("a sum is out of its type", Offset::from_u64(4_711));
    found.line_with("refused", &Count::of(3), &refused);

    let known = LINES.lines().filter_map(|line| line.split_once(' ')).filter(|(name, _)| *name != "#");
    found
        .wrong
        .extend(known.filter(|(name, _)| !found.seen.contains(name)).map(|(name, _)| format!("{name}: no value")));
    assert!(found.wrong.is_empty(), "{}", found.wrong.join("\n"));
}
