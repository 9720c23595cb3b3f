//! Every aggregate's own bytes.

use std::sync::LazyLock;

use prost::Message as _;

use super::{Body, at, bounded, must};
use crate::aggregate::{
    Average, Count, Decayed, Decimal, Distinct, DistinctSet, First, Form, Frequency, Last, Latest, Map, Max,
    Membership, Min, Moments, Monoid, Probe, Quantiles, Question, Set, Sum, TopK,
};
use crate::time::Timestamp;
use crate::wire::WireField;

/// The encoded value of an aggregate.
struct Of<M> {
    /// What decoded values are combined with: folds of none, one, a few and many events.
    partners: Vec<M>,
}

/// The body of an aggregate. `event` makes the value of event `n`.
pub(super) fn of<M: Monoid>(event: fn(u64) -> M) -> Box<dyn Body> {
    let fold = |count| (0..count).map(event).fold(M::identity(), |whole, event| joined(&whole, &event));
    Box::new(Of { partners: [0, 1, 20, 1_000].map(fold).into() })
}

/// Bytes that decoding an aggregate may allocate for each byte of the input: tables of hashes are half empty, a short
/// key of a map has a node of a tree, and compressed hashes take a byte or two.
const PER_BYTE: usize = 64;

/// Nothing, and a bit of everything.
static QUESTIONS: LazyLock<[Question; 2]> = LazyLock::new(|| {
    let asked = Question {
        as_of: Timestamp::MAX,
        quantiles: vec![0.0, 0.5, 1.0],
        ranks: vec![f64::NEG_INFINITY, 0.0, f64::MAX],
        elements: vec![Probe::from("a"), Probe::from(7), Probe::from("")],
    };
    [Question::at(Timestamp::MIN), asked]
});

impl<M: Monoid> Body for Of<M> {
    fn run(&self, bytes: &[u8]) {
        let Ok(value) = bounded(bytes, PER_BYTE, || M::decode(bytes)) else { return };
        let kept = settled(&value);
        // Two floats that are no sum and its rest are brought into form by the first addition.
        let formed = joined(&value, &M::identity());
        let once = settled(&formed);
        assert_eq!(settled(&joined(&formed, &M::identity())), once, "the identity behind {formed:?} changed it");
        assert_eq!(settled(&joined(&M::identity(), &formed)), once, "the identity in front of {formed:?} changed it");
        let twice = settled(&joined(&value, &value));
        assert!(!M::IDEMPOTENT || twice == kept, "{value:?} combined with itself is another one");
        // Why it is refused is all there is to it.
        let _ = value.refusal();
        for partner in &self.partners {
            let _ = (partner.refuses(&value), value.refuses(partner));
            settled(&joined(partner, &value));
            settled(&joined(&value, partner));
        }
    }

    fn seeds(&self) -> Vec<Vec<u8>> {
        self.partners.iter().map(encoded).collect()
    }
}

/// The bytes of a value that can be worked with: it fits, is read back as it is, answers, and can be added by a store.
fn settled<M: Monoid>(value: &M) -> Vec<u8> {
    let bytes = encoded(value);
    if M::FORM == Form::Put {
        assert!(bytes.len() <= M::MAX_BYTES, "{} bytes, more than MAX_BYTES: {value:?}", bytes.len());
    }
    let again = must(M::decode(&bytes), "its own bytes are refused");
    assert_eq!(encoded(&again), bytes, "decode(encode(a)) = a for {value:?}");
    for question in &*QUESTIONS {
        if let Ok(reply) = value.reply(question) {
            let mut field = Vec::new();
            reply.encode_field(1, &mut field);
            assert_eq!(field.len(), reply.field_len(1), "the length of {reply:?}");
        }
    }
    let mut numbers = M::identity();
    value.numbers(0, &mut |column, number| must(numbers.add_number(0, column, number), "its own number is refused"));
    bytes
}

fn joined<M: Monoid>(a: &M, b: &M) -> M {
    let mut joined = a.clone();
    joined.combine(b.clone());
    joined
}

