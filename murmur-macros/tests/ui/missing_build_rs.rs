//@ no-build-step
use murmur::aggregate::Count;

#[murmur::event]
pub struct PageView {
    pub page_id: String,
}

#[murmur::pipeline(key = page_id)]
pub fn page_views(_: &PageView) -> Count {
    Count::one()
}
