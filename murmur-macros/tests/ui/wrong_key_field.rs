use murmur::aggregate::Count;

#[murmur::event]
pub struct PageView {
    pub page_id: String,
    pub ratio: f64,
    pub referrer: Option<String>,
}

#[murmur::pipeline(key = page)]
pub fn misspelt(_: &PageView) -> Count {
    Count::one()
}

#[murmur::pipeline(key = (page_id, ratio))]
pub fn inexact(_: &PageView) -> Count {
    Count::one()
}

#[murmur::pipeline(key = referrer)]
pub fn missing(_: &PageView) -> Count {
    Count::one()
}
