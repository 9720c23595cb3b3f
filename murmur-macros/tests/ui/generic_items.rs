#[murmur::event]
pub struct PageView<T> {
    pub page_id: T,
}

#[murmur::pipeline(key = page_id)]
pub fn page_views<T: Clone>(_: &PageView<T>) -> murmur::aggregate::Count {
    murmur::aggregate::Count::one()
}
