//! Packages that the tests of the back half share.

use crate::model::*;

pub(crate) fn field(name: &str, kind: Kind) -> Field {
    labelled(name, kind, Label::Plain)
}

pub(crate) fn labelled(name: &str, kind: Kind, label: Label) -> Field {
    Field { name: name.into(), docs: Vec::new(), kind, label, was: None, number: None }
}

pub(crate) fn kept(name: &str, monoid: Monoid) -> AggregateField {
    AggregateField { name: name.into(), docs: Vec::new(), monoid, was: None, number: None }
}

pub(crate) fn key(name: &str, kind: Kind) -> KeyField {
    KeyField { name: name.into(), kind, was: None }
}

fn docs(line: &str) -> Vec<String> {
    line.split('\n').map(str::to_owned).collect()
}

pub(crate) const DAY: u64 = 86_400_000_000;
pub(crate) const MINUTE: u64 = 60_000_000;

/// A map of structs stands alone, and one of the user's own monoids in a struct.
pub(crate) fn maps() -> Package {
    let mut package = page_traffic();
    let own = Monoid::Custom { rust: "Streak<3>".into(), reply: "uint64".into() };
    package.aggregates[0].fields.push(kept("streaks", Monoid::Map(MapKey::String, Box::new(own), 9)));
    let of_structs = Monoid::Map(MapKey::U64, Box::new(Monoid::Struct("Traffic".into())), 9);
    package.pipelines[0].output = Output::Single(of_structs);
    package
}

/// The example of the design page.
pub(crate) fn page_traffic() -> Package {
    Package {
        name: "page_traffic.v1".into(),
        values: Vec::new(),
        events: vec![Event {
            name: "PageView".into(),
            docs: docs("One view of one page."),
            fields: vec![
                Field { docs: docs("Path of the page."), ..field("page_id", Kind::String) },
                field("user_id", Kind::String),
                field("dwell_ms", Kind::U64),
                labelled("referrer", Kind::String, Label::Optional),
                field("viewed_at", Kind::Timestamp),
            ],
            beside: Vec::new(),
            time: Some("viewed_at".into()),
        }],
        aggregates: vec![Aggregate {
            name: "Traffic".into(),
            docs: docs("What is known about a page."),
            fields: vec![
                kept("views", Monoid::Count),
                kept("dwell_ms", Monoid::Sum(Kind::U64)),
                kept("visitors", Monoid::Distinct),
                kept("referrers", Monoid::TopK(10)),
                kept("slowest", Monoid::Max(Kind::U64)),
            ],
        }],
        pipelines: vec![Pipeline {
            name: "page_traffic".into(),
            docs: docs("Traffic per page, over any window of up to 90 days.\n\nA second paragraph."),
            event: "PageView".into(),
            key: vec![key("page_id", Kind::String)],
            rollup: Vec::new(),
            output: Output::Struct("Traffic".into()),
            returns: Returns::One,
            window: Window::Sliding { span: 90 * DAY, slot: MINUTE },
        }],
    }
}

