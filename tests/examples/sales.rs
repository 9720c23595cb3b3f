//! Sales of shops, in each form that several aggregates can have: what `end_to_end/forms.rs` has counted, and asks about.

use murmur::prelude::*;

/// Something was sold.
#[murmur::event]
#[derive(serde::Deserialize)]
pub struct Sale {
    /// Where.
    pub shop: String,
    /// On which floor.
    pub floor: u32,
    /// To whom.
    pub buyer: String,
    /// For how much.
    pub price: u64,
}

/// What is known about a place.
#[murmur::aggregate]
pub struct Place {
    /// How much was sold.
    pub sales: Count,
    /// To how many.
    pub buyers: Distinct,
    /// The highest price.
    pub highest: Max<u64>,
}

/// Sales per shop, as a struct.
#[murmur::pipeline(key = shop)]
pub fn by_struct(sale: &Sale) -> Place {
    Place { sales: Count::one(), buyers: Distinct::of(&sale.buyer), highest: Max::of(sale.price) }
}

/// Sales per shop, as a tuple.
#[murmur::pipeline(key = shop, fields(sales, buyers, highest))]
pub fn by_tuple(sale: &Sale) -> (Count, Distinct, Max<u64>) {
    (Count::one(), Distinct::of(&sale.buyer), Max::of(sale.price))
}

/// Sales per shop, for each of its floors.
#[murmur::pipeline(key = shop)]
pub fn by_floor(sale: &Sale) -> Map<u32, Place, 9> {
    Map::of(sale.floor, by_struct(sale))
}

murmur::main!(by_struct, by_tuple, by_floor);
