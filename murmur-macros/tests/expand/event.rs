/// One view of one page.
#[murmur::event]
#[derive(serde::Deserialize)]
pub struct PageView {
    pub page_id: String,
    #[serde(default)]
    pub r#type: Option<Vec<u8>>,
    #[murmur(as = "string")]
    price: Decimal,
    #[murmur(time)]
    pub viewed_at: SystemTime,
}
