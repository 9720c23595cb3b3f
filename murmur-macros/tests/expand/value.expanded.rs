struct UserId(u64);
impl ::murmur::event::Is<::murmur::event::AnyValue> for UserId {}
const _: fn() = || {
    ::murmur::codegen::is::<u64, ::core::primitive::u64>();
};
enum Color {
    Red,
}
impl ::murmur::event::Is<::murmur::event::AnyValue> for Color {}
enum Payment {
    Card(Card),
    Cash { amount: Box<i64> },
    Free,
}
impl ::murmur::event::Is<::murmur::event::AnyValue> for Payment {}
const _: fn() = || {
    ::murmur::codegen::is::<Card, ::murmur::event::AnyValue>();
    ::murmur::codegen::is::<Box<i64>, ::std::boxed::Box<::core::primitive::i64>>();
};
