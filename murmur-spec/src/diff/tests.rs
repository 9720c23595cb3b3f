use super::*;

/// An edit of a package, as a person makes it.
type Edit = fn(&mut Package);

use crate::fixtures::{DAY, MINUTE, everything, field, kept, key, labelled, page_traffic};
use crate::model::{Kind, Label, MapKey, Monoid, Output, Shape, Variant, Window};

/// The package before and after, its breaks as `code subject change`, after a sync in between.
fn breaks(before: &Package, edit: impl FnOnce(&mut Package)) -> Vec<String> {
    let mut after = before.clone();
    edit(&mut after);
    let review = Review::of(&Review::of(&Lock::default(), before).lock, &after);
    assert!(review.problems.is_empty(), "{:?}", review.problems);
    review.breaks.iter().map(|found| format!("{} {} {}", found.code, found.subject, found.change)).collect()
}

fn nothing() -> Vec<String> {
    Vec::new()
}

#[test]
fn what_readers_understand_is_no_break() {
    let cases: [(&str, Edit); 9] = [
        ("the same", |_| {}),
        ("a new field", |p| p.events[0].fields.push(field("country", Kind::String))),
        ("a removed field", |p| drop(p.events[0].fields.remove(1))),
        ("a renamed field", |p| {
            p.events[0].fields[1] =
                crate::model::Field { was: Some("user_id".into()), ..field("viewer_id", Kind::String) }
        }),
        ("an optional field", |p| p.events[0].fields[1].label = Label::Optional),
        ("a signed integer of the same width", |p| p.events[0].fields[2].kind = Kind::I64),
        ("a uuid, a string on the wire", |p| p.events[0].fields[1].kind = Kind::Uuid),
        ("a new aggregate that is encoded as its siblings", |p| {
            p.aggregates[0].fields.push(kept("min", Monoid::Min(Kind::U64)))
        }),
        ("a removed aggregate", |p| drop(p.aggregates[0].fields.remove(0))),
    ];
    for (name, edit) in cases {
        assert_eq!(breaks(&page_traffic(), edit), nothing(), "{name}");
    }
}

#[test]
fn each_break_has_its_code_and_its_place() {
    let cases: [(Edit, &str); 13] = [
        (|p| p.events[0].fields[1].kind = Kind::U64, "M0610 PageView.user_id string -> uint64"),
        (|p| p.events[0].fields[2].kind = Kind::U32, "M0610 PageView.dwell_ms uint64 -> uint32"),
        (|p| p.events[0].fields[1].label = Label::Repeated, "M0611 PageView.user_id string -> repeated string"),
        (|p| p.aggregates[0].fields[4].monoid = Monoid::Min(Kind::U64), "M0613 Traffic.slowest Max<u64> -> Min<u64>"),
        (|p| p.aggregates[0].fields[0].monoid = Monoid::Distinct, "M0610 Traffic.views uint64 -> murmur.v1.Estimate"),
        (|p| p.pipelines.clear(), "M0620 PageTrafficService present -> gone"),
        (|p| p.pipelines[0].output = Output::Single(Monoid::Count), "M0623 PageTrafficService Traffic -> uint64"),
        (
            |p| p.pipelines[0].key.push(key("user_id", Kind::String)),
            "M0630 page_traffic_v1 1:string -> 1:string 2:string",
        ),
        (|p| p.pipelines[0].key[0].kind = Kind::U64, "M0630 page_traffic_v1 1:string -> 2:uint64"),
        (|p| p.pipelines[0].rollup = vec![vec![0], vec![]], "M0631 page_traffic_v1 none -> - 1"),
        (
            |p| p.pipelines[0].window = Window::Sliding { span: 90 * DAY, slot: 60 * MINUTE },
            "M0632 page_traffic_v1 sliding 1m -> sliding 1h",
        ),
        (
            |p| p.pipelines[0].window = Window::Sliding { span: 7 * DAY, slot: MINUTE },
            "M0633 page_traffic_v1 90d -> 7d",
        ),
        (|p| p.name = "shop.v1".into(), "M0640 package page_traffic.v1 -> shop.v1"),
    ];
    for (edit, wanted) in cases {
        assert_eq!(breaks(&page_traffic(), edit), [wanted]);
    }
}

