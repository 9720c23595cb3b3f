//! Maps through the typed client, through JSON, and through a decoder that knows the `.proto` alone.

use std::collections::BTreeMap;

use prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage, MapKey, Value as Reflected};
use serde_json::json;

use super::http::post_to;
use super::*;
use crate::aggregate::{Average, Map, Max};
use crate::codegen::NoEvent;
use crate::wire::types;

#[derive(Debug, Clone)]
struct Tastes {
    cups: Map<String, Count, 2>,
    hottest: Map<i64, Max<i64>, 9>,
    stay: Map<bool, Average, 2>,
}

crate::aggregate_struct! {
    impl Tastes;
    /// What guests take.
    struct TastesReply: "test.v1.Tastes" {
        /// Cups by kind; two kinds at most.
        cups: Map<String, Count, 2> = 1,
        /// The hottest cup by floor; the cellar is negative.
        hottest: Map<i64, Max<i64>, 9> = 2,
        /// How long they stay, with sugar and without.
        stay: Map<bool, Average, 2> = 3,
    }
    retired [];
}

struct Guests;

impl Pipeline for Guests {
    type Event = NoEvent;
    type Key = NoteKey;
    type Aggregate = Tastes;
    const SPEC: Spec = Spec { name: "guests", service: "GuestsService", ..Stock::SPEC };

    fn apply(_: &NoEvent, _: &mut Emissions<Tastes>) {}
}

/// A guest: the kind of cup, the floor, how hot it was if anybody measured, sugar, and the stay.
type Guest = (&'static str, i64, Option<i64>, bool, u64);

fn tastes(guests: &[Guest]) -> Tastes {
    let mut all = Tastes::identity();
    for &(kind, floor, heat, sugar, stay) in guests {
        all.combine(Tastes {
            cups: Map::of(kind, Count::one()),
            hottest: Map::of(floor, Max::of(heat)),
            stay: Map::of(sugar, Average::of(stay)),
        });
    }
    all
}

impl World {
    async fn guests(&self, cafe: &str, hours: u64, guests: &[Guest]) {
        let (tile, slot) = Guests::tiling().locate(hours_ago(hours));
        let id = TileId { key: text_of(&note(cafe)), tile, part: Some(PartitionId::new("p")) };
        let values = vec![(slot, envelope::seal(&tastes(guests)).into())];
        let (first, last) = (Offset::ZERO, Offset::from_u64(1));
        let expires = Guests::tiling().expiry(tile, &Guests::SPEC.window);
        self.write("guests", Write::Put { id, values, first, last, expires }).await;
    }

    fn with_guests(&self) -> ServerBuilder {
        self.builder().pipeline(Reader::<Guests>::new(self.store.clone(), 1).clock(Arc::new(Standing(now()))))
    }
}

/// Three kinds over two hours, of which the map keeps two; on the third floor nobody measured.
async fn world() -> World {
    let world = World::new();
    world.guests("corner", 2, &[("mate", -1, Some(-4), true, 10), ("tea", 2, Some(70), false, 3)]).await;
    world.guests("corner", 1, &[("coffee", -1, Some(-9), true, 20), ("mate", 3, None, true, 30)]).await;
    world
}

fn average(mean: f64, count: u64) -> types::Average {
    types::Average { mean: Some(mean), count, sum: mean * count as f64 }
}

#[tokio::test]
async fn the_typed_client_gets_maps_by_grpc() {
    let server = Running::start(world().await.with_guests()).await;
    let client = server.client::<Guests>().await;
    let reply = client.get(note("corner")).await.unwrap();
    assert!(reply.present);
    let value = reply.value;
    assert_eq!(value.cups.entries, BTreeMap::from([("coffee".to_owned(), 1), ("mate".to_owned(), 2)]));
    assert!(value.cups.truncated, "tea is missing");
    assert_eq!(
        value.hottest.entries,
        BTreeMap::from([(-1, Some(-4)), (2, Some(70))]),
        "a floor without a value is not there"
    );
    assert!(!value.hottest.truncated);
    assert_eq!(value.stay.entries, BTreeMap::from([(false, average(3.0, 1)), (true, average(20.0, 3))]));

    let series = client.series(note("corner"), hours_ago(2), None, None).await.unwrap();
    let cups = series.points.into_iter().map(|point| point.value.cups);
    let cups: Vec<_> = cups.map(|cups| (cups.entries.into_iter().collect::<Vec<_>>(), cups.truncated)).collect();
    let one = |kind: &str| (kind.to_owned(), 1);
    let hours = [vec![one("mate"), one("tea")], vec![one("coffee"), one("mate")], vec![]];
    assert_eq!(cups, hours.map(|kinds| (kinds, false)));

    let nobody = client.get(note("closed")).await.unwrap();
    assert!(!nobody.present);
    assert_eq!(nobody.value, TastesReply::default());
}

#[tokio::test]
async fn json_has_maps_as_objects() {
    let world = world().await;
    let ask = async |method: &str, request| {
        let router = world.with_guests().build(Drain::never()).unwrap().0;
        post_to(router, &format!("/test.v1.GuestsService/{method}"), request).await.json()
    };
    let corner = json!({"id": "corner"});
    let stay = json!({"entries": {
        "false": {"mean": 3.0, "count": "1", "sum": 3.0}, "true": {"mean": 20.0, "count": "3", "sum": 60.0},
    }, "truncated": false});
    let whole = json!({
        "cups": {"entries": {"coffee": "1", "mate": "2"}, "truncated": true},
        "hottest": {"entries": {"-1": "-4", "2": "70"}, "truncated": false},
        "stay": stay,
    });
    assert_eq!(ask("Get", json!({"key": corner})).await["value"], whole);
    let many = ask("GetMany", json!({"keys": [{"id": "closed"}, corner]})).await;
    assert_eq!(many["entries"][1]["value"], whole);
    assert_eq!((&many["entries"][0]["present"], &many["entries"][1]["present"]), (&json!(false), &json!(true)));
    let hour = ask("GetWindow", json!({"key": corner, "window": "5400s"})).await;
    assert_eq!(hour["value"]["cups"], json!({"entries": {"coffee": "1", "mate": "1"}, "truncated": false}));
}

#[test]
fn a_map_is_the_map_of_protobuf() {
    let guests = [("mate", -1, Some(-4), true, 10), ("tea", 2, Some(70), false, 3), ("water", 3, None, false, 5)];
    let reply = tastes(&guests).reply(&Question::default()).unwrap();
    let pool = DescriptorPool::decode(DESCRIPTOR.as_slice()).unwrap();
    let message = pool.get_message_by_name("test.v1.Tastes").unwrap();
    let theirs = DynamicMessage::decode(message, reply.encode_to_vec().as_slice()).unwrap();
    assert_eq!(theirs.unknown_fields().count(), 0);
    let map = |name: &str| theirs.get_field_by_name(name).unwrap().as_message().unwrap().clone();
    let cups = map("cups");
    assert_eq!(cups.get_field_by_name("truncated").unwrap().as_bool(), Some(true));
    let cups = cups.get_field_by_name("entries").unwrap().as_map().unwrap().clone();
    assert_eq!(cups.get(&MapKey::String("tea".into())), Some(&Reflected::U64(1)));
    assert_eq!(cups.len(), 2);
    let floors = map("hottest").get_field_by_name("entries").unwrap().as_map().unwrap().clone();
    assert_eq!(floors.get(&MapKey::I64(-1)), Some(&Reflected::I64(-4)));
    // And what another one writes is read here.
    assert_eq!(TastesReply::decode(theirs.encode_to_vec().as_slice()).unwrap(), reply);
}
