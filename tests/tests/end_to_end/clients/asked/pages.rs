//! The running example, asked about.

use murmur_tests::oracle::{self, Views};
use serde_json::{Value, json};
use tonic::Code;

use super::answers::{Expected, Told, Truth};
use super::{Counted, Question, Stretch};
use crate::clients::Made;
use crate::foreign_clients::{Served, snake};

impl Truth for oracle::Truth {
    fn compare(&self, value: &Value) -> Result<(), String> {
        Self::compare(self, &snake(value))
    }
}

pub(super) fn counted(served: &Served) -> Counted<'_> {
    let pages = served.asked();
    let keys: Vec<Value> = pages.iter().map(|page| json!({ "pageId": page })).collect();
    let of = |key: usize| json!({ "key": keys[key] });
    let operands = json!({ "sets": [of(0), of(1)], "operation": "SET_OPERATION_UNION" });
    // No field of the example is a DistinctSet.
    let refused = Expected::Refused(Code::InvalidArgument, &["DistinctSet"]);
    let views = pages.iter().map(|page| Views {
        views: served.stream.views.views.iter().filter(|view| view.page == *page).cloned().collect(),
        malformed: Vec::new(),
    });
    let views: Vec<Views> = views.collect();
    let truth = move |key: usize, (start, end): Stretch| {
        let micros = |seconds: i64| seconds.saturating_mul(1_000_000);
        let (_, truth) = views[key].truth(micros(start), micros(end)).pop_first()?;
        Some(Told::Value(Box::new(truth)))
    };
    Counted {
        made: Made::PageTraffic,
        url: served.server.url(),
        keys,
        stretch: (served.start, served.end),
        truth: Box::new(truth),
        more: vec![Question { method: "CombineSets", request: operands, expected: refused }],
    }
}
