#[murmur::pipeline(key = (tag, shop), rollup = [(tag, shop), tag])]
fn tags(view: &PageView) -> impl Iterator<Item = ((String, u32), Count)> {
    view.tags()
}

#[murmur::pipeline(key = page_id)]
fn humans(view: &PageView) -> Option<Sum<u64>> {
    None
}
