//! Aggregates with parameters as fields of a struct: the macro reads them as what they are, and they answer together.

#![allow(missing_docs, clippy::unwrap_used, reason = "definitions of a test")]

use murmur::prelude::*;
use murmur::wire::WireMessage;

#[murmur::aggregate]
pub struct Post {
    pub likes: Count,
    pub trend: Decayed<3_600>,
    pub fans: Membership<100>,
    pub by: Frequency,
    pub first: Map<String, Min<Timestamp>, 2>,
}

fn like(at: i64, by: &str) -> Post {
    Post {
        likes: Count::one(),
        trend: Decayed::of(1.0, Timestamp::from_seconds(at)),
        fans: Membership::of(by),
        by: Frequency::of(by),
        first: Map::of(by, Min::of(Timestamp::from_seconds(at))),
    }
}

#[test]
fn each_field_answers_what_was_asked_of_it() {
    let mut post = Post::identity();
    for (at, by) in [(0, "ada"), (0, "bob"), (3_600, "ada"), (7_200, "cy")] {
        post.combine(like(at, by));
    }
    let elements = vec!["ada".into(), "dora".into()];
    let question = Question { elements, ..Question::at(Timestamp::from_seconds(7_200)) };
    let mut stored = Vec::new();
    post.encode(&mut stored);
    let reply = Post::decode(&stored).unwrap().reply(&question).unwrap();
    assert_eq!((reply.likes, reply.trend.value), (4, 2.0));
    let fans: Vec<_> = reply.fans.members.iter().map(|fan| fan.contained).collect();
    assert_eq!(fans, [true, false]);
    let by: Vec<_> = reply.by.frequencies.iter().map(|row| (row.text.as_deref(), row.count)).collect();
    assert_eq!((by.as_slice(), reply.by.total), ([(Some("ada"), 2), (Some("dora"), 0)].as_slice(), 4));
    let at = |seconds| Some(Timestamp::from_seconds(seconds));
    assert_eq!(reply.first.entries, [("ada".into(), at(0)), ("bob".into(), at(0))].into());
    assert!(reply.first.truncated);
    let types: Vec<_> = PostReply::SHAPE.iter().map(|field| field.proto).collect();
    assert_eq!(types, ["uint64", "murmur.v1.Decayed", "murmur.v1.Membership", "murmur.v1.Frequencies", "Map"]);
}

/// A price in the payload, and what it comes to.
#[murmur::event]
#[derive(serde::Deserialize)]
pub struct Sale {
    pub shop: String,
    #[murmur(as = "string")]
    pub price: Decimal<2>,
}

#[murmur::aggregate]
pub struct Revenue {
    pub sales: Count,
    pub total: Sum<Decimal<2>>,
}

#[murmur::pipeline(key = shop, name = "revenues")]
pub fn revenue(sale: &Sale) -> Revenue {
    Revenue { sales: Count::one(), total: Sum::of(sale.price) }
}

#[murmur::aggregate]
pub struct Prices {
    pub highest: Max<Decimal<2>>,
    pub last: Last<Decimal<2>>,
    pub newest: Latest<Decimal<2>>,
    pub mean: Average,
}

#[test]
fn decimals_are_kept_as_they_are_and_averaged() {
    let mut prices = Prices::identity();
    for (at, price) in [(0, "12.30"), (1, "0.05"), (2, "7")] {
        let (at, price): (_, Decimal<2>) = (Timestamp::from_seconds(at), price.parse().unwrap());
        prices.combine(Prices {
            highest: Max::of(price),
            last: Last::at(at, price),
            newest: Latest::of(at, price),
            mean: Average::of(price),
        });
    }
    let reply = prices.reply(&Question::default()).unwrap();
    assert_eq!(reply.highest.map(|price| price.to_string()).as_deref(), Some("12.30"));
    assert_eq!(reply.last.map(|last| last.value).as_deref(), Some("7.00"));
    assert_eq!(reply.newest, Some(Decimal::from_units(700)));
    assert_eq!((reply.mean.sum, reply.mean.mean), (19.35, Some(6.45)));
    let types: Vec<_> = PricesReply::SHAPE.iter().map(|field| field.proto).collect();
    assert_eq!(types, ["optional string", "murmur.v1.TimedString", "optional string", "murmur.v1.Average"]);
}

#[test]
fn decimals_are_added_by_the_store_and_answered_to_the_last_digit() {
    let mut out = murmur::pipeline::Emissions::default();
    for price in ["\"0.10\"", "0.2", "\"92233720368547758.07\""] {
        let sale = serde_json::from_str(&format!(r#"{{"shop": "a", "price": {price}}}"#)).unwrap();
        <self::Revenues as Pipeline>::apply(&sale, &mut out);
    }
    assert_eq!(out.refusal(), None);
    const { assert!(matches!(Revenue::FORM, murmur::aggregate::Form::Add)) };
    let mut whole = Revenue::identity();
    out.drain().for_each(|(_, one)| whole.combine(one));
    let reply = whole.reply(&Question::default()).unwrap();
    assert_eq!((reply.sales, reply.total.to_string().as_str()), (3, "92233720368547758.37"));
}
