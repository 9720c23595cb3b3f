use super::read;
use crate::model::{Kind, Label, MapKey, Monoid, Output, Returns, Shape, Window};

const DAY: u64 = 86_400_000_000;

#[test]
fn the_example_of_the_design_is_read_whole() {
    let (lowered, findings) = read(
        r#"
        use murmur::prelude::*;
        /// One view of one page.
        ///
        /// Seen by someone.
        #[murmur::event]
        #[derive(serde::Deserialize)]
        pub struct PageView {
            pub page_id: String,
            /// Who.
            pub user_id: String,
            pub dwell_ms: u64,
            pub referrer: Option<String>,
            #[murmur(time)]
            pub viewed_at: Timestamp,
        }
        #[murmur::aggregate]
        pub struct Traffic {
            pub views: Count,
            pub dwell_ms: Sum<u64>,
            pub visitors: Distinct,
            pub referrers: TopK<10>,
            #[murmur(was = "worst", number = 9)]
            pub slowest: Max<u64>,
        }
        /// Traffic per page, over any window of up to 90 days.
        #[murmur::pipeline(key = page_id, window = sliding("90d", slot = "1m"))]
        pub fn page_traffic(view: &PageView) -> Traffic {
            Traffic { views: Count::one() }
        }
        "#,
    );
    assert_eq!(findings, Vec::<String>::new());
    let package = lowered.package;
    assert_eq!(package.name, "shop.v1");
    let event = &package.events[0];
    assert_eq!((event.name.as_str(), event.time.as_deref()), ("PageView", Some("viewed_at")));
    assert_eq!(event.docs, ["One view of one page.", "", "Seen by someone."]);
    assert_eq!((event.fields[3].kind.clone(), event.fields[3].label), (Kind::String, Label::Optional));
    assert_eq!(event.fields[1].docs, ["Who."]);
    let traffic = &package.aggregates[0];
    let monoids: Vec<&Monoid> = traffic.fields.iter().map(|field| &field.monoid).collect();
    let want = [Monoid::Count, Monoid::Sum(Kind::U64), Monoid::Distinct, Monoid::TopK(10), Monoid::Max(Kind::U64)];
    assert_eq!(monoids, want.iter().collect::<Vec<_>>());
    assert_eq!((traffic.fields[4].was.as_deref(), traffic.fields[4].number), (Some("worst"), Some(9)));
    let pipeline = &package.pipelines[0];
    assert_eq!((pipeline.name.as_str(), pipeline.event.as_str()), ("page_traffic", "PageView"));
    assert_eq!((pipeline.key[0].name.as_str(), &pipeline.key[0].kind), ("page_id", &Kind::String));
    assert_eq!(pipeline.output, Output::Struct("Traffic".into()));
    assert_eq!(pipeline.window, Window::Sliding { span: 90 * DAY, slot: 60_000_000 });
    assert_eq!(pipeline.returns, Returns::One);
    let seen: Vec<&str> = lowered.seen.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(seen, ["PageView", "Traffic", "page_traffic"]);
    let key = lowered.origins.iter().find(|origin| origin.name == "PageTrafficKey").unwrap();
    assert_eq!((key.item.as_str(), key.part(Some("page_id")).to_word().as_str()), ("page_traffic", "key:page_id"));
}

