use murmur::aggregate::{Max, Min};
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
    pub slowest: Max<u64>,
    pub fastest: Min<u64>,
}
//@ now
use murmur::aggregate::Min;
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
    pub slowest: Min<u64>,
    pub fastest: Min<u64>,
}
