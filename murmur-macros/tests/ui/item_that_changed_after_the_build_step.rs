//@ then: String => u64
//@ then: // More. => #[murmur::event] pub struct Late { pub at: u64 }
#[murmur::event]
pub struct PageView {
    pub page_id: String,
}

// More.
