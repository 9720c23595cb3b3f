use super::read;

/// The findings of a source.
fn findings(source: &str) -> Vec<String> {
    read(source).1
}

#[test]
fn several_mistakes_of_an_item_come_at_once() {
    let found = findings(
        r#"
        #[murmur::event(colour = 1)]
        struct A<T> { a: usize, b: &'static str, #[murmur(tme)] c: Timestamp, #[cfg(unix)] d: T }
        "#,
    );
    let want = [
        "M0201: unknown key `colour` on an event; possible are `crate`",
        "M0104: a contract cannot have the parameter `T`; name the type",
        "M0101: `usize` has no fixed size; write `u64`",
        "M0103: `&'static str` borrows; own the data: write `String`",
        "M0201: unknown key `tme` on a field of an event; did you mean `time`?",
        "M0113: a field of a contract cannot depend on `cfg`; remove it, or put it on the whole item",
    ];
    assert_eq!(found, want);
}

#[test]
fn what_an_aggregate_can_be_of_is_said() {
    let found = findings(
        r#"
        #[murmur::aggregate]
        struct A {
            a: Set<String>, b: Set<String, 0>, c: Set<f64, 5>, d: Set<5>, e: Moments<f64>, f: DistinctSet<12>,
            g: Latest, h: Latest<u8>, i: TopK<String, 5>, j: Set<u64, 1000>, k: Latest<Timestamp>,
        }
        "#,
    );
    let set = "M0402: say of what and how many at most, as a number from 1 to 1000: `Set<String, 100>`";
    let want = [
        set,
        set,
        "M0402: `Set` can be of `u32`, `u64`, `i32`, `i64`, `String` or `Timestamp`, not of `f64`",
        "M0402: say what `Set` is of: `u32`, `u64`, `i32`, `i64`, `String` or `Timestamp`",
        "M0402: `Moments` has no parameter; write `Moments`",
        "M0402: `DistinctSet` has no parameter; write `DistinctSet`",
        "M0402: say what `Latest` is of: `u32`, `u64`, `i32`, `i64`, `f64`, `bool`, `String`, `Timestamp` or `Decimal<2>`",
        "M0402: `Latest` can be of `u32`, `u64`, `i32`, `i64`, `f64`, `bool`, `String`, `Timestamp` or `Decimal<2>`, not of `u8`",
        "M0402: say how many items to keep as a number from 1 to 1000: `TopK<10>`",
    ];
    assert_eq!(found, want);
}

#[test]
fn what_needs_the_whole_package_is_said_of_a_part_of_an_item() {
    let found = findings(
        r#"
        #[murmur::event] struct View { page_id: String, ratio: f64, referrer: Option<String>, color: Colour }
        #[murmur::value] enum Color { Red }
        #[murmur::aggregate] struct Inner { n: Count }
        #[murmur::aggregate] struct Outer { inner: Inner }
        #[murmur::pipeline(key = page, window = sliding("1d", slot = "1h"))] fn a(v: &View) -> Outer { todo!() }
        #[murmur::pipeline(key = (ratio, referrer), name = "b", package = "x.v1")] fn b1(v: &View) -> Oter { todo!() }
        #[murmur::pipeline(key = page_id, name = "b", package = "y.v1")] fn b2(v: &Vew) -> Count { todo!() }
        "#,
    );
    let want = [
        "M0502: b2 name: `b1` in src/lib.rs is the pipeline `b` already; give this one another name by `name = \"...\"`",
        "M0507: b2 package: another pipeline of this crate says `x.v1`; all share one package",
        "M0506: View type:color: `Colour` is no type of Murmur and no `#[murmur::value]` of this package; did you mean `Color`?",
        "M0403: Outer type:inner: `Inner` is an aggregate struct itself; list its fields here, as replies are flat",
        "M0312: a window: a window needs the time of the event; put `#[murmur(time)]` on a `Timestamp` field of `View`",
        "M0504: a key:page: `View` has no field `page`; did you mean `page_id`?",
        "M0508: b1 output: this package has no aggregate `Oter`; did you mean `Outer`?",
        "M0505: b1 key:ratio: `ratio` is `f64`; keys are made of `String`, integers, `bool` and `Timestamp`",
        "M0505: b1 key:referrer: `referrer` is `Option<String>`; keys are made of `String`, integers, `bool` and `Timestamp`; return an iterator of `(Key, Aggregate)` that is empty when there is none",
        "M0503: b2 event: this package has no event `Vew`; did you mean `View`?",
    ];
    assert_eq!(found, want);
}

#[test]
fn what_identifies_an_event_is_looked_at_on_functions_and_structs() {
    let found = findings(
        r#"
        #[murmur::event] struct View { page_id: String, ratio: f64, tags: Vec<String>, id: Option<u64> }
        #[murmur::pipeline(key = page_id, dedup = (id, ratio, tags, ip))] fn a(v: &View) -> Count { todo!() }
        #[murmur::pipeline(key = page_id, dedup = within(0, id))] fn b(v: &View) -> Count { todo!() }
        #[murmur::pipeline(key = page_id, dedup = within(10_000_001, id))] fn c(v: &View) -> Count { todo!() }
        #[murmur::pipeline(key = page_id, dedup = (id, id))] fn d(v: &View) -> Count { todo!() }
        #[murmur::pipeline(key = page_id, dedup = ())] fn e(v: &View) -> Count { todo!() }
        #[murmur::pipeline(key = page_id, dedup = "id")] fn f(v: &View) -> Count { todo!() }
        #[murmur::pipeline(name = "likes", dedup = like)] struct Like { #[murmur(key)] post: u64, like_id: u64 }
        "#,
    );
    let form = "`dedup = event_id`, `dedup = (shop_id, order_id)` or `dedup = within(1_000_000, event_id)`";
    let types = "what identifies an event is a `String`, an integer, a `bool`, a `Timestamp`, or an `Option` of one";
    let want = [
        "M0313: identities are known for 1 to 10000000 events of a partition, not for 0".to_owned(),
        "M0313: identities are known for 1 to 10000000 events of a partition, not for 10_000_001".to_owned(),
        "M0308: `id` is in the identity already".to_owned(),
        format!("M0313: nothing identifies an event; write {form}"),
        format!("M0203: `dedup` is written {form}"),
        "M0504: `Like` has no field `like`; did you mean `like_id`?".to_owned(),
        format!("M0313: a dedup:ratio: `ratio` is `f64`; {types}"),
        format!("M0313: a dedup:tags: `tags` is `Vec<String>`; {types}"),
        "M0504: a dedup:ip: `View` has no field `ip`; did you mean `id`?".to_owned(),
    ];
    assert_eq!(found, want);
}

#[test]
fn names_that_meet_are_told_with_their_maker() {
    let found = findings(
        r#"
        #[murmur::event] struct ViewsKey { x: u64 }
        #[murmur::event] struct ViewsKey { x: u64 }
        #[murmur::pipeline(key = x)] fn views(v: &ViewsKey) -> Count { todo!() }
        "#,
    );
    let want = [
        "M0501: ViewsKey item: `ViewsKey` is the name of `ViewsKey` in src/lib.rs too; rename one",
        "M0501: views name: `ViewsKey`, which the pipeline `views` makes, is the name of `ViewsKey` in src/lib.rs too; rename one",
    ];
    assert_eq!(found, want);
}

#[test]
fn names_that_only_meet_in_protobuf_are_told_too() {
    let found = findings(
        r#"
        #[murmur::value] enum Foo { BarBaz }
        #[murmur::value] enum FooBar { Baz }
        #[murmur::value] enum Level { Low, DB, Db, Unspecified }
        #[murmur::value] enum Paid { Card(String), USD(u64), Usd(u64) }
        #[murmur::event] struct ViewsServiceGetRequest { x: u64 }
        #[murmur::pipeline(key = x)] fn views(v: &ViewsServiceGetRequest) -> Count { todo!() }
        "#,
    );
    let want = [
        "M0116: `Db` and `DB` are both `DB` in protobuf; rename one",
        "M0116: `Unspecified` is what protobuf calls a value that was not given; rename it",
        "M0116: `Usd` and `USD` are both `usd` in protobuf; rename one",
        "M0501: FooBar field:Baz: `FOO_BAR_BAZ`, which `FooBar::Baz` makes, is the name of `FOO_BAR_BAZ`, which `Foo::BarBaz` makes, in src/lib.rs too; rename one",
        "M0501: views name: `ViewsServiceGetRequest`, which the pipeline `views` makes, is the name of `ViewsServiceGetRequest` in src/lib.rs too; rename one",
    ];
    assert_eq!(found, want);
}

#[test]
fn a_newtype_that_wraps_itself_ends_in_a_finding() {
    let found = findings(
        r#"
        #[murmur::value] struct A(Box<B>);
        #[murmur::value] struct B(Box<A>);
        #[murmur::value] struct Id(u64);
        #[murmur::value] struct Node { next: Option<Box<Node>>, id: Wrapped }
        #[murmur::value] struct Wrapped(Id);
        #[murmur::event] struct View { a: A }
        "#,
    );
    let want = [
        "M0115: A type:: `A` wraps nothing but itself; give it a field, or wrap another type",
        "M0115: B type:: `B` wraps nothing but itself; give it a field, or wrap another type",
    ];
    assert_eq!(found, want);
}
