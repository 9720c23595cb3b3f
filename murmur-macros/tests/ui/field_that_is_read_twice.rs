use murmur::prelude::*;

#[derive(serde::Deserialize)]
#[murmur::event]
pub struct View {
    pub page: String,
    #[murmur(header = "trace-id")]
    pub trace: String,
}

#[murmur::event]
pub struct ByHand {
    #[murmur(time, broker_time)]
    pub at: Timestamp,
}

impl<'de> serde::Deserialize<'de> for ByHand {
    fn deserialize<D: serde::Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        Ok(Self { at: Timestamp::EPOCH })
    }
}
