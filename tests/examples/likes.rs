//! The program of the README.
#![allow(missing_docs, reason = "as short as it stands there")]

use murmur::prelude::*;

#[murmur::event]
#[derive(serde::Deserialize)]
pub struct Like {
    pub post_id: String,
    pub user_id: String,
    pub country: String,
    #[murmur(time)]
    pub at: Timestamp,
}

#[murmur::aggregate]
pub struct LikeCounts {
    pub count: Count,
    pub fans: Distinct,
}

#[murmur::pipeline(key = post_id, window = sliding("30d", slot = "1h"))]
pub fn likes(like: &Like) -> LikeCounts {
    LikeCounts { count: Count::one(), fans: Distinct::of(&like.user_id) }
}

#[murmur::pipeline(key = post_id, fields(count, fans))]
pub fn fans(like: &Like) -> (Count, Distinct) {
    (Count::one(), Distinct::of(&like.user_id))
}

#[murmur::pipeline(key = post_id)]
pub fn likes_by_country(like: &Like) -> Map<String, LikeCounts, 50> {
    Map::of(&like.country, LikeCounts { count: Count::one(), fans: Distinct::of(&like.user_id) })
}

murmur::main!(likes, fans, likes_by_country);
