#[derive(::core::fmt::Debug)]
/// What is known about a page.
#[derive(Clone, PartialEq)]
pub struct Traffic {
    /// How often it was seen.
    pub views: Count,
    pub slowest: Max<u64>,
    pub own: my::Own,
}
::murmur::aggregate_struct! {
    impl Traffic; #[doc = " What is known about a page."] pub struct TrafficReply :
    "shop.v1.Traffic" { #[doc = " How often it was seen."] views : Count = 4, #[doc =
    " The answer of `slowest`."] slowest : Max < u64 > = 2, #[doc =
    " The answer of `own`."] own : my::Own = 5, } retired[1, 3];
}
const _: fn() = || {
    ::murmur::codegen::same::<Count, ::murmur::aggregate::Count>();
    ::murmur::codegen::same::<
        Max<u64>,
        ::murmur::aggregate::Max<::core::primitive::u64>,
    >();
};
const _: () = ::core::assert!(
    ::murmur::wire::same_proto(<< my::Own as ::murmur::aggregate::Monoid > ::Reply as
    ::murmur::wire::WireField > ::PROTO, "uint64"),
    "M0401: the reply of `Own` is not `uint64`; write its protobuf type, as in `as = \"uint64\"`"
);
