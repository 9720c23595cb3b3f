#[murmur::event]
pub struct PageView {
    pub page_id: usize,
    #[murmur(tme)]
    pub at: Timestamp,
}

#[murmur::pipeline(key = page_id, window = "90d")]
pub fn page_traffic(view: PageView) -> Traffic {
    body
}

#[murmur::aggregate]
struct Traffic {
    views: u64,
}
