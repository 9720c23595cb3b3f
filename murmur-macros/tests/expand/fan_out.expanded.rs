fn tags(view: &PageView) -> impl Iterator<Item = ((String, u32), Count)> {
    view.tags()
}
/// The pipeline of `tags`.
#[allow(dead_code, reason = "a marker is named, not made")]
#[derive(Clone, Copy, Debug)]
struct Tags;
::murmur::key! {
    #[doc = " What the pipeline `tags` counts by."] struct TagsKey : "shop.v1.TagsKey" {
    #[doc = " The field `tag`."] tag : String = 1, #[doc = " The field `shop`."] shop :
    ::core::option::Option < u32 > = 2, } rollup "1.2"[tag, shop], "1"[tag];
}
impl ::murmur::pipeline::Pipeline for Tags {
    type Event = PageView;
    type Key = TagsKey;
    type Aggregate = Count;
    const SPEC: ::murmur::pipeline::Spec = ::murmur::pipeline::Spec {
        name: "tags",
        package: "shop.v1",
        service: "TagsService",
        about: "",
        window: ::murmur::time::Window::AllTime,
        fingerprint: 8333917275429165770u64,
    };
    fn apply(
        event: &Self::Event,
        out: &mut ::murmur::pipeline::Emissions<Self::Aggregate>,
    ) {
        for ((key_0, key_1), value) in tags(event) {
            out.begin("1.2")
                .field(&key_0)
                .field(&key_1)
                .emit(::core::clone::Clone::clone(&value));
            out.begin("1").field(&key_0).emit(value);
        }
    }
}
const _: () = ::murmur::size::fits::<Tags>();
const _: fn() = || {
    ::murmur::codegen::same::<Count, ::murmur::aggregate::Count>();
};
fn humans(view: &PageView) -> Option<Sum<u64>> {
    None
}
/// The pipeline of `humans`.
#[allow(dead_code, reason = "a marker is named, not made")]
#[derive(Clone, Copy, Debug)]
struct Humans;
::murmur::key! {
    #[doc = " What the pipeline `humans` counts by."] struct HumansKey :
    "shop.v1.HumansKey" { #[doc = " The field `page_id`."] page_id : < PageView as
    ::murmur::event::Field < 1097814663307194630u64 >> ::Type = 1, }
}
impl ::murmur::pipeline::Pipeline for Humans {
    type Event = PageView;
    type Key = HumansKey;
    type Aggregate = Sum<u64>;
    const SPEC: ::murmur::pipeline::Spec = ::murmur::pipeline::Spec {
        name: "humans",
        package: "shop.v1",
        service: "HumansService",
        about: "",
        window: ::murmur::time::Window::AllTime,
        fingerprint: 9320034433272137333u64,
    };
    fn apply(
        event: &Self::Event,
        out: &mut ::murmur::pipeline::Emissions<Self::Aggregate>,
    ) {
        if let ::core::option::Option::Some(value) = humans(event) {
            out.begin("")
                .field(
                    <PageView as ::murmur::event::Field<
                        1097814663307194630u64,
                    >>::get(event),
                )
                .emit(value);
        }
    }
}
const _: () = ::murmur::size::fits::<Humans>();
const _: fn() = || {
    ::murmur::codegen::same::<
        Sum<u64>,
        ::murmur::aggregate::Sum<::core::primitive::u64>,
    >();
};
