#[murmur::event]
pub struct PageView {
    pub page_id: String,
}

pub mod other {
    #[murmur::event]
    pub struct PageView {
        pub page_id: String,
    }
}
