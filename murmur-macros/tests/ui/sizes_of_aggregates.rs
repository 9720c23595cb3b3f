use murmur::aggregate::{Count, Decayed, Decimal, Frequency, Map, Max, Membership, Sum};

#[murmur::aggregate]
pub struct Trends {
    pub none: Decayed<0>,
    pub unsaid: Decayed,
    pub as_text: Decayed<"1h">,
}

#[murmur::aggregate]
pub struct Members {
    pub too_many: Membership<300_001>,
    pub unsaid: Membership,
    pub of: Frequency<String>,
}

#[murmur::aggregate]
pub struct Maps {
    pub without_a_bound: Map<String, Count>,
    pub none: Map<String, Count, 0>,
    pub by_float: Map<f64, Count, 9>,
    pub of_a_number: Map<String, u64, 9>,
    pub of_a_map: Map<String, Map<String, Count, 9>, 9>,
}

#[murmur::aggregate]
pub struct TooLarge {
    pub slowest: Map<u32, Max<String>, 1_000>,
}

#[murmur::aggregate]
pub struct Revenue {
    pub without_digits: Sum<Decimal>,
    pub too_many: Sum<Decimal<19>>,
}

#[murmur::pipeline(name = "visits")]
pub struct Visit {
    #[murmur(key, membership(0))]
    pub page: String,
    #[murmur(frequency(9))]
    pub user: String,
}
