::core::compile_error! {
    "M0101: `usize` has no fixed size; write `u64`"
}
::core::compile_error! {
    "M0201: unknown key `tme` on a field of an event; did you mean `time`?"
}
pub struct PageView {
    pub page_id: usize,
    pub at: Timestamp,
}
impl ::murmur::event::Event for PageView {
    const NAME: &'static ::core::primitive::str = "PageView";
    const FIELDS: &'static [&'static ::core::primitive::str] = &[];
    fn time(&self) -> ::core::option::Option<::murmur::time::Timestamp> {
        ::core::option::Option::None
    }
}
impl ::murmur::event::Timed for PageView {}
impl ::murmur::event::Field<1097814663307194630u64> for PageView {
    type Type = ::std::string::String;
    type Read = ::murmur::codegen::Unread;
    fn get(&self) -> &::std::string::String {
        ::core::unreachable!()
    }
}
impl ::murmur::event::Field<620456643683264872u64> for PageView {
    type Type = Timestamp;
    type Read = ::murmur::codegen::Unread;
    fn get(&self) -> &Timestamp {
        &self.at
    }
}
::core::compile_error! {
    "M0203: `window` is written `window = sliding(\"90d\", slot = \"1m\")` or `window = tumbling(\"1h\", keep = \"30d\")`"
}
::core::compile_error! {
    "M0301: a pipeline takes its event by reference; write `fn page_traffic(event: &PageView) -> Traffic`"
}
pub fn page_traffic(view: PageView) -> Traffic {
    body
}
#[allow(
    missing_docs,
    dead_code,
    reason = "it stands for a pipeline that could not be read"
)]
#[derive(Clone, Copy, Debug)]
pub struct PageTraffic;
#[allow(missing_docs, dead_code, reason = "it stands for a key that could not be read")]
pub type PageTrafficKey = ::murmur::codegen::NoKey;
impl ::murmur::pipeline::Pipeline for PageTraffic {
    type Event = ::murmur::codegen::NoEvent;
    type Key = ::murmur::codegen::NoKey;
    type Aggregate = ::murmur::aggregate::Count;
    const SPEC: ::murmur::pipeline::Spec = ::murmur::pipeline::Spec {
        name: "page_traffic",
        package: "",
        service: "PageTrafficService",
        about: "",
        window: ::murmur::time::Window::AllTime,
        fingerprint: 0,
    };
    fn apply(_: &Self::Event, _: &mut ::murmur::pipeline::Emissions<Self::Aggregate>) {}
}
::core::compile_error! {
    "M0401: `u64` is not an aggregate; write `Sum<u64>`, `Max<u64>` or another one"
}
struct Traffic {
    views: u64,
}
::murmur::no_aggregate!(Traffic clone debug);
#[allow(dead_code, reason = "it stands for a reply that could not be made")]
pub type TrafficReply = ::core::primitive::u64;
