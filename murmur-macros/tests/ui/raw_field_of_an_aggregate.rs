use murmur::aggregate::{Count, Sum};

#[murmur::aggregate]
pub struct Traffic {
    pub views: Count,
    pub r#type: Count,
}
//@ now
use murmur::aggregate::{Count, Sum};

#[murmur::aggregate]
pub struct Traffic {
    pub views: Count,
    pub r#type: Sum<u64>,
}
