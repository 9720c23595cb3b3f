#[murmur::value]
pub struct Inner(Box<Outer>);

#[murmur::value]
pub struct Outer(Box<Inner>);
