#[murmur::event]
#[murmur::pipeline(key = page_id, name = "views")]
pub struct PageView {
    pub page_id: String,
}

#[murmur::pipeline(key = page_id)]
pub fn page_views(_: &PageView) -> murmur::aggregate::Count {
    murmur::aggregate::Count::one()
}
