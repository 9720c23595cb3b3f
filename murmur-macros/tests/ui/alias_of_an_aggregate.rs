pub type Hits = murmur::aggregate::Count;

#[murmur::aggregate]
pub struct Traffic {
    pub hits: Hits,
    #[murmur(as = "uint64")]
    pub said: Hits,
}
