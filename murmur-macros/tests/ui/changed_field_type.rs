#[murmur::event]
pub struct PageView {
    pub page_id: String,
    pub user_id: String,
}
//@ now
#[murmur::event]
pub struct PageView {
    pub page_id: u64,
    pub user_id: Vec<String>,
}
