use murmur::aggregate::Count;

#[murmur::aggregate]
pub struct Inner {
    pub views: Count,
}

#[murmur::aggregate]
pub struct Outer {
    pub inner: Inner,
}
