#[derive(Clone)]
#[murmur::event]
pub struct PageView {
    pub page_id: String,
    #[cfg(windows)]
    pub drive: String,
}
