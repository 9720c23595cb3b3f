//@ edit: 2 user_id string => reserved 2 user_id
#[murmur::event]
pub struct PageView {
    pub page_id: String,
    pub user_id: String,
}
//@ now
#[murmur::event]
pub struct PageView {
    pub page_id: String,
    pub user_id: String,
}