fn encoded<M: Monoid>(value: &M) -> Vec<u8> {
    let mut out = Vec::new();
    value.encode(&mut out);
    out
}

/// A struct with an aggregate of each kind.
#[derive(Clone, Debug)]
pub(super) struct Everything {
    count: Count,
    balance: Sum<i64>,
    bytes: Sum<u64>,
    cost: Sum<f64>,
    mean: Average,
    lowest: Min<i64>,
    highest: Max<String>,
    first: First<f64>,
    last: Last<Timestamp>,
    distinct: Distinct,
    price: Sum<Decimal<2>>,
    moments: Moments,
    latest: Latest<String>,
    score: Decayed<3600>,
    tags: Set<String, 4>,
    members: DistinctSet,
    latency: Quantiles,
    seen: Membership<100>,
    frequency: Frequency,
    by_color: Map<String, Last<i64>, 3>,
    top: TopK<3>,
}

crate::aggregate_struct! {
    impl Everything;
    pub(super) struct EverythingReply: "murmur.fuzzing.Everything" {
        count: Count = 1,
        balance: Sum<i64> = 2,
        bytes: Sum<u64> = 4,
        cost: Sum<f64> = 5,
        mean: Average = 6,
        lowest: Min<i64> = 7,
        highest: Max<String> = 8,
        first: First<f64> = 9,
        last: Last<Timestamp> = 16,
        price: Sum<Decimal<2>> = 17,
        moments: Moments = 18,
        latest: Latest<String> = 19,
        score: Decayed<3600> = 20,
        tags: Set<String, 4> = 21,
        members: DistinctSet = 22,
        latency: Quantiles = 23,
        seen: Membership<100> = 24,
        frequency: Frequency = 25,
        by_color: Map<String, Last<i64>, 3> = 26,
        distinct: Distinct = 200,
        top: TopK<3> = 70_000,
    }
    retired [3];
}

impl Everything {
    pub(super) fn of(n: u64) -> Self {
        Self {
            count: Count::one(),
            balance: Sum::of(-(n as i64)),
            bytes: Sum::of(n),
            cost: Sum::of(n as f64 / 7.0),
            mean: Average::of(n),
            lowest: Min::of(n as i64),
            highest: Max::of(n.to_string()),
            first: First::at(at(n), n as f64),
            last: Last::at(at(n), at(n)),
            distinct: Distinct::of(n),
            price: Sum::of(Decimal::from_units(n as i64)),
            moments: Moments::of(n),
            latest: Latest::of(n / 2, n.to_string()),
            score: Decayed::of(n as f64, at(n)),
            tags: Set::of(format!("tag {}", n % 7)),
            members: DistinctSet::of(n),
            latency: Quantiles::of(n),
            seen: Membership::of(n % 90),
            frequency: Frequency::of(n % 40),
            by_color: Map::of(format!("color {}", n % 5), Last::at(at(n), n as i64)),
            top: TopK::of(format!("item {}", n * n % 301)),
        }
    }
}

/// What a server answers, as a client reads it.
pub(super) fn reply(bytes: &[u8]) {
    let Ok(reply) = bounded(bytes, PER_BYTE_OF_REPLY, || EverythingReply::decode(bytes)) else { return };
    let once = reply.encode_to_vec();
    assert_eq!(once.len(), reply.encoded_len(), "the length of {reply:?}");
    let again = must(EverythingReply::decode(once.as_slice()), "its own message is refused");
    assert_eq!(again.encode_to_vec(), once, "{reply:?} has two spellings");
}

/// An empty message of two bytes is a struct in a list that doubles as it grows.
const PER_BYTE_OF_REPLY: usize = 200;

pub(super) fn replies() -> Vec<Vec<u8>> {
    let fold =
        |count| (0..count).map(Everything::of).fold(Everything::identity(), |whole, event| joined(&whole, &event));
    let replies = [0, 1, 20].map(fold).into_iter().flat_map(|value| {
        QUESTIONS.iter().filter_map(move |question| Some(value.reply(question).ok()?.encode_to_vec()))
    });
    replies.collect()
}
