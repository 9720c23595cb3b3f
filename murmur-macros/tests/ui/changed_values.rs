#[murmur::value]
pub enum Color {
    Red,
    Green,
}

#[murmur::value]
pub enum Shape {
    Round,
}

#[murmur::value]
pub struct Card {
    pub number: String,
}
//@ edit: 1 number string => 1 number oneof string
//@ now
#[murmur::value]
pub enum Color {
    #[murmur(was = "Red")]
    Crimson,
    Green,
}

#[murmur::value]
pub struct Shape {
    pub corners: u32,
}

#[murmur::value]
pub struct Card {
    pub number: String,
}
