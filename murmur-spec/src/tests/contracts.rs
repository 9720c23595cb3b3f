use super::read;
use crate::diff::Review;
use crate::emit::{self, LOCK, Output};
use crate::lock::Lock;

/// The contracts that a source has, by the lock of what it was before.
fn contracts(source: &str, lock: &Lock) -> (Vec<Output>, Review) {
    let (lowered, findings) = read(source);
    assert_eq!(findings, Vec::<String>::new());
    let review = Review::of(lock, &lowered.package);
    (emit::outputs(&review, "shop"), review)
}

const EVENT: &str = "
    /// A view of a page.
    #[murmur::event] struct View { page: String, user: String, #[murmur(time)] at: Timestamp }";

fn tuple(fields: &str, returned: &str) -> String {
    format!(
        "{EVENT} /// Pages.
        #[murmur::pipeline(key = page, window = sliding(\"1d\", slot = \"1h\"), fields({fields}))]
        fn pages(view: &View) -> {returned} {{ todo!() }}"
    )
}

#[test]
fn a_tuple_has_the_contract_of_a_struct() {
    let written = format!(
        "{EVENT} /// Pages.
        #[murmur::aggregate] struct PagesTotals {{ views: Count, visitors: Distinct }}
        /// Pages.
        #[murmur::pipeline(key = page, window = sliding(\"1d\", slot = \"1h\"))]
        fn pages(view: &View) -> PagesTotals {{ todo!() }}"
    );
    let (of_struct, before) = contracts(&written, &Lock::default());
    let (of_tuple, _) = contracts(&tuple("views, visitors", "(Count, Distinct)"), &Lock::default());
    assert_eq!(of_tuple, of_struct);
    // So one can become the other, and its members may stand in any order.
    let (turned, review) = contracts(&tuple("visitors, views", "(Distinct, Count)"), &before.lock);
    assert_eq!(turned, of_struct);
    assert!(review.changes.is_empty() && review.breaks.is_empty() && review.problems.is_empty());
}

#[test]
fn members_are_renamed_and_removed_like_fields() {
    let before = contracts(&tuple("views, visitors", "(Count, Distinct)"), &Lock::default()).1.lock;
    let (outputs, review) = contracts(&tuple("slowest, readers(was = \"visitors\")", "(Max<u64>, Distinct)"), &before);
    assert!(review.breaks.is_empty() && review.problems.is_empty(), "{:?}", review.breaks);
    let proto = outputs.iter().find(|output| output.path == "proto/shop/v1/shop.proto").unwrap();
    for line in ["murmur.v1.Estimate readers = 2", "optional uint64 slowest = 3;", "reserved 1;"] {
        assert!(proto.text.contains(line), "`{line}` is not in:\n{}", proto.text);
    }
}

#[test]
fn contracts_of_maps() {
    let source = format!(
        "{EVENT}
        /// What a country does.
        #[murmur::aggregate] struct Country {{ views: Count, slowest: Max<u64>, cities: Map<String, Average, 9> }}
        /// Pages by country.
        #[murmur::pipeline(key = page)]
        fn pages(view: &View) -> Map<String, Country, 30> {{ todo!() }}
        /// Streaks by country.
        #[murmur::pipeline(key = page, fields(streaks(as = \"uint64\")))]
        fn streaks(view: &View) -> (Map<String, Streak, 30>,) {{ todo!() }}"
    );
    let (outputs, _) = contracts(&source, &Lock::default());
    for path in [LOCK, "proto/shop/v1/shop.proto"] {
        let output = outputs.iter().find(|output| output.path == path).unwrap();
        insta::assert_snapshot!(format!("maps-{}", path.replace('/', "-")), output.text);
    }
}
