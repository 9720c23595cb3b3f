use murmur::aggregate::Count;
use murmur::time::Timestamp;

#[murmur::event]
pub struct PageView {
    pub page_id: String,
    #[murmur(tiem)]
    pub at: Timestamp,
    #[murmur(distinct)]
    pub user_id: String,
}

#[murmur::pipeline(key = page_id, windw = sliding("90d", slot = "1m"), colour = "red")]
pub fn page_views(_: &PageView) -> Count {
    Count::one()
}
