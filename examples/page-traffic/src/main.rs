//! Traffic per page: the example of the README.

mod generator;

use murmur::prelude::*;

/// One view of one page.
#[murmur::event]
#[derive(serde::Deserialize)]
pub struct PageView {
    pub page_id: String,
    pub user_id: String,
    pub dwell_ms: u64,
    pub referrer: Option<String>,
    #[murmur(time)]
    pub viewed_at: Timestamp,
}

/// What is known about a page.
#[murmur::aggregate]
pub struct Traffic {
    pub views: Count,
    pub dwell_ms: Sum<u64>,
    pub visitors: Distinct,
    pub referrers: TopK<10>,
    pub slowest: Max<u64>,
}

/// Traffic per page, over any window of up to 90 days.
#[murmur::pipeline(key = page_id, window = sliding("90d", slot = "1m"))]
pub fn page_traffic(view: &PageView) -> Traffic {
    Traffic {
        views: Count::one(),
        dwell_ms: Sum::of(view.dwell_ms),
        visitors: Distinct::of(&view.user_id),
        referrers: TopK::of(view.referrer.as_deref()),
        slowest: Max::of(view.dwell_ms),
    }
}

murmur::main!(page_traffic; generator = generator::line);
