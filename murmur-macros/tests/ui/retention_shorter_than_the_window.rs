use murmur::aggregate::Count;
use murmur::time::Timestamp;

#[murmur::event]
pub struct PageView {
    pub page_id: String,
    #[murmur(time)]
    pub at: Timestamp,
}

#[murmur::pipeline(key = page_id, window = tumbling("30d", keep = "7d"))]
pub fn tumbling(_: &PageView) -> Count {
    Count::one()
}

#[murmur::pipeline(key = page_id, window = sliding("1m", slot = "1h"))]
pub fn sliding(_: &PageView) -> Count {
    Count::one()
}
