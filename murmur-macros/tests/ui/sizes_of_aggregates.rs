use murmur::aggregate::{Decayed, Frequency, Membership};

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
