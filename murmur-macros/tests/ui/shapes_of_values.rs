#[murmur::value]
pub struct Pair(u64, u64);

#[murmur::value]
pub struct Nothing;

#[murmur::value]
pub enum Payment {
    Card(String, u32),
}

#[murmur::value]
pub fn function() {}
