/// Pages and who reads them.
pub fn pages(view: &PageView) -> Option<(Count, own::Streak)> {
    Pages::of(view)
}
/// Pages and who reads them.
#[allow(dead_code, reason = "a marker is named, not made")]
#[derive(Clone, Copy, Debug)]
pub struct Pages;
::murmur::key! {
    #[doc = " What the pipeline `pages` counts by."] pub struct PagesKey :
    "shop.v1.PagesKey" { #[doc = " The field `page_id`."] page_id :
    ::core::option::Option < < PageView as ::murmur::event::Field <
    1097814663307194630u64 >> ::Type > = 1, } rollup "1"[page_id], ""[];
}
impl ::murmur::pipeline::Pipeline for Pages {
    type Event = PageView;
    type Key = PagesKey;
    type Aggregate = PagesTotals;
    const SPEC: ::murmur::pipeline::Spec = ::murmur::pipeline::Spec {
        name: "pages",
        package: "shop.v1",
        service: "PagesService",
        about: "Pages and who reads them.",
        window: ::murmur::time::Window::AllTime,
        fingerprint: 3977431175517207003u64,
    };
    const UNBOUNDED: ::core::primitive::bool = true;
    fn apply(
        event: &Self::Event,
        out: &mut ::murmur::pipeline::Emissions<Self::Aggregate>,
    ) {
        if let ::core::option::Option::Some(value) = pages(event) {
            let value = <Self::Aggregate as ::core::convert::From<_>>::from(value);
            out.begin("1")
                .field(
                    <PageView as ::murmur::event::Field<
                        1097814663307194630u64,
                    >>::get(event),
                )
                .emit(::core::clone::Clone::clone(&value));
            out.begin("").emit(value);
        }
    }
}
const _: () = ::murmur::size::fits::<Pages>();
const _: fn() = || {
    ::murmur::codegen::same::<Count, ::murmur::aggregate::Count>();
};
const _: () = ::core::assert!(
    ::murmur::wire::same_proto(<< own::Streak as ::murmur::aggregate::Monoid > ::Reply as
    ::murmur::wire::WireField > ::PROTO, "uint64"),
    "M0401: the reply of `Streak` is not `uint64`; write its protobuf type, as in `as = \"uint64\"`"
);
/// What the pipeline `pages` keeps of a key.
#[derive(Clone, Debug)]
pub struct PagesTotals {
    /// `views`.
    pub views: Count,
    /// `longest`.
    pub longest: own::Streak,
}
::murmur::aggregate_struct! {
    impl PagesTotals; #[doc = " What the pipeline `pages` keeps of a key."] pub struct
    PagesTotalsReply : "shop.v1.PagesTotals" { #[doc = " `views`."] views : Count = 1,
    #[doc = " `longest`."] longest : own::Streak = 2, } retired[];
}
impl ::core::convert::From<(Count, own::Streak)> for PagesTotals {
    fn from((member_0, member_1): (Count, own::Streak)) -> Self {
        Self {
            views: member_0,
            longest: member_1,
        }
    }
}
fn tags(view: &PageView) -> Map<String, Floor, 9> {
    Map::of(&view.tag, Floor::one())
}
/// The pipeline of `tags`.
#[allow(dead_code, reason = "a marker is named, not made")]
#[derive(Clone, Copy, Debug)]
struct Tags;
::murmur::key! {
    #[doc = " What the pipeline `tags` counts by."] struct TagsKey : "shop.v1.TagsKey" {
    #[doc = " The field `page_id`."] page_id : < PageView as ::murmur::event::Field <
    1097814663307194630u64 >> ::Type = 1, }
}
impl ::murmur::pipeline::Pipeline for Tags {
    type Event = PageView;
    type Key = TagsKey;
    type Aggregate = Map<String, Floor, 9>;
    const SPEC: ::murmur::pipeline::Spec = ::murmur::pipeline::Spec {
        name: "tags",
        package: "shop.v1",
        service: "TagsService",
        about: "",
        window: ::murmur::time::Window::AllTime,
        fingerprint: 9250794125227468781u64,
    };
    const VALUE: ::core::option::Option<&'static ::core::primitive::str> = ::core::option::Option::Some(
        "shop.v1.FloorByString",
    );
    fn apply(
        event: &Self::Event,
        out: &mut ::murmur::pipeline::Emissions<Self::Aggregate>,
    ) {
        let value = tags(event);
        out.begin("")
            .field(
                <PageView as ::murmur::event::Field<1097814663307194630u64>>::get(event),
            )
            .emit(value);
    }
}
const _: () = ::murmur::size::fits::<Tags>();
const _: fn() = || {
    ::murmur::codegen::same::<
        Map<String, Floor, 9>,
        ::murmur::aggregate::Map<::std::string::String, Floor, 9>,
    >();
};
const _: () = ::core::assert!(
    ::murmur::wire::same_proto(<< Floor as ::murmur::aggregate::Monoid > ::Reply as
    ::murmur::wire::WireField > ::PROTO, "shop.v1.Floor"),
    "M0401: `Floor` is no aggregate struct of this package; for a monoid of your own write the protobuf type of its reply, as in `as = \"uint64\"`"
);
