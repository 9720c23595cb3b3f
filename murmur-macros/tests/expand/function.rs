/// Traffic per page.
#[murmur::pipeline(key = page_id, window = sliding("90d", slot = "1m"))]
pub fn page_traffic(view: &PageView) -> Traffic {
    Traffic::of(view)
}
