use murmur::prelude::*;

pub type Hits = Count;

#[murmur::aggregate]
pub struct Traffic {
    #[murmur(as = "string")]
    pub hits: Map<String, Hits, 9>,
}
