use murmur::aggregate::Count;

#[murmur::event]
pub struct PageView {
    pub page_id: String,
}

#[murmur::pipeline(key = page_id, package = "shop.v1")]
pub fn page_views(_: &PageView) -> Count {
    Count::one()
}

#[murmur::pipeline(key = page_id, package = "store.v1")]
pub fn other_views(_: &PageView) -> Count {
    Count::one()
}
