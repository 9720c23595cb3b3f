//! Every aggregate's own bytes.

use super::{Body, at, bounded, must};
use crate::aggregate::{Average, Count, Distinct, First, Form, Last, Max, Min, Monoid, Sum, TopK};
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

/// Bytes that decoding an aggregate may allocate for each byte of the input: a table of hashes is half empty.
const PER_BYTE: usize = 16;

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
        for partner in &self.partners {
            settled(&joined(partner, &value));
            settled(&joined(&value, partner));
        }
    }

    fn seeds(&self) -> Vec<Vec<u8>> {
        self.partners.iter().map(encoded).collect()
    }
}

/// The same bytes, given to each of several.
struct Each(Vec<Box<dyn Body>>);

pub(super) fn each<const N: usize>(bodies: [Box<dyn Body>; N]) -> Box<dyn Body> {
    Box::new(Each(bodies.into()))
}

impl Body for Each {
    fn run(&self, bytes: &[u8]) {
        self.0.iter().for_each(|body| body.run(bytes));
    }

    fn seeds(&self) -> Vec<Vec<u8>> {
        self.0.iter().flat_map(|body| body.seeds()).collect()
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
    if let Ok(reply) = value.reply() {
        let mut field = Vec::new();
        reply.encode_field(1, &mut field);
        assert_eq!(field.len(), reply.field_len(1), "the length of {reply:?}");
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
            top: TopK::of(format!("item {}", n * n % 301)),
        }
    }
}
