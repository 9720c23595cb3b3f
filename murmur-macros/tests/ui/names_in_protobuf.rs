#[murmur::event]
pub struct PageView {
    pub größe: u64,
    pub page_id: String,
    #[allow(non_snake_case)]
    pub pageId: String,
}
