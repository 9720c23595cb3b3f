use murmur::aggregate::Count;

#[murmur::event]
pub struct PageView {
    pub page_id: String,
}

#[murmur::pipeline(key = page_id, window = sliding("90d", slot = "1m"))]
pub fn page_views(_: &PageView) -> Count {
    Count::one()
}

#[murmur::pipeline(name = "likes", window = tumbling("1h", keep = "1d"))]
pub struct Like {
    #[murmur(key)]
    pub post_id: String,
}