#[test]
fn a_struct_is_event_and_pipeline_at_once() {
    let (lowered, findings) = read(
        r#"
        #[murmur::pipeline(name = "likes", window = sliding("30d", slot = "1h"), package = "social.v2")]
        pub struct Like {
            #[murmur(key)] pub post_id: String,
            #[murmur(time)] pub at: Timestamp,
            #[murmur(distinct, top_k(5), distinct_set, set(20), membership(100), frequency)] pub user_id: String,
            #[murmur(sum, max, average, quantiles, moments)] pub weight: Option<u16>,
        }
        "#,
    );
    assert_eq!(findings, Vec::<String>::new());
    let package = lowered.package;
    assert_eq!(package.name, "social.v2");
    assert_eq!(package.events[0].name, "Like");
    let totals: Vec<String> =
        package.aggregates[0].fields.iter().map(|field| format!("{}: {:?}", field.name, field.monoid)).collect();
    let want = [
        "count: Count",
        "user_id_distinct: Distinct",
        "user_id_top_k: TopK(5)",
        "user_id_distinct_set: DistinctSet",
        "user_id_set: Set(String, 20)",
        "user_id_membership: Membership(100)",
        "user_id_frequency: Frequency",
        "weight_sum: Sum(U64)",
        "weight_max: Max(U64)",
        "weight_average: Average",
        "weight_quantiles: Quantiles",
        "weight_moments: Moments",
    ];
    assert_eq!(totals, want);
    assert_eq!(package.aggregates[0].name, "LikesTotals");
    assert_eq!(package.pipelines[0].output, Output::Struct("LikesTotals".into()));
    assert_eq!(package.pipelines[0].key[0].name, "post_id");
}

#[test]
fn filters_fan_outs_and_rollups_are_told_apart() {
    let (lowered, findings) = read(
        r#"
        #[murmur::event]
        struct Post { post_id: u64, country: String, tags: Vec<String>, #[murmur(time)] at: SystemTime }
        #[murmur::pipeline(key = (post_id, country))]
        fn filtered(post: &Post) -> Option<Count> { None }
        #[murmur::pipeline(key = (tag, shop))]
        fn tagged<'a>(post: &'a Post) -> impl Iterator<Item = ((String, u32), Count)> + 'a { todo!() }
        #[murmur::pipeline(key = tag, window = tumbling("1h", keep = "30d"))]
        fn listed(post: &Post) -> Vec<(String, Sum<f64>)> { vec![] }
        #[murmur::pipeline(rollup = [(country, post_id), country, ()])]
        fn rolled(post: &Post) -> murmur::Count { half typed
        }
        "#
        .replace("half typed", "")
        .as_str(),
    );
    assert_eq!(findings, Vec::<String>::new());
    let pipelines = lowered.package.pipelines;
    assert_eq!(pipelines[0].returns, Returns::Optional);
    assert_eq!(pipelines[0].output, Output::Single(Monoid::Count));
    assert_eq!(pipelines[1].returns, Returns::Many);
    let key: Vec<(&str, &Kind)> = pipelines[1].key.iter().map(|key| (key.name.as_str(), &key.kind)).collect();
    assert_eq!(key, [("tag", &Kind::String), ("shop", &Kind::U32)]);
    assert_eq!(pipelines[2].window, Window::Tumbling { size: DAY / 24, keep: 30 * DAY });
    assert_eq!(pipelines[2].output, Output::Single(Monoid::Sum(Kind::F64)));
    assert_eq!(pipelines[3].key[0].name, "country");
    assert_eq!(pipelines[3].rollup, [vec![0, 1], vec![0], vec![]]);
}

#[test]
fn values_take_all_their_shapes() {
    let (lowered, findings) = read(
        r#"
        #[murmur::value] struct Id(u64);
        #[murmur::value] enum Color { Red, #[murmur(number = 5)] DeepBlue }
        #[murmur::value] struct Money { amount: i64, currency: Option<Currency> }
        #[murmur::value] struct Currency(String);
        #[murmur::value] enum Payment { Card(Money), GiftCard { code: String }, Free }
        #[murmur::event] struct Order { id: Id, colors: Vec<Color>, by_name: HashMap<String, Payment>,
            #[murmur(as = "string")] price: rust_decimal::Decimal }
        "#,
    );
    assert_eq!(findings, Vec::<String>::new());
    let names: Vec<&str> = lowered.package.values.iter().map(|value| value.name.as_str()).collect();
    assert_eq!(names, ["Id", "Color", "Money", "Currency", "Payment", "PaymentGiftCard", "PaymentFree"]);
    assert_eq!(lowered.package.values[0].shape, Shape::Newtype(Kind::U64));
    let Shape::OneOf(cases) = &lowered.package.values[4].shape else { panic!("not a oneof") };
    let cases: Vec<(&str, &Kind)> = cases.iter().map(|case| (case.name.as_str(), &case.kind)).collect();
    let value = |name: &str| Kind::Value(name.into());
    let want = [("card", &value("Money")), ("gift_card", &value("PaymentGiftCard")), ("free", &value("PaymentFree"))];
    assert_eq!(cases, want);
    let order = &lowered.package.events[0];
    assert_eq!(order.fields[2].label, Label::Map(MapKey::String));
    assert_eq!(order.fields[3].kind, Kind::String);
}

