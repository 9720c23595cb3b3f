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
pub struct Maps {
    pub of_sets: Map<String, DistinctSet, 9>,
    pub of_a_tuple: Map<String, (Count, Count), 9>,
}

#[murmur::aggregate]
pub struct Structs {
    pub misspelt: Map<String, View, 9>,
    pub without_a_reply: Map<String, Streak, 9>,
    #[murmur(as = "uint64")]
    pub with_two: Map<String, Views, 9>,
    pub with_a_set: Map<String, Traffic, 9>,
}

#[murmur::pipeline(key = page)]
pub fn streaks(_: &Visit) -> Map<String, Streak, 9> {
    Map::identity()
}

#[murmur::pipeline(key = page)]
pub fn streak(_: &Visit) -> Streak {
    Count::one()
}

pub type Streak = Count;
pub type View = Count;
