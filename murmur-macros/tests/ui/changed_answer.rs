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

#[murmur::pipeline(key = page_id)]
pub fn page_views(_: &PageView) -> Count {
    Count::one()
}
//@ now
use murmur::aggregate::Distinct;
use murmur::time::Timestamp;

#[murmur::event]
pub struct PageView {
    pub page_id: String,
    pub user_id: String,
    pub dwell_ms: u64,
    #[murmur(time)]
    pub at: Timestamp,
}

#[murmur::pipeline(key = page_id)]
pub fn page_views(view: &PageView) -> Distinct {
    Distinct::of(&view.user_id)
}
