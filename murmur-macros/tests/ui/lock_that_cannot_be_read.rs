//@ lock: package shop.v1
//@ lock: [message PageView]
//@ lock: <<<<<<< ours
#[murmur::event]
pub struct PageView {
    pub page_id: String,
    pub user_id: String,
}
