/// What is known about a page.
#[murmur::aggregate]
#[derive(Clone, PartialEq)]
pub struct Traffic {
    /// How often it was seen.
    pub views: Count,
    pub slowest: Max<u64>,
    #[murmur(as = "uint64")]
    pub own: my::Own,
}
