use murmur::aggregate::Count;

#[murmur::event]
pub struct PageView {
    pub page_id: String,
}

#[murmur::pipeline(key = page_id)]
pub fn by_value(_: PageView) -> Count {
    Count::one()
}

#[murmur::pipeline(key = page_id)]
pub async fn waiting(_: &PageView) -> Count {
    Count::one()
}

#[murmur::pipeline(key = page_id)]
pub fn without_event() -> Count {
    Count::one()
}

#[murmur::pipeline(key = page_id)]
pub fn with_more(_: &PageView, _: u64) -> Count {
    Count::one()
}

#[murmur::pipeline]
pub fn without_key(_: &PageView) -> Count {
    Count::one()
}

#[murmur::pipeline(key = page_id)]
pub fn without_answer(_: &PageView) {}

#[murmur::pipeline(key = page_id)]
pub fn without_value(_: &PageView) -> Vec<String> {
    Vec::new()
}

#[murmur::pipeline(key = (page_id, user_id))]
pub fn with_half_a_key(_: &PageView) -> Vec<(String, Count)> {
    Vec::new()
}

#[murmur::pipeline(key = page_id, name = "self")]
pub fn with_a_name_of_rusts(_: &PageView) -> Count {
    Count::one()
}