#[test]
fn attributes_are_found_by_every_name_they_can_have() {
    let (lowered, findings) = read(
        r#"
        use murmur::{event, pipeline as keep};
        use murmur::prelude::*;
        #[event] struct A { x: u64 }
        #[aggregate] struct B { x: Count }
        #[cfg_attr(unix, murmur::event)] struct C { x: u64 }
        #[cfg_attr(windows, murmur::event)] struct D { x: u64 }
        #[cfg(windows)] #[murmur::event] struct E { x: u64 }
        #[keep(key = x)] fn f(a: &A) -> B { B }
        #[other::event] struct G { x: &'static str }
        #[murmur::prelude::event] struct H { r#type: u64 }
        "#,
    );
    assert_eq!(findings, Vec::<String>::new());
    let seen: Vec<&str> = lowered.seen.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(seen, ["A", "B", "C", "f", "H"]);
    assert_eq!(lowered.package.events[2].fields[0].name, "type");
}

#[test]
fn fingerprints_see_the_contract_and_nothing_else() {
    let print = |source: &str| read(source).0.seen[0].1;
    let one = print("#[murmur::event] /// A.\n pub struct A { pub x: Vec<u8>, #[murmur(time)] at: Timestamp }");
    let same =
        print("#[murmur::event] #[derive(Debug)] struct A { x : Vec < u8 > , #[murmur(time)] pub at: Timestamp, }");
    let other = print("#[murmur::event] struct A { x: Vec<u8>, at: Timestamp }");
    assert_eq!(one, same);
    assert_ne!(one, other);
}

#[test]
fn fields_beside_the_payload_are_no_part_of_its_message() {
    let source = |header: &str| {
        format!(
            r#"
            #[murmur::event] struct Call {{
                /// Whose.
                #[murmur(header = "{header}", was = "owner")] tenant: String,
                #[murmur(record_key)] caller: Option<Vec<u8>>,
                #[murmur(time, broker_time)] at: jiff::Timestamp,
                #[murmur(header = "ratio")] ratio: Option<f32>,
                cost: u64,
            }}
            #[murmur::pipeline(key = tenant, window = sliding("1d", slot = "1h"))] fn calls(call: &Call) -> Count {{}}
            "#
        )
    };
    let (lowered, findings) = read(&source("tenant"));
    assert_eq!(findings, Vec::<String>::new());
    let (event, pipeline) = (&lowered.package.events[0], &lowered.package.pipelines[0]);
    let names = |fields: &[crate::model::Field]| fields.iter().map(|f| f.name.clone()).collect::<Vec<_>>();
    assert_eq!(names(&event.fields), ["cost"]);
    assert_eq!(names(&event.beside), ["tenant", "caller", "at", "ratio"]);
    assert_eq!((event.beside[0].docs.as_slice(), event.time.as_deref()), (&["Whose.".to_owned()][..], Some("at")));
    let key = &pipeline.key[0];
    assert_eq!((&key.kind, key.was.as_deref()), (&Kind::String, Some("owner")));
    // What a field is read from is part of what is counted.
    assert_eq!(lowered.seen, read(&source("tenant")).0.seen);
    assert_ne!(lowered.seen[0], read(&source("Tenant")).0.seen[0]);
    assert_eq!(lowered.seen[1], read(&source("Tenant")).0.seen[1]);
}

