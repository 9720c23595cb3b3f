#[murmur::event]
pub struct PageView {
    pub page_id: String,
    pub user_id: String,
}
//@ now
#[murmur::event]
pub struct PageView {
    pub page_id: String,
    #[murmur(was = "user_id")]
    pub viewer_id: String,
    pub user_id: String,
}
