#[murmur::event]
pub struct PageView {
    pub page_id: usize,
    pub visits: Option<isize>,
}

// Nothing that uses the event lights up beside it.
#[murmur::pipeline(key = page_id)]
pub fn page_traffic(view: &PageView) -> murmur::aggregate::Count {
    murmur::aggregate::Count::of(view.visits.map_or(0, |visits| visits as u64))
}