/// Every kind of field, value, label, aggregate and key.
pub(crate) fn everything() -> Package {
    let kinds = [
        ("a_bool", Kind::Bool),
        ("a_u8", Kind::U8),
        ("a_u16", Kind::U16),
        ("a_u32", Kind::U32),
        ("a_u64", Kind::U64),
        ("an_i8", Kind::I8),
        ("an_i16", Kind::I16),
        ("an_i32", Kind::I32),
        ("an_i64", Kind::I64),
        ("an_f32", Kind::F32),
        ("an_f64", Kind::F64),
        ("a_string", Kind::String),
        ("some_bytes", Kind::Bytes),
        ("at", Kind::Timestamp),
        ("lasts", Kind::Duration),
        ("a_uuid", Kind::Uuid),
        ("wrapped", Kind::Value("ShopId".into())),
        ("color", Kind::Value("PaintColor".into())),
        ("payment", Kind::Value("Payment".into())),
        ("price", Kind::Value("Money".into())),
    ];
    let mut fields: Vec<Field> = kinds.iter().map(|(name, kind)| field(name, kind.clone())).collect();
    for (name, kind) in &kinds {
        fields.push(labelled(&format!("maybe_{name}"), kind.clone(), Label::Optional));
        fields.push(labelled(&format!("many_{name}"), kind.clone(), Label::Repeated));
        fields.push(labelled(&format!("{name}_by_name"), kind.clone(), Label::Map(MapKey::String)));
    }
    let keys = [MapKey::Bool, MapKey::U32, MapKey::U64, MapKey::I32, MapKey::I64];
    for (at, key) in keys.into_iter().enumerate() {
        fields.push(labelled(&format!("map_{at}"), Kind::F64, Label::Map(key)));
    }
    let value = |name: &str, shape| Value { name: name.into(), docs: docs("A value."), shape };
    let variant = |name: &str| Variant { name: name.into(), docs: docs("A variant."), number: None, was: None };
    let of = [Kind::U8, Kind::I32, Kind::U64, Kind::F64, Kind::String, Kind::Timestamp, Kind::Bool, Kind::Decimal(2)];
    let mut aggregated: Vec<AggregateField> = vec![
        kept("count", Monoid::Count),
        kept("sum_i", Monoid::Sum(Kind::I64)),
        kept("sum_u", Monoid::Sum(Kind::U64)),
        kept("sum_f", Monoid::Sum(Kind::F64)),
        kept("average", Monoid::Average),
        kept("distinct", Monoid::Distinct),
        kept("top", Monoid::TopK(5)),
        kept("moments", Monoid::Moments),
        kept("quantiles", Monoid::Quantiles),
        kept("distinct_set", Monoid::DistinctSet),
        kept("set_s", Monoid::Set(Kind::String, 5)),
        kept("set_i", Monoid::Set(Kind::I32, 5)),
        kept("set_u", Monoid::Set(Kind::U64, 5)),
        kept("set_t", Monoid::Set(Kind::Timestamp, 5)),
        kept("own", Monoid::Custom { rust: "my::Monoid".into(), reply: "bytes".into() }),
    ];
    for (at, kind) in of.into_iter().enumerate() {
        aggregated.push(kept(&format!("min_{at}"), Monoid::Min(kind.clone())));
        aggregated.push(kept(&format!("max_{at}"), Monoid::Max(kind.clone())));
        aggregated.push(kept(&format!("first_{at}"), Monoid::First(kind.clone())));
        aggregated.push(kept(&format!("last_{at}"), Monoid::Last(kind.clone())));
        aggregated.push(kept(&format!("latest_{at}"), Monoid::Latest(kind)));
    }
    aggregated.push(kept("decayed", Monoid::Decayed(3_600)));
    aggregated.push(kept("membership", Monoid::Membership(10_000)));
    aggregated.push(kept("frequency", Monoid::Frequency));
    for (name, of) in [("counts", Monoid::Count), ("slowest", Monoid::Max(Kind::U64)), ("trends", Monoid::Decayed(60))]
    {
        aggregated.push(kept(name, Monoid::Map(MapKey::String, Box::new(of), 100)));
    }
    aggregated.push(kept("revenue", Monoid::DecimalSum(2)));
    aggregated.push(kept("more_counts", Monoid::Map(MapKey::String, Box::new(Monoid::Count), 9)));
    let pipeline = |name: &str, output, window| Pipeline {
        name: name.into(),
        docs: docs("A pipeline."),
        event: "Everything".into(),
        key: vec![key("a_string", Kind::String), key("an_i64", Kind::I64), key("at", Kind::Timestamp)],
        rollup: Vec::new(),
        output,
        returns: Returns::One,
        window,
    };
    let mut rolled = pipeline("rolled", Output::Single(Monoid::Max(Kind::U64)), Window::AllTime);
    rolled.rollup = vec![vec![0, 1, 2], vec![0, 1], vec![0], vec![]];
    let mut keyless = pipeline("keyless", Output::Single(Monoid::Distinct), Window::AllTime);
    keyless.key = Vec::new();
    Package {
        name: "shop.murmur.google.v1".into(),
        values: vec![
            value("ShopId", Shape::Newtype(Kind::U64)),
            value("PaintColor", Shape::Enum(vec![variant("DarkRed"), variant("Green")])),
            value(
                "Payment",
                Shape::OneOf(vec![
                    field("card", Kind::Value("Card".into())),
                    field("cash", Kind::U64),
                    field("kind", Kind::String),
                ]),
            ),
            value("Card", Shape::Message(vec![field("number", Kind::String)])),
            value(
                "Money",
                Shape::Message(vec![field("currency", Kind::String), labelled("units", Kind::I64, Label::Optional)]),
            ),
        ],
        events: vec![Event {
            name: "Everything".into(),
            docs: docs("Everything\n\nthat can be."),
            fields,
            beside: Vec::new(),
            time: Some("at".into()),
        }],
        aggregates: vec![Aggregate { name: "All".into(), docs: Vec::new(), fields: aggregated }],
        pipelines: vec![
            pipeline("all", Output::Struct("All".into()), Window::Tumbling { size: 60 * MINUTE, keep: 30 * DAY }),
            pipeline("likes", Output::Single(Monoid::Count), Window::Sliding { span: DAY, slot: 1_500_000 }),
            rolled,
            keyless,
        ],
    }
}
