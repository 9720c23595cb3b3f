//! Set algebra through the typed client and through JSON.

use serde_json::{Value, json};

use super::http::post_to;
use super::*;
use crate::aggregate::DistinctSet;
use crate::codegen::NoEvent;
use crate::grpc::messages::SetOperand;
use crate::wire::types::{Estimate, SetOperation};

#[derive(Debug, Clone)]
pub(crate) struct Traffic {
    views: Count,
    readers: DistinctSet,
    buyers: DistinctSet,
}

crate::aggregate_struct! {
    impl Traffic;
    /// Who was there.
    pub(crate) struct TrafficReply: "test.v1.Traffic" {
        /// Views.
        views: Count = 1,
        /// Who read.
        readers: DistinctSet = 2,
        /// Who bought.
        buyers: DistinctSet = 3,
    }
    retired [];
}

pub(crate) struct Visits;

impl Pipeline for Visits {
    type Event = NoEvent;
    type Key = NoteKey;
    type Aggregate = Traffic;
    const SPEC: Spec = Spec { name: "visits", service: "VisitsService", ..Stock::SPEC };

    fn apply(_: &NoEvent, _: &mut Emissions<Traffic>) {}
}

impl World {
    /// Readers of these numbers, so many hours ago.
    async fn read(&self, page: &str, hours: u64, readers: std::ops::Range<u64>) {
        let mut traffic = Traffic::identity();
        for reader in readers {
            traffic.combine(Traffic {
                views: Count::one(),
                readers: DistinctSet::of(reader),
                buyers: DistinctSet::of(reader.is_multiple_of(10).then_some(reader)),
            });
        }
        let (tile, slot) = Visits::tiling().locate(hours_ago(hours));
        let id = TileId { key: text_of(&note(page)), tile, part: Some(PartitionId::new("p")) };
        let values = vec![(slot, envelope::seal(&traffic).into())];
        let (first, last) = (Offset::ZERO, Offset::from_u64(1));
        let expires = Visits::tiling().expiry(tile, &Visits::SPEC.window);
        self.write("visits", Write::Put { id, values, first, last, expires }).await;
    }

    pub(crate) fn with_visits(&self) -> ServerBuilder {
        self.builder().pipeline(Reader::<Visits>::new(self.store.clone(), 1).clock(Arc::new(Standing(now()))))
    }
}

pub(crate) async fn world() -> World {
    let world = World::new();
    // Of 1,000 and 700 readers 400 read both; of the home page's, 500 came today.
    world.read("home", 0, 0..500).await;
    world.read("home", 30, 500..1_000).await;
    world.read("shop", 30, 600..1_300).await;
    world
}

fn all_of(page: &str) -> SetOperand<NoteKey> {
    SetOperand { key: Some(note(page)), ..SetOperand::default() }
}

fn today(page: &str) -> SetOperand<NoteKey> {
    SetOperand { window: Some(Span::from_seconds(3_600)), ..all_of(page) }
}

fn exactly(count: u64) -> Estimate {
    let value = count as f64;
    Estimate { value, lower: value, upper: value }
}

#[tokio::test]
async fn the_typed_client_combines_keys_and_windows() {
    use SetOperation::{Difference, Intersection, Union};
    let world = world().await;
    let server = Running::start(world.with_visits()).await;
    let client = server.client::<Visits>().await;
    let made = async |sets: &[SetOperand<NoteKey>], operation, field: &str| {
        client.combine_sets(sets.to_vec(), operation, field).await
    };
    let (home, shop) = (all_of("home"), all_of("shop"));
    let pair = [home.clone(), shop.clone()];
    for (operation, field, count) in [
        (Union, "readers", 1_300),
        (Intersection, "readers", 400),
        (Difference, "readers", 600),
        (Intersection, "buyers", 40),
    ] {
        let reply = made(&pair, operation, field).await.unwrap();
        assert_eq!(reply.estimate, Some(exactly(count)), "{operation:?} of {field}");
        assert!(reply.present && reply.answers.len() == 2);
    }
    assert_eq!(made(&pair, Union, "readers").await.unwrap().sets, [exactly(1_000), exactly(700)]);
    // Who came back, who only came before, and three sets.
    assert_eq!(made(&[home.clone(), today("home")], Difference, "readers").await.unwrap().estimate, Some(exactly(500)));
    let three = [home.clone(), shop.clone(), today("home")];
    assert_eq!(made(&three, Intersection, "readers").await.unwrap().estimate, Some(exactly(0)));
    assert_eq!(made(&three, Difference, "readers").await.unwrap().estimate, Some(exactly(100)));
    // A key that nobody knows is the empty set, and the reply says so.
    let reply = made(&[all_of("no"), all_of("none")], Union, "readers").await.unwrap();
    assert_eq!((reply.estimate, reply.present), (Some(exactly(0)), false));
}

