use murmur::aggregate::Count;

#[murmur::event]
pub struct Like {
    pub post_id: String,
    pub country: String,
}

#[murmur::pipeline(key = (post_id), rollup = [(post_id), (country)])]
pub fn foreign(_: &Like) -> Count {
    Count::one()
}

#[murmur::pipeline(rollup = [(post_id, country), (country, post_id), ()])]
pub fn twice(_: &Like) -> Count {
    Count::one()
}

#[murmur::pipeline(key = (post_id, country), rollup = [(post_id), ()])]
pub fn unused(_: &Like) -> Count {
    Count::one()
}

#[murmur::pipeline(key = (post_id, post_id))]
pub fn doubled(_: &Like) -> Count {
    Count::one()
}
