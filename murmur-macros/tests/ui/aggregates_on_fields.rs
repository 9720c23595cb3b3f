#[murmur::pipeline(name = "likes")]
pub struct Like {
    #[murmur(key)]
    pub post_id: String,
    #[murmur(sum)]
    pub user_id: String,
    #[murmur(top_k(0))]
    pub country: String,
    #[murmur(last)]
    pub weight: u64,
}
