#[murmur::event]
#[derive(Clone, serde::Deserialize)]
pub struct View {
    pub page: String,
    #[murmur(header = "trace-id")]
    #[serde(rename = "trace")]
    pub trace: Vec<u8>,
    #[murmur(header = "retries")]
    pub retries: Option<u32>,
    #[murmur(record_key)]
    pub user: String,
    #[murmur(broker_time, time)]
    pub at: Timestamp,
}

#[murmur::event]
pub struct Sent {
    #[murmur(record_key)]
    pub from: Option<String>,
}
