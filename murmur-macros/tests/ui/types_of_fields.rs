use std::borrow::Cow;
use std::collections::HashMap;

#[murmur::event]
pub struct PageView {
    pub wide: u128,
    pub borrowed: &'static str,
    pub cow: Cow<'static, str>,
    pub pair: (u64, String),
    pub array: [u8; 16],
    pub nested: Option<Vec<u64>>,
    pub by_ratio: HashMap<u8, u64>,
    pub letter: char,
    pub shared: std::num::Wrapping<u64>,
}
