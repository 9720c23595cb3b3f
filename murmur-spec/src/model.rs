//! The validated model: owned, without spans. Parsing ends here, emitting starts here.

/// Everything one package declares.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Package {
    /// Protobuf package, for example `page_traffic.v1`.
    pub name: String,
    /// Values first declared, first listed.
    pub values: Vec<Value>,
    /// Events.
    pub events: Vec<Event>,
    /// Aggregate structs.
    pub aggregates: Vec<Aggregate>,
    /// Pipelines.
    pub pipelines: Vec<Pipeline>,
}

/// An event struct.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Name of the struct and of its message.
    pub name: String,
    /// Doc comment, a line each.
    pub docs: Vec<String>,
    /// Its fields that come from the payload, in order of declaration: those of its message.
    pub fields: Vec<Field>,
    /// Its fields that stand beside the payload.
    pub beside: Vec<Field>,
    /// The field with `#[murmur(time)]`.
    pub time: Option<String>,
}

/// A field of an event or of a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// Name, without `r#`.
    pub name: String,
    /// Doc comment, a line each.
    pub docs: Vec<String>,
    /// Its type.
    pub kind: Kind,
    /// How often it stands.
    pub label: Label,
    /// `#[murmur(was = "old")]`.
    pub was: Option<String>,
    /// `#[murmur(number = 7)]`.
    pub number: Option<u32>,
}

/// How often a field stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Label {
    /// `T`
    Plain,
    /// `Option<T>`
    Optional,
    /// `Vec<T>`
    Repeated,
    /// `HashMap<K, T>`, `BTreeMap<K, T>`; the kind of the key.
    Map(MapKey),
}

/// What protobuf allows as the key of a map.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "each is the protobuf type of that name")]
pub enum MapKey {
    Bool,
    U32,
    U64,
    I32,
    I64,
    String,
}

/// The type of a field.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "each is the Rust type of that name")]
pub enum Kind {
    Bool,
    U32,
    U64,
    I32,
    I64,
    F32,
    F64,
    String,
    Bytes,
    /// `u8`, `u16`: `uint32` on the wire.
    U8,
    U16,
    /// `i8`, `i16`: `int32` on the wire.
    I8,
    I16,
    Timestamp,
    Duration,
    /// `string` on the wire.
    Uuid,
    /// A `#[murmur::value]` of this package, by its name.
    Value(String),
    /// `Decimal<N>` with so many digits behind the point, in an aggregate: `string` on the wire.
    Decimal(u32),
}

/// A `#[murmur::value]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Value {
    /// Name of the Rust type, and of its message or enum.
    pub name: String,
    /// Doc comment, a line each.
    pub docs: Vec<String>,
    /// What it is.
    pub shape: Shape,
}

/// What a value is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shape {
    /// `struct Id(u64)`: its inner type, no message of its own.
    Newtype(Kind),
    /// `enum Color { Red, Green }`: an enum; `COLOR_UNSPECIFIED = 0` is added.
    Enum(Vec<Variant>),
    /// `enum Payment { Card(Card), Cash { amount: u64 } }`: a message with a `oneof`.
    OneOf(Vec<Field>),
    /// `struct Money { .. }`: a message.
    Message(Vec<Field>),
}

/// A variant of a C-like enum.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variant {
    /// Name in Rust, `UpperCamel`.
    pub name: String,
    /// Doc comment, a line each.
    pub docs: Vec<String>,
    /// `#[murmur(number = 7)]`.
    pub number: Option<u32>,
    /// `#[murmur(was = "Old")]`.
    pub was: Option<String>,
}

/// An aggregate struct.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Aggregate {
    /// Name of the struct and of its message.
    pub name: String,
    /// Doc comment, a line each.
    pub docs: Vec<String>,
    /// Its fields, in order of declaration.
    pub fields: Vec<AggregateField>,
}

/// A field of an aggregate struct.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AggregateField {
    /// Name, without `r#`.
    pub name: String,
    /// Doc comment, a line each.
    pub docs: Vec<String>,
    /// Its monoid.
    pub monoid: Monoid,
    /// `#[murmur(was = "old")]`.
    pub was: Option<String>,
    /// `#[murmur(number = 7)]`.
    pub number: Option<u32>,
}

/// A monoid, as its type is written.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "each is the aggregate of that name")]
pub enum Monoid {
    Count,
    /// Of `i64`, `u64` or `f64`.
    Sum(Kind),
    /// Of `Decimal<N>`: the digits behind the point.
    DecimalSum(u32),
    Average,
    Moments,
    Quantiles,
    Min(Kind),
    Max(Kind),
    First(Kind),
    Last(Kind),
    Latest(Kind),
    /// Of so many values at most.
    Set(Kind, u32),
    Distinct,
    DistinctSet,
    TopK(u32),
    /// The half-life in seconds.
    Decayed(u32),
    /// How many elements it is made for.
    Membership(u32),
    Frequency,
    /// One of these for each key, for so many keys at most.
    Map(MapKey, Box<Self>, u32),
    /// An aggregate struct of this package, by its name: what a `Map` can be of. Structs are not fields of structs.
    Struct(String),
    /// The user's own; its reply is the protobuf type given by `#[murmur(as = "...")]`, `bytes` without.
    Custom {
        /// The type as it is written.
        rust: String,
        /// A scalar type of protobuf.
        reply: String,
    },
}

/// A pipeline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pipeline {
    /// In snake case.
    pub name: String,
    /// Doc comment, a line each.
    pub docs: Vec<String>,
    /// Name of its event.
    pub event: String,
    /// The fields of its key, in order.
    pub key: Vec<KeyField>,
    /// Rollups as positions in `key`; empty when every key has all fields.
    pub rollup: Vec<Vec<usize>>,
    /// What it keeps.
    pub output: Output,
    /// What its function returns.
    pub returns: Returns,
    /// Its window.
    pub window: Window,
}

/// A field of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyField {
    /// Name.
    pub name: String,
    /// Its type: string, integer, bool or timestamp.
    pub kind: Kind,
    /// The former name, taken from the event's field of this name.
    pub was: Option<String>,
}

/// What a pipeline keeps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// A single monoid.
    Single(Monoid),
    /// An aggregate struct, by name.
    Struct(String),
}

/// What a pipeline's function returns for one event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Returns {
    /// A value.
    One,
    /// `Option<A>`: a filter.
    Optional,
    /// An iterator of `(Key, A)`: a fan-out.
    Many,
}

/// A window; lengths in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Window {
    /// All time.
    AllTime,
    /// Windows of `size` side by side.
    Tumbling {
        /// Length of each.
        size: u64,
        /// How long each is kept.
        keep: u64,
    },
    /// Any interval up to `span`, cut at `slot`.
    Sliding {
        /// The longest.
        span: u64,
        /// The finest.
        slot: u64,
    },
}
