#[murmur::event]
pub struct PageView {
    pub page_id: String,
    #[cfg(unix)]
    pub uid: u32,
}
