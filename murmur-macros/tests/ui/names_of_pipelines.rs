use murmur::aggregate::Count;

#[murmur::event]
pub struct PageView {
    pub page_id: String,
}

#[murmur::pipeline(key = page_id, name = "PageViews")]
pub fn page_views(_: &PageView) -> Count {
    Count::one()
}

#[murmur::pipeline(name = "like")]
pub struct Like {
    #[murmur(key)]
    pub post_id: String,
}

#[murmur::pipeline]
pub struct Share {
    #[murmur(key)]
    pub post_id: String,
}

#[murmur::pipeline(key = page_id, package = "Shop")]
pub fn packaged(_: &PageView) -> Count {
    Count::one()
}
