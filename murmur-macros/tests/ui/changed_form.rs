use murmur::aggregate::Count;
use murmur::time::Timestamp;

#[murmur::event]
pub struct PageView {
    pub page_id: String,
    pub user_id: String,
    pub dwell_ms: u64,
    #[murmur(time)]
    pub at: Timestamp,
}

#[murmur::aggregate]
pub struct Traffic {
    pub views: Count,
}

#[murmur::pipeline(key = page_id)]
pub fn page_traffic(_: &PageView) -> Traffic {
    Traffic { views: Count::one() }
}
//@ now
use murmur::aggregate::{Count, Max};
use murmur::time::Timestamp;

#[murmur::event]
pub struct PageView {
    pub page_id: String,
    pub user_id: String,
    pub dwell_ms: u64,
    #[murmur(time)]
    pub at: Timestamp,
}

#[murmur::aggregate]
pub struct Traffic {
    pub views: Count,
    pub slowest: Max<u64>,
}

#[murmur::pipeline(key = page_id)]
pub fn page_traffic(_: &PageView) -> Traffic {
    Traffic { views: Count::one(), slowest: Max::of(1u64) }
}