/// Moving a `use` changes no contract, and hides no nested aggregate.
#[test]
fn a_monoid_of_the_users_own_is_known_by_its_name() {
    let text = |path: &str| {
        format!(
            "#[murmur::aggregate] struct Inner {{ n: Count }}
            #[murmur::aggregate] struct Kept {{ bits: {path}Bits, r#in: {path}Inner }}"
        )
    };
    let (plain, findings) = read(&text(""));
    let (pathed, same) = read(&text("inner::"));
    let own = |lowered: &super::Lowered| lowered.package.aggregates[1].fields[0].monoid.clone();
    assert_eq!(own(&plain), Monoid::Custom { rust: "Bits".into(), reply: "bytes".into() });
    assert_eq!(own(&plain), own(&pathed));
    assert_eq!(findings.len(), 1, "{findings:?}");
    assert_eq!(findings, same);
    // At the type of the field, though its name is a raw one.
    let source = text("inner::");
    let line = source.lines().last().unwrap();
    assert_eq!(pathed.findings[0].at.line_column(), (2, line.find("inner::Inner").unwrap() + 1));
}

#[test]
fn aggregates_with_parameters_are_read_with_them() {
    let (lowered, findings) = read(
        r#"
        #[murmur::aggregate]
        pub struct Post {
            pub trend: Decayed<3_600>,
            pub fans: Membership<10_000>,
            pub by: murmur::aggregate::Frequency,
            pub revenue: Sum<Decimal<2>>,
            pub slowest: Map<String, Max<u64>, 100>,
            pub fastest: Map<String, Min<u64>, 100>,
        }
        #[murmur::aggregate]
        pub struct Other { pub slowest: Map<String, Max<u64>, 7> }
        #[murmur::aggregate]
        pub struct MinU64ByString { pub count: Count }
        "#,
    );
    // The maps of one type share a message; a struct of the user's does not.
    let taken = "`MinU64ByString` is the name of `MinU64ByString`, which a `Map` makes, in src/lib.rs too; rename one";
    assert_eq!(findings, [format!("M0501: MinU64ByString item: {taken}")]);
    let map = |of| Monoid::Map(MapKey::String, Box::new(of), 100);
    let want = [
        Monoid::Decayed(3_600),
        Monoid::Membership(10_000),
        Monoid::Frequency,
        Monoid::DecimalSum(2),
        map(Monoid::Max(Kind::U64)),
        map(Monoid::Min(Kind::U64)),
    ];
    let fields = lowered.package.aggregates[0].fields.iter().map(|field| &field.monoid);
    assert!(fields.eq(&want));
}

#[test]
fn a_tuple_is_a_struct_whose_fields_the_pipeline_names() {
    let views = "#[murmur::event] struct View { page: String, user: String }";
    for returned in ["(Count, Distinct)", "Option<(Count, Distinct)>", "Vec<(String, (Count, Distinct))>"] {
        let tuple = format!(
            "{views} /// Pages.
            #[murmur::pipeline(key = page, fields(views, r#type(was = \"fans\", number = 7)))]
            fn pages(view: &View) -> {returned} {{ todo!() }}"
        );
        let (lowered, findings) = read(&tuple);
        assert_eq!(findings, Vec::<String>::new(), "{returned}");
        let [totals] = lowered.package.aggregates.as_slice() else { panic!("{returned}") };
        assert_eq!((totals.name.as_str(), totals.docs.as_slice()), ("PagesTotals", &["Pages.".to_owned()][..]));
        let fields: Vec<_> =
            totals.fields.iter().map(|f| (f.name.as_str(), &f.monoid, f.was.as_deref(), f.number)).collect();
        assert_eq!(fields, [("views", &Monoid::Count, None, None), ("type", &Monoid::Distinct, Some("fans"), Some(7))]);
        assert_eq!(lowered.package.pipelines[0].output, Output::Struct("PagesTotals".into()));
        let origin = lowered.origins.iter().find(|origin| origin.name == "PagesTotals").unwrap();
        assert_eq!((origin.item.as_str(), origin.part(Some("type")).to_word().as_str()), ("pages", "total:type"));
    }
    // The names are part of what macro and build step have to agree about, and make a message that can be taken.
    let named = |name: &str| {
        read(&format!(
            "{views} #[murmur::pipeline(key = page, fields({name}))] fn pages(view: &View) -> (Count,) {{ todo!() }}
            #[murmur::value] struct PagesTotals {{ x: u64 }}"
        ))
    };
    assert_ne!(named("views").0.seen[1], named("hits").0.seen[1]);
    let taken =
        "`PagesTotals` is the name of `PagesTotals`, which the pipeline `pages` makes, in src/lib.rs too; rename one";
    assert_eq!(named("views").1, [format!("M0501: PagesTotals item: {taken}")]);
}