#[test]
fn the_stored_form_of_a_table_is_guarded() {
    let mut sums = page_traffic();
    sums.aggregates[0].fields.truncate(2);
    let with_distinct = |p: &mut Package| p.aggregates[0].fields.push(kept("visitors", Monoid::Distinct));
    assert_eq!(breaks(&sums, with_distinct), ["M0634 page_traffic_v1 add -> put"]);

    let mut single = page_traffic();
    single.pipelines[0].output = Output::Single(Monoid::Count);
    let as_sum = |p: &mut Package| p.pipelines[0].output = Output::Single(Monoid::Sum(Kind::U64));
    assert_eq!(breaks(&single, as_sum), ["M0613 page_traffic_v1 Count -> Sum<u64>"]);
}

#[test]
fn values_are_guarded_too() {
    let renamed = |p: &mut Package| {
        let Shape::Enum(variants) = &mut p.values[1].shape else { panic!("the fixture has an enum there") };
        variants[1] = Variant { was: Some("Green".into()), name: "Teal".into(), docs: Vec::new(), number: None };
    };
    assert_eq!(
        breaks(&everything(), renamed),
        ["M0614 PaintColor.PAINT_COLOR_TEAL PAINT_COLOR_GREEN -> PAINT_COLOR_TEAL"]
    );
    let removed = |p: &mut Package| {
        let Shape::Enum(variants) = &mut p.values[1].shape else { panic!("the fixture has an enum there") };
        variants.remove(1);
    };
    assert_eq!(breaks(&everything(), removed), nothing());
    let no_oneof = |p: &mut Package| {
        let Shape::OneOf(fields) = p.values[2].shape.clone() else { panic!("the fixture has a oneof there") };
        p.values[2].shape = Shape::Message(vec![fields[1].clone()]);
    };
    assert_eq!(breaks(&everything(), no_oneof), ["M0612 Payment.cash oneof uint64 -> uint64"]);
    let kind = |p: &mut Package| p.values[3].shape = Shape::Enum(Vec::new());
    assert!(breaks(&everything(), kind).contains(&"M0615 Card message -> enum".to_owned()));
    let map = |p: &mut Package| {
        let at = p.events[0].fields.iter().position(|field| field.name == "map_1").unwrap();
        p.events[0].fields[at] = labelled("map_1", Kind::F64, Label::Map(MapKey::U64));
    };
    assert_eq!(breaks(&everything(), map), ["M0611 Everything.map_1 map<uint32, double> -> map<uint64, double>"]);
}

#[test]
fn a_method_that_a_release_no_longer_makes_is_a_break() {
    let mut lock = Review::of(&Lock::default(), &page_traffic()).lock;
    let service = lock.services.get_mut("PageTrafficService").unwrap();
    service.rpcs.insert("Erase".into(), "EraseRequest -> EraseResponse".into());
    service.rpcs.insert("Get".into(), "OldRequest -> OldResponse".into());
    let found = Review::of(&lock, &page_traffic()).breaks;
    let codes: Vec<_> = found.iter().map(|found| (found.code.id, found.subject.as_str())).collect();
    assert_eq!(codes, [("M0621", "PageTrafficService.Erase"), ("M0622", "PageTrafficService.Get")]);
}

#[test]
fn a_removed_name_does_not_return_unnoticed() {
    let lock = Review::of(&Lock::default(), &page_traffic()).lock;
    let mut without = page_traffic();
    let removed = without.events[0].fields.remove(3);
    let lock = Review::of(&lock, &without).lock;
    let again = Review::of(&lock, &page_traffic());
    assert_eq!(again.breaks[0].code, codes::NAME_REMOVED);
    assert_eq!(again.breaks[0].subject, format!("PageView.{}", removed.name));
    // Even when accepted, the old number stays where it is.
    assert_eq!(again.lock.messages["PageView"].field("referrer").unwrap().0, 6);
}