#[tokio::test]
async fn large_sets_have_bounds_that_hold() {
    let world = World::new();
    world.read("home", 0, 0..60_000).await;
    world.read("shop", 0, 40_000..100_000).await;
    let server = Running::start(world.with_visits()).await;
    let client = server.client::<Visits>().await;
    let pair = || vec![all_of("home"), all_of("shop")];
    for (operation, count) in
        [(SetOperation::Union, 1e5), (SetOperation::Intersection, 2e4), (SetOperation::Difference, 4e4)]
    {
        let estimate = client.combine_sets(pair(), operation, "readers").await.unwrap().estimate.unwrap();
        assert!(estimate.lower < count && count < estimate.upper, "{operation:?}: {estimate:?}");
        assert!(estimate.lower < estimate.value && (estimate.upper - estimate.lower) < 0.2 * count, "{estimate:?}");
    }
}

#[tokio::test]
async fn what_is_no_set_is_refused_by_name() {
    let world = world().await;
    let server = Running::start(world.with_visits()).await;
    let (visits, notes) = (server.client::<Visits>().await, server.client::<Notes>().await);
    let pair = || vec![all_of("home"), all_of("shop")];
    let refused = async |sets, operation, field: &str| {
        let error = visits.combine_sets(sets, operation, field).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument);
        error.to_string()
    };
    let error = refused(pair(), SetOperation::Union, "views").await;
    assert!(error.contains("`views` of `visits` is no `DistinctSet`; `readers`, `buyers` are"), "{error}");
    let error = refused(pair(), SetOperation::Union, "").await;
    assert!(error.contains("`field` is not set; of `visits` it can be `readers`, `buyers`"), "{error}");
    assert!(refused(pair(), SetOperation::Unspecified, "readers").await.contains("`operation` is not set"));
    assert!(refused(vec![all_of("home")], SetOperation::Union, "readers").await.contains("`sets` has 1; two"));
    let keyless = vec![all_of("home"), SetOperand::default()];
    assert!(refused(keyless, SetOperation::Union, "readers").await.contains("`key` is not set"));
    let error = notes.combine_sets(pair(), SetOperation::Union, "").await.unwrap_err().to_string();
    assert!(error.contains("`notes` has no `DistinctSet`"), "{error}");
}

#[tokio::test]
async fn curl_combines_sets() {
    let world = world().await;
    let ask = async |request: Value| {
        let router = world.with_visits().build(Drain::never()).unwrap().0;
        post_to(router, "/test.v1.VisitsService/CombineSets", request).await
    };
    let home = json!({"key": {"id": "home"}});
    let sets = json!([home, {"key": {"id": "home"}, "window": "3600s"}]);
    let request = json!({"sets": sets, "operation": "SET_OPERATION_INTERSECTION", "field": "readers"});
    let reply = ask(request).await.json();
    assert_eq!(reply["estimate"], json!({"value": 500.0, "lower": 500.0, "upper": 500.0}), "{reply}");
    assert_eq!(reply["sets"][0]["value"], 1_000.0);
    assert_eq!(reply["answers"][1]["presence"], "PRESENCE_PRESENT");
    let wrong = json!({"sets": [home, home], "operation": "SET_OPERATION_UNION", "field": "views"});
    let (status, code, message) = ask(wrong).await.error();
    assert_eq!((status, code.as_str()), (400, "invalid_argument"));
    assert!(message.contains("`views` of `visits` is no `DistinctSet`"), "{message}");
}
