pub type Id = usize;

#[murmur::event]
pub struct PageView {
    pub page_id: Id,
}