#[test]
fn a_renamed_field_keeps_its_number_and_its_name_in_json() {
    let lock = Review::of(&Lock::default(), &page_traffic()).lock;
    let mut renamed = page_traffic();
    renamed.events[0].fields[1] =
        crate::model::Field { was: Some("user_id".into()), ..field("viewer_id", Kind::String) };
    let review = Review::of(&lock, &renamed);
    assert!(review.is_sound());
    let (number, fact) = review.lock.messages["PageView"].field("viewer_id").unwrap();
    assert_eq!((number, fact.json_name().as_str()), (2, "userId"));

    renamed.events[0].fields.push(field("user_id", Kind::String));
    let clash = Review::of(&review.lock, &renamed);
    assert_eq!(clash.problems.last().unwrap().code, codes::JSON_CLASH);
}

#[test]
fn a_former_name_that_cannot_be_is_refused() {
    let lock = Review::of(&Lock::default(), &page_traffic()).lock;
    for was in ["usr_id", "dwell_ms"] {
        let mut package = page_traffic();
        package.events[0].fields[1] = crate::model::Field { was: Some(was.into()), ..field("viewer", Kind::String) };
        let review = Review::of(&lock, &package);
        assert_eq!(review.problems[0].code, codes::WAS_UNKNOWN, "{was}");
    }
}

#[test]
fn an_accepted_break_passes_once_and_is_kept_as_history() {
    let mut lock = Review::of(&Lock::default(), &page_traffic()).lock;
    let mut changed = page_traffic();
    changed.events[0].fields[1].kind = Kind::U64;
    let first = Review::of(&lock, &changed);
    lock.decisions.push(first.breaks[0].accept());
    lock = lock.to_string().parse().unwrap();

    let accepted = Review::of(&lock, &changed);
    assert!(accepted.is_sound());
    assert!(accepted.lock.decisions[0].done);
    let subject = &accepted.lock.messages["PageView"];
    assert_eq!(subject.field("user_id").unwrap().0, 6, "old bytes must not be read as the new type");

    // Back, and again forward: each is a decision of its own.
    let back = Review::of(&accepted.lock, &page_traffic());
    assert_eq!(back.breaks[0].change, "uint64 -> string");
    let mut lock = accepted.lock.clone();
    lock.decisions.push(back.breaks[0].accept());
    let again = Review::of(&Review::of(&lock, &page_traffic()).lock, &changed);
    assert_eq!(again.breaks.len(), 1);
}

#[test]
fn a_decision_whose_change_was_taken_back_is_dropped() {
    let mut lock = Review::of(&Lock::default(), &page_traffic()).lock;
    let mut changed = page_traffic();
    changed.events[0].fields[1].kind = Kind::U64;
    lock.decisions.push(Review::of(&lock, &changed).breaks[0].accept());
    assert!(Review::of(&lock, &page_traffic()).lock.decisions.is_empty());
}

#[test]
fn every_break_names_the_command_that_accepts_it() {
    let lock = Review::of(&Lock::default(), &page_traffic()).lock;
    let mut changed = page_traffic();
    changed.events[0].fields[1].kind = Kind::U64;
    let found = &Review::of(&lock, &changed).breaks[0];
    assert_eq!(found.place, Place::Type("PageView".into(), "user_id".into()));
    assert!(found.help().ends_with("`cargo murmur accept M0610 PageView.user_id`."), "{}", found.help());
    assert_eq!(found.to_string(), "M0610: `user_id` of `PageView` was `string` in the lock and is `uint64` now");
}

#[test]
fn changes_are_told_in_words() {
    let lock = Review::of(&Lock::default(), &page_traffic()).lock;
    let mut changed = page_traffic();
    changed.events[0].fields[1].name = "viewer_id".into();
    changed.events[0].fields.push(field("country", Kind::Bool));
    let changes: Vec<String> = Review::of(&lock, &changed).changes.iter().map(ToString::to_string).collect();
    assert_eq!(
        changes,
        [
            "`PageView.user_id`: removed, number 2 is never given again; if `viewer_id` is the same field, write \
             `#[murmur(was = \"user_id\")]`",
            "`PageView.viewer_id`: new, number 6",
            "`PageView.country`: new, number 7",
        ]
    );
}
