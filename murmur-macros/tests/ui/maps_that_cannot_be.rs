use murmur::aggregate::{Count, DistinctSet, Map};

#[murmur::event]
pub struct Visit {
    pub page: String,
}

#[murmur::aggregate]
pub struct Maps {
    pub of_sets: Map<String, DistinctSet, 9>,
    pub of_tuples: Map<String, (Count, Count), 9>,
    #[murmur(as = "uint64")]
    pub of_ours: Map<String, Count, 9>,
}

#[murmur::pipeline(key = page)]
pub fn of_maps(_: &Visit) -> Map<String, Map<String, Count, 9>, 9> {
    Map::of("", Map::of("", Count::one()))
}
