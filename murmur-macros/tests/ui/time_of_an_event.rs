use murmur::time::Timestamp;

#[murmur::event]
pub struct Twice {
    #[murmur(time)]
    pub seen_at: Timestamp,
    #[murmur(time)]
    pub sent_at: Timestamp,
}

#[murmur::event]
pub struct Numeric {
    #[murmur(time)]
    pub at: u64,
}

#[murmur::event]
pub struct Missing {
    #[murmur(time)]
    pub at: Option<Timestamp>,
}
