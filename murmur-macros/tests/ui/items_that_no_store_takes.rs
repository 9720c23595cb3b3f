use murmur::prelude::*;

#[murmur::event]
#[derive(serde::Deserialize)]
pub struct Visit {
    pub page: String,
    pub user: String,
}

#[murmur::aggregate]
pub struct Traffic {
    pub views: Count,
    pub seen: Membership<300_000>,
    pub lately: Membership<60_000>,
}

#[murmur::pipeline(key = page)]
pub fn visits(visit: &Visit) -> Traffic {
    Traffic { views: Count::one(), seen: Membership::of(&visit.user), lately: Membership::of(&visit.user) }
}
