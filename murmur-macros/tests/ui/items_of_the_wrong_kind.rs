#[murmur::event]
pub enum PageView {
    Seen,
}

#[murmur::event]
pub struct Click(String);

#[murmur::aggregate]
pub enum Traffic {
    Views,
}

#[murmur::pipeline(key = page_id)]
pub enum Traffics {
    PageId,
}
