use murmur::aggregate::Count;
use murmur::time::Timestamp;

#[murmur::event]
pub struct PageView {
    pub page_id: String,
    #[murmur(time)]
    pub at: Timestamp,
}

#[murmur::pipeline(key = page_id, window = sliding("3 months", slot = "1x"))]
pub fn month(_: &PageView) -> Count {
    Count::one()
}

#[murmur::pipeline(key = page_id, window = sliding("1h", slot = "7m"))]
pub fn uneven(_: &PageView) -> Count {
    Count::one()
}

#[murmur::pipeline(key = page_id, window = tumbling("0s", keep = "1d"))]
pub fn empty(_: &PageView) -> Count {
    Count::one()
}
