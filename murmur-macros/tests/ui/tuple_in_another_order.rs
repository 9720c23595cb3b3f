use murmur::prelude::*;

#[murmur::event]
#[derive(serde::Deserialize)]
pub struct PageView {
    pub page_id: String,
    pub user_id: String,
}

#[murmur::pipeline(key = page_id, fields(views, visitors))]
pub fn pages(view: &PageView) -> (Count, Distinct) {
    (Count::one(), Distinct::of(&view.user_id))
}
//@ now
use murmur::prelude::*;
use murmur::wire::{WireMessage, same_proto};

#[murmur::event]
#[derive(serde::Deserialize)]
pub struct PageView {
    pub page_id: String,
    pub user_id: String,
}

/// Turned round, with a member more and another name: numbers go with the names.
#[murmur::pipeline(key = page_id, fields(readers(was = "visitors"), shares, views))]
pub fn pages(view: &PageView) -> (Distinct, Count, Count) {
    (Distinct::of(&view.user_id), Count::of(0), Count::one())
}

const _: () = {
    let [readers, shares, views] = PagesTotalsReply::SHAPE else { panic!() };
    assert!(same_proto(readers.name, "readers") && readers.number == 2);
    assert!(same_proto(shares.name, "shares") && shares.number == 3);
    assert!(same_proto(views.name, "views") && views.number == 1);
};
