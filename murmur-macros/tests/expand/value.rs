#[murmur::value]
struct UserId(u64);

#[murmur::value]
enum Color {
    #[murmur(number = 3)]
    Red,
}

#[murmur::value]
enum Payment {
    Card(Card),
    Cash { amount: Box<i64> },
    Free,
}
