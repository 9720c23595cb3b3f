use murmur::aggregate::{Count, Distinct, Max};

#[murmur::event]
pub struct PageView {
    pub page_id: String,
    pub user_id: String,
}

#[murmur::pipeline(key = page_id)]
pub fn without_names(view: &PageView) -> (Count, Distinct) {
    (Count::one(), Distinct::of(&view.user_id))
}

#[murmur::pipeline(key = page_id, fields(views))]
pub fn with_too_few(view: &PageView) -> Option<(Count, Distinct)> {
    Some((Count::one(), Distinct::of(&view.user_id)))
}

#[murmur::pipeline(key = page_id, fields(views, visitors, slowest))]
pub fn with_too_many(view: &PageView) -> Vec<(String, (Count, Distinct))> {
    vec![(view.page_id.clone(), (Count::one(), Distinct::of(&view.user_id)))]
}

#[murmur::pipeline(key = page_id, fields(views, views, type))]
pub fn with_bad_ones(_: &PageView) -> (Count, Count, Count) {
    (Count::one(), Count::one(), Count::one())
}

#[murmur::pipeline(key = page_id, fields = (views, visitors))]
pub fn in_another_form(view: &PageView) -> (Count, Distinct) {
    (Count::one(), Distinct::of(&view.user_id))
}

#[murmur::pipeline(key = page_id, fields(views(of = "x"), visitors = 2))]
pub fn with_more_said(view: &PageView) -> (Count, Distinct) {
    (Count::one(), Distinct::of(&view.user_id))
}

#[murmur::pipeline(key = page_id, fields(page_views, pageViews))]
pub fn that_meet_in_json(view: &PageView) -> (Count, Distinct) {
    (Count::one(), Distinct::of(&view.user_id))
}

#[murmur::pipeline(key = page_id, fields(views))]
pub fn of_no_tuple(_: &PageView) -> Count {
    Count::one()
}

#[murmur::pipeline(key = page_id, fields(views, nested))]
pub fn of_one_in_another(_: &PageView) -> (Count, (Count, Count)) {
    (Count::one(), (Count::one(), Count::one()))
}

#[murmur::pipeline(key = page_id, fields(views, page))]
pub fn of_no_aggregates(view: &PageView) -> (Count, String) {
    (Count::one(), view.page_id.clone())
}

#[murmur::pipeline(name = "likes", fields(count))]
pub struct Like {
    #[murmur(key)]
    pub post_id: String,
}

#[murmur::aggregate]
pub struct Pair {
    pub both: (Count, Max<u64>),
}
