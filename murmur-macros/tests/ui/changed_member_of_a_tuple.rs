use murmur::aggregate::{Count, Max};

#[murmur::event]
pub struct PageView {
    pub page_id: String,
    pub dwell_ms: u64,
}

#[murmur::pipeline(key = page_id, fields(views, slowest))]
pub fn pages(view: &PageView) -> (Count, Max<u64>) {
    (Count::one(), Max::of(view.dwell_ms))
}
//@ now
use murmur::aggregate::{Count, Min};

#[murmur::event]
pub struct PageView {
    pub page_id: String,
    pub dwell_ms: u64,
}

#[murmur::pipeline(key = page_id, fields(views, slowest))]
pub fn pages(view: &PageView) -> (Count, Min<u64>) {
    (Count::one(), Min::of(view.dwell_ms))
}
