use murmur::aggregate::Decayed;

#[murmur::aggregate]
pub struct Trends {
    pub none: Decayed<0>,
    pub unsaid: Decayed,
    pub as_text: Decayed<"1h">,
}
