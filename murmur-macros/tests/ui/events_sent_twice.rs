use murmur::aggregate::Count;

#[murmur::event]
pub struct Order {
    pub shop: String,
    pub order_id: Option<u64>,
    pub weight: f64,
}

#[murmur::pipeline(key = shop, dedup = within(50_000, (shop, order_id)))]
pub fn right(_: &Order) -> Count {
    Count::one()
}

#[murmur::pipeline(key = shop, dedup = order)]
pub fn misspelt(_: &Order) -> Count {
    Count::one()
}

#[murmur::pipeline(key = shop, dedup = weight)]
pub fn inexact(_: &Order) -> Count {
    Count::one()
}

#[murmur::pipeline(key = shop, dedup = within("10m", order_id))]
pub fn by_time(_: &Order) -> Count {
    Count::one()
}
