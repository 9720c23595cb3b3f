//! Maps of structs and of monoids of one's own, and a map that stands alone.

#![allow(missing_docs, clippy::unwrap_used, reason = "definitions of a test")]

use std::collections::BTreeMap;

use murmur::aggregate::{DecodeError, Form, laws};
use murmur::pipeline::Emissions;
use murmur::prelude::*;
use prost::Message;

#[murmur::event]
pub struct Sale {
    pub shop: String,
    pub floor: u32,
    pub article: String,
    pub price: u64,
}

/// What is known about a floor.
#[murmur::aggregate]
#[derive(PartialEq)]
pub struct Floor {
    pub sales: Count,
    pub best: Max<u64>,
    pub articles: Map<String, Count, 2>,
}

/// All flags that were ever set.
#[derive(Clone, Debug, PartialEq)]
pub struct Flags(u32);

impl Monoid for Flags {
    const FORM: Form = Form::Put;
    const MAX_BYTES: usize = 4;
    const COMMUTATIVE: bool = true;
    const IDEMPOTENT: bool = true;
    type Reply = u32;

    fn identity() -> Self {
        Self(0)
    }

    fn combine(&mut self, later: Self) {
        self.0 |= later.0;
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.extend(self.0.to_le_bytes());
    }

    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        bytes.try_into().map(|bytes| Self(u32::from_le_bytes(bytes))).map_err(|_| DecodeError("not flags".into()))
    }

    fn reply(&self, _: &Question) -> murmur::Result<u32> {
        Ok(self.0)
    }
}

#[murmur::aggregate]
pub struct House {
    #[murmur(as = "uint32")]
    pub flags: Map<u32, Flags, 9>,
    pub floors: Map<u32, Floor, 9>,
}

#[murmur::pipeline(key = shop)]
fn floors(sale: &Sale) -> Map<u32, Floor, 9> {
    floor(sale)
}

#[murmur::pipeline(key = shop)]
fn houses(sale: &Sale) -> House {
    House { flags: Map::of(sale.floor, Flags(1 << (sale.price % 32))), floors: floor(sale) }
}

fn floor(sale: &Sale) -> Map<u32, Floor, 9> {
    let articles = Map::of(&sale.article, Count::one());
    Map::of(sale.floor, Floor { sales: Count::one(), best: Max::of(sale.price), articles })
}

fn sale(floor: u32, article: &str, price: u64) -> Sale {
    Sale { shop: "corner".into(), floor, article: article.into(), price }
}

fn whole<P: Pipeline<Event = Sale>>(sales: &[Sale]) -> P::Aggregate {
    let (mut whole, mut out) = (P::Aggregate::identity(), Emissions::default());
    sales.iter().for_each(|sale| P::apply(sale, &mut out));
    assert_eq!(out.refusal(), None);
    out.drain().for_each(|(_, value)| whole.combine(value));
    let mut bytes = Vec::new();
    whole.encode(&mut bytes);
    P::Aggregate::decode(&bytes).unwrap()
}

#[test]
fn a_map_of_structs_answers_with_a_message_for_each_key() {
    let sales = [sale(2, "tea", 5), sale(1, "mug", 9), sale(2, "jam", 7), sale(2, "rye", 1)];
    let reply = whole::<Floors>(&sales).reply(&Question::default()).unwrap();
    assert_eq!(reply.entries.keys().copied().collect::<Vec<_>>(), [1, 2]);
    let second = &reply.entries[&2];
    assert_eq!((second.sales, second.best), (3, Some(7)));
    assert_eq!(second.articles.entries, BTreeMap::from([("jam".to_owned(), 1), ("rye".to_owned(), 1)]));
    assert!(second.articles.truncated && !reply.truncated);
    // And over the wire.
    let bytes = reply.encode_to_vec();
    assert_eq!((bytes.len(), Message::decode(bytes.as_slice()).as_ref()), (reply.encoded_len(), Ok(&reply)));

    let house = whole::<Houses>(&sales).reply(&Question::default()).unwrap();
    assert_eq!(house.floors, reply);
    assert_eq!(house.flags.entries, BTreeMap::from([(1, 1 << 9), (2, 1 << 5 | 1 << 7 | 1 << 1)]));
}

#[test]
fn a_map_of_structs_keeps_the_laws() {
    let sales: Vec<Sale> =
        (0..30).map(|n| sale(n % 12, ["a", "b", "c"][n as usize % 3], (n * 7 % 11).into())).collect();
    laws::check(&sales.iter().map(floor).collect::<Vec<_>>());
}

#[test]
fn a_map_that_stands_alone_says_its_message() {
    assert_eq!(Floors::VALUE, Some("murmur_stream.v1.FloorByU32"));
    assert_eq!(Houses::VALUE, None);
}
