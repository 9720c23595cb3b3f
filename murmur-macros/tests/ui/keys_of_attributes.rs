use murmur::aggregate::Count;
use murmur::time::Timestamp;

#[murmur::event]
pub struct PageView {
    pub page_id: String,
    #[murmur(time, time)]
    pub at: Timestamp,
    #[murmur(was)]
    pub user_id: String,
    #[murmur(as = "uint8")]
    pub size: u8,
    #[murmur = "skip"]
    pub skipped: u8,
}

#[murmur::pipeline(key = "page_id", key = page_id)]
pub fn page_views(_: &PageView) -> Count {
    Count::one()
}

#[murmur::pipeline(key = page_id, window = "90d")]
pub fn windowed(_: &PageView) -> Count {
    Count::one()
}
