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
    pub visitors: DistinctSet,
}

#[murmur::aggregate]
pub struct Views {
    pub views: Count,
    pub inner: Map<String, Inner, 9>,
}

#[murmur::aggregate]
pub struct Inner {
    pub outer: Map<String, Views, 9>,
}

#[murmur::aggregate]
pub struct Structs {
    pub misspelt: Map<String, Vies, 9>,
    pub without_a_reply: Map<String, Streak, 9>,
    #[murmur(as = "uint64")]
    pub with_two: Map<u32, Views, 9>,
    pub with_a_set: Map<String, Traffic, 9>,
}

#[murmur::pipeline(key = page)]
pub fn by_user(visit: &Visit) -> Map<String, Streak, 9> {
    Map::of(&visit.user, Count::one())
}

#[murmur::pipeline(key = page)]
pub fn alone(_: &Visit) -> Streak {
    Count::one()
}

#[murmur::pipeline(key = page, fields(traffic))]
pub fn in_a_tuple(visit: &Visit) -> (Traffic,) {
    (Traffic { views: Count::one(), visitors: DistinctSet::of(&visit.user) },)
}

pub type Streak = Count;
pub type Vies = Count;
