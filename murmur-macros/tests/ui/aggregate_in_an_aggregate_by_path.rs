mod inner {
    #[murmur::aggregate]
    pub struct Views {
        pub count: murmur::aggregate::Count,
    }
}

#[murmur::aggregate]
pub struct Traffic {
    pub views: inner::Views,
}
