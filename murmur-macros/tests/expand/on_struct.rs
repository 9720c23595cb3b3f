/// Likes per post.
#[stream::pipeline(name = "likes", window = tumbling("1h", keep = "1d"), crate = stream)]
pub struct Like {
    /// What is liked.
    #[murmur(key)]
    pub post_id: String,
    #[murmur(time)]
    pub at: Timestamp,
    #[murmur(distinct, last)]
    pub user_id: Option<String>,
}
