#[murmur::event]
pub struct PageView {
    #[murmur(number = 0)]
    pub zero: u64,
    #[murmur(number = 19_500)]
    pub hole: u64,
    #[murmur(number = 7)]
    pub first: u64,
    #[murmur(number = 7)]
    pub second: u64,
}
