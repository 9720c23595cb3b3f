#[murmur::event]
pub struct PageView {
    pub page_id: String,
    pub user_id: String,
}
//@ now
#[murmur::event]
pub struct PageView {
    pub page_id: String,
    #[murmur(number = 9)]
    pub user_id: String,
    #[murmur(number = 1)]
    pub country: String,
    #[murmur(was = "nothing")]
    pub city: String,
}
