//! Functions that return a tuple, whose members the pipeline names: the same as a struct, to the last byte.

#![allow(missing_docs, clippy::unwrap_used, reason = "definitions of a test")]

use murmur::aggregate::{DecodeError, Form};
use murmur::pipeline::Emissions;
use murmur::prelude::*;
use murmur::wire::WireMessage;
use prost::Message;

#[murmur::event]
pub struct View {
    pub page: String,
    pub user: String,
    pub took_ms: u64,
    #[murmur(time)]
    pub at: Timestamp,
}

#[murmur::aggregate]
pub struct Traffic {
    pub views: Count,
    pub visitors: Distinct,
    pub slowest: Max<u64>,
}

#[murmur::pipeline(key = page, window = sliding("30d", slot = "1h"))]
fn by_struct(view: &View) -> Traffic {
    Traffic { views: Count::one(), visitors: Distinct::of(&view.user), slowest: Max::of(view.took_ms) }
}

#[murmur::pipeline(key = page, window = sliding("30d", slot = "1h"), fields(views, visitors, slowest))]
fn by_tuple(view: &View) -> (Count, Distinct, Max<u64>) {
    (Count::one(), Distinct::of(&view.user), Max::of(view.took_ms))
}

/// Nobody is counted in the root, and everybody above it.
#[murmur::pipeline(rollup = [(page, user), (page), ()], fields(views, r#type))]
fn filtered(view: &View) -> Option<(Count, Sum<u64>)> {
    (view.page != "/").then(|| (Count::one(), Sum::of(view.took_ms)))
}

#[murmur::pipeline(key = letter, fields(letters, longest(as = "uint64")))]
fn spread(view: &View) -> impl Iterator<Item = (String, (Count, Length))> {
    view.user.chars().map(|letter| (letter.to_string(), (Count::one(), Length(view.user.len() as u64))))
}

/// The length of the longest name.
#[derive(Clone, Debug)]
struct Length(u64);

impl Monoid for Length {
    const FORM: Form = Form::Put;
    const MAX_BYTES: usize = 8;
    const COMMUTATIVE: bool = true;
    const IDEMPOTENT: bool = true;
    type Reply = u64;

    fn identity() -> Self {
        Self(0)
    }

    fn combine(&mut self, later: Self) {
        self.0 = self.0.max(later.0);
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.extend(self.0.to_le_bytes());
    }

    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        bytes.try_into().map(|bytes| Self(u64::from_le_bytes(bytes))).map_err(|_| DecodeError("not a length".into()))
    }

    fn reply(&self, _: &Question) -> murmur::Result<u64> {
        Ok(self.0)
    }
}

fn view(page: &str, user: &str, took_ms: u64) -> View {
    View { page: page.into(), user: user.into(), took_ms, at: Timestamp::from_seconds(1_000) }
}

/// Keys and values of one event.
fn applied<P: Pipeline<Event = View>>(view: &View) -> Vec<(String, P::Aggregate)> {
    let mut out = Emissions::default();
    P::apply(view, &mut out);
    assert_eq!(out.refusal(), None);
    out.drain().map(|(key, value)| (key.to_owned(), value)).collect()
}

/// What is kept of all of these under one key: the bytes, and the answer as they go over the wire.
fn kept<P: Pipeline<Event = View>>(views: &[View]) -> (Vec<u8>, Vec<u8>)
where
    <P::Aggregate as Monoid>::Reply: WireMessage,
{
    let mut whole = P::Aggregate::identity();
    views.iter().flat_map(applied::<P>).for_each(|(_, value)| whole.combine(value));
    let mut bytes = Vec::new();
    whole.encode(&mut bytes);
    let read = P::Aggregate::decode(&bytes).unwrap();
    (bytes, read.reply(&Question::default()).unwrap().encode_to_vec())
}

/// What a table records of an aggregate.
fn recorded<M: Monoid>() -> Vec<(u32, Option<String>)> {
    let mut all = Vec::new();
    M::kept(0, &mut |number, kept| all.push((number, kept)));
    all
}

#[test]
fn a_tuple_is_kept_and_answered_like_the_struct_of_the_same_fields() {
    let views: Vec<View> = (0..500).map(|n| view("/home", &format!("user {}", n % 90), n * 7 % 1_000)).collect();
    for count in [0, 1, 2, 500] {
        assert_eq!(kept::<ByTuple>(&views[..count]), kept::<ByStruct>(&views[..count]), "{count} views");
    }
    assert_eq!(ByTupleTotalsReply::SHAPE, TrafficReply::SHAPE);
    assert_eq!(ByTupleTotalsReply::NAME, "murmur_stream.v1.ByTupleTotals");
    assert_eq!(<ByTuple as Pipeline>::tiling(), <ByStruct as Pipeline>::tiling());
    assert_eq!(recorded::<ByTupleTotals>(), recorded::<Traffic>());
}

#[test]
fn tuples_are_filtered_rolled_up_and_fanned_out() {
    assert!(applied::<Filtered>(&view("/", "ada", 1)).is_empty());
    let kept = applied::<Filtered>(&view("/home", "ada", 5));
    let keys: Vec<&str> = kept.iter().map(|(key, _)| key.as_str()).collect();
    assert_eq!(keys, ["1.2=/home\0ada", "1=/home", "="]);
    for (key, totals) in kept {
        let reply = totals.reply(&Question::default()).unwrap();
        assert_eq!((reply.views, reply.r#type), (1, 5), "{key}");
    }
    let letters = applied::<Spread>(&view("/", "ada", 1)).into_iter();
    let letters = letters.map(|(key, totals)| (key, totals.reply(&Question::default()).unwrap()));
    let letters: Vec<_> = letters.map(|(key, reply)| (key, reply.letters, reply.longest)).collect();
    assert_eq!(letters, [("=a".to_owned(), 1, 3), ("=d".to_owned(), 1, 3), ("=a".to_owned(), 1, 3)]);
}

#[test]
fn what_a_member_refuses_is_told_by_its_name() {
    #[murmur::pipeline(key = page, fields(views, ratio))]
    fn ratios(view: &View) -> (Count, Sum<f64>) {
        (Count::one(), Sum::of(f64::NAN * view.took_ms as f64))
    }
    let mut out = Emissions::default();
    Ratios::apply(&view("/", "ada", 1), &mut out);
    let refusal = &out.refusal().unwrap().0;
    assert!(refusal.starts_with("in `ratio`, NaN"), "{refusal}");
}