#[test]
fn a_map_is_of_structs_and_own_monoids_too_and_stands_alone() {
    let (lowered, findings) = read(
        r#"
        #[murmur::event] struct View { page: String }
        #[murmur::aggregate] struct Floor { sales: Count, rooms: Map<u32, Room, 7> }
        #[murmur::aggregate] struct Room { sales: Count }
        #[murmur::aggregate] struct Shop {
            floors: Map<String, inner::Floor, 9>,
            #[murmur(as = "uint64")] streaks: Map<String, Streak<3>, 9>,
        }
        #[murmur::pipeline(key = page)] fn alone(view: &View) -> Option<Map<u64, Room, 3>> { todo!() }
        #[murmur::pipeline(key = page, fields(views, own(as = "bytes")))]
        fn both(view: &View) -> (Map<bool, Count, 2>, Map<String, Own, 9>) { todo!() }
        "#,
    );
    assert_eq!(findings, Vec::<String>::new());
    let of = |monoid: &Monoid| match monoid {
        Monoid::Map(_, of, _) => (**of).clone(),
        other => panic!("{other:?}"),
    };
    let own = |rust: &str, reply: &str| Monoid::Custom { rust: rust.into(), reply: reply.into() };
    let shop = &lowered.package.aggregates[2].fields;
    assert_eq!(of(&shop[0].monoid), Monoid::Struct("Floor".into()));
    assert_eq!(of(&shop[1].monoid), own("Streak<3>", "uint64"));
    let Output::Single(alone) = &lowered.package.pipelines[0].output else { panic!("not single") };
    assert_eq!(of(alone), Monoid::Struct("Room".into()));
    assert_eq!(of(&lowered.package.aggregates[3].fields[1].monoid), own("Own", "bytes"));
    let mut made: Vec<&str> =
        lowered.origins.iter().map(|o| o.name.as_str()).filter(|name| name.contains("By")).collect();
    made.sort_unstable();
    assert_eq!(made, ["CountByBool", "FloorByString", "OwnByString", "RoomByU32", "RoomByU64", "Streak3ByString"]);
}

#[test]
fn maps_of_one_name_and_two_answers_are_told_apart() {
    let (_, findings) = read(
        r#"
        #[murmur::aggregate] struct A { #[murmur(as = "uint64")] a: Map<String, a::Own, 9> }
        #[murmur::aggregate] struct B { #[murmur(as = "uint64")] b: Map<String, a::Own, 7> }
        #[murmur::aggregate] struct C { #[murmur(as = "string")] c: Map<String, c::Own, 9> }
        "#,
    );
    let [finding] = findings.as_slice() else { panic!("{findings:?}") };
    assert!(
        finding.starts_with("M0501: C type:c: `OwnByString`, which a `Map` of `string` makes, is the name of"),
        "{finding}"
    );
}
