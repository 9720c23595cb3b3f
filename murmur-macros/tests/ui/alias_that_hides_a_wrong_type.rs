pub type Timestamp = u64;

pub struct Uuid;

#[murmur::event]
pub struct PageView {
    pub page_id: String,
    #[murmur(time)]
    pub at: Timestamp,
    pub visit: Option<Uuid>,
}
