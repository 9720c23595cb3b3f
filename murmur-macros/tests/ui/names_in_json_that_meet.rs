#[murmur::event]
pub struct PageView {
    pub page_id: String,
    pub user_id: String,
}
//@ edit: 2 user_id string => 2 viewer_id string json userId
//@ now
#[murmur::event]
pub struct PageView {
    pub page_id: String,
    pub viewer_id: String,
    pub user_id: String,
}
