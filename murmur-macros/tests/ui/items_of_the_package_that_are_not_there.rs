use murmur::aggregate::Count;

#[murmur::event]
pub struct PageView {
    pub page_id: String,
    pub color: Colour,
}

pub struct Colour;

pub struct Click {
    pub page_id: String,
}

pub struct Traffic;

#[murmur::pipeline(key = page_id)]
pub fn clicks(_: &Click) -> Count {
    Count::one()
}

#[murmur::pipeline(key = page_id)]
pub fn page_traffic(_: &PageView) -> Traffic {
    Traffic
}
