/// Pages and who reads them.
#[murmur::pipeline(key = page_id, rollup = [(page_id), ()], fields(views, longest(as = "uint64")), unbounded)]
pub fn pages(view: &PageView) -> Option<(Count, own::Streak)> {
    Pages::of(view)
}
#[murmur::pipeline(key = page_id)]
fn tags(view: &PageView) -> Map<String, Floor, 9> {
    Map::of(&view.tag, Floor::one())
}
