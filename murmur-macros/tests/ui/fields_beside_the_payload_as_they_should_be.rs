use murmur::prelude::*;

#[murmur::pipeline(name = "views", window = sliding("1d", slot = "1h"))]
#[derive(Debug, serde::Deserialize)]
pub struct Below {
    #[murmur(key, header = "shop")]
    pub shop: String,
    #[murmur(distinct, record_key)]
    pub user: Option<Vec<u8>>,
    #[murmur(time, broker_time)]
    pub at: Timestamp,
    #[murmur(sum)]
    pub cents: u64,
}

#[derive(serde::Deserialize)]
#[murmur::event]
pub struct Above {
    #[murmur(header = "a")]
    #[serde(skip)]
    pub a: i64,
    #[serde(default)]
    pub b: u64,
}

#[murmur::event]
pub struct ByHand {
    #[murmur(header = "a")]
    #[serde(skip)]
    pub a: bool,
}

impl<'de> serde::Deserialize<'de> for ByHand {
    fn deserialize<D: serde::Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        Ok(Self { a: false })
    }
}

#[murmur::event]
pub struct WithoutSerde {
    #[murmur(record_key)]
    pub key: Option<String>,
}
