use murmur::aggregate::{Average, Count, Set, Sum, TopK};

#[murmur::aggregate]
pub struct Traffic {
    pub views: u64,
    pub dwell: Sum<u32>,
    pub referrers: TopK<0>,
    pub mean: Average<f64>,
    pub countries: Set<String>,
    #[murmur(as = "uint64")]
    pub count: Count,
}

#[murmur::aggregate]
pub struct Empty {}
