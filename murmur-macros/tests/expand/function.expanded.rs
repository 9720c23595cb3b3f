/// Traffic per page.
pub fn page_traffic(view: &PageView) -> Traffic {
    Traffic::of(view)
}
/// Traffic per page.
#[allow(dead_code, reason = "a marker is named, not made")]
#[derive(Clone, Copy, Debug)]
pub struct PageTraffic;
::murmur::key! {
    #[doc = " What the pipeline `page_traffic` counts by."] pub struct PageTrafficKey :
    "shop.v1.PageTrafficKey" { #[doc = " The field `page_id`."] page_id : < PageView as
    ::murmur::event::Field < 1097814663307194630u64 >> ::Type = 1, }
}
impl ::murmur::pipeline::Pipeline for PageTraffic {
    type Event = PageView;
    type Key = PageTrafficKey;
    type Aggregate = Traffic;
    const SPEC: ::murmur::pipeline::Spec = ::murmur::pipeline::Spec {
        name: "page_traffic",
        package: "shop.v1",
        service: "PageTrafficService",
        about: "Traffic per page.",
        window: ::murmur::time::Window::Sliding {
            span: ::murmur::time::Span::from_micros(7776000000000u64),
            slot: ::murmur::time::Span::from_micros(60000000u64),
        },
        fingerprint: 11816531611152020519u64,
    };
    const CONTRACT: ::core::option::Option<&'static ::core::primitive::str> = ::core::option::Option::Some(
        "2-4e1c0fd0a1a3c0b7",
    );
    fn apply(
        event: &Self::Event,
        out: &mut ::murmur::pipeline::Emissions<Self::Aggregate>,
    ) {
        let value = page_traffic(event);
        out.begin("")
            .field(
                <PageView as ::murmur::event::Field<1097814663307194630u64>>::get(event),
            )
            .emit(value);
    }
}
const _: () = ::murmur::size::fits::<PageTraffic>();
const _: fn() = || {
    ::murmur::codegen::timed::<PageView>();
};
