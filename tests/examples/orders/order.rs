//! What is counted of orders. It stands apart from `main`, so that a test can compare with it.

use murmur::prelude::*;

/// An order.
#[murmur::event]
#[derive(serde::Deserialize)]
pub struct Order {
    /// Where.
    pub shop: String,
    /// By whom.
    pub buyer: String,
    /// For how much.
    pub cents: u64,
    /// When.
    #[murmur(time)]
    pub at: Timestamp,
}

/// What is known about a shop.
#[murmur::aggregate]
pub struct Turnover {
    /// How many orders it had.
    pub orders: Count,
    /// For how much together.
    pub cents: Sum<u64>,
    /// How many have ordered.
    pub buyers: Distinct,
}

/// Orders per shop.
#[murmur::pipeline(key = shop, window = sliding("30d", slot = "1h"))]
pub fn shop_turnover(order: &Order) -> Turnover {
    Turnover { orders: Count::one(), cents: Sum::of(order.cents), buyers: Distinct::of(&order.buyer) }
}
