use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;
use prost::Message;
use protox::prost_reflect::{Cardinality, DescriptorPool, DynamicMessage, FieldDescriptor, Kind};

use super::types::*;
use super::*;
use crate::time::{Span, Timestamp};

/// A file of `proto-templates`, compiled.
fn compiled(file: &str) -> DescriptorPool {
    let mut compiler = protox::Compiler::new([concat!(env!("CARGO_MANIFEST_DIR"), "/../proto-templates")]).unwrap();
    compiler.include_imports(true).open_file(file).unwrap();
    compiler.descriptor_pool()
}

/// The type of a field as [`WireField::PROTO`] writes it.
fn proto(field: &FieldDescriptor) -> String {
    let label = match field.cardinality() {
        Cardinality::Repeated => "repeated ",
        _ if field.supports_presence() && !matches!(field.kind(), Kind::Message(_)) => "optional ",
        _ => "",
    };
    let kind = match field.kind() {
        Kind::Message(message) => message.full_name().to_owned(),
        Kind::Enum(of) => of.full_name().to_owned(),
        kind => format!("{kind:?}").to_lowercase(),
    };
    format!("{label}{kind}")
}

/// The messages of a file of `proto-templates` by full name, their fields as `type name = number`, in order.
pub(crate) fn described(file: &str) -> BTreeMap<String, Vec<String>> {
    let pool = compiled(file);
    let messages = pool.all_messages().filter(|message| message.parent_file().name() == file);
    messages
        .map(|message| {
            let fields = message.fields().map(|f| format!("{} {} = {}", proto(&f), f.name(), f.number()));
            (message.full_name().to_owned(), fields.collect())
        })
        .collect()
}

/// A message type of ours in the form of [`described`].
pub(crate) fn ours<M: WireMessage>() -> (String, Vec<String>) {
    let mut shape = M::SHAPE.to_vec();
    shape.sort_by_key(|field| field.number);
    (M::NAME.to_owned(), shape.iter().map(|f| format!("{} {} = {}", f.proto, f.name, f.number)).collect())
}

#[test]
fn the_shared_messages_are_those_of_the_proto() {
    let types = [
        ours::<ReadOptions>(),
        ours::<Question>(),
        ours::<Calendar>(),
        ours::<CalendarStep>(),
        ours::<Answer>(),
        ours::<AsOf>(),
        ours::<Explanation>(),
        ours::<LevelReads>(),
        ours::<NotRolled>(),
        ours::<PartitionProgress>(),
        ours::<Estimate>(),
        ours::<Average>(),
        ours::<Moments>(),
        ours::<StringSet>(),
        ours::<Uint64Set>(),
        ours::<Int64Set>(),
        ours::<TimestampSet>(),
        ours::<Quantiles>(),
        ours::<QuantilePoint>(),
        ours::<RankPoint>(),
        ours::<TopItems>(),
        ours::<TopItem>(),
        ours::<Decayed>(),
        ours::<Membership>(),
        ours::<Member>(),
        ours::<Frequencies>(),
        ours::<Frequency>(),
        ours::<TimedString>(),
        ours::<TimedUint64>(),
        ours::<TimedInt64>(),
        ours::<TimedDouble>(),
        ours::<TimedBool>(),
        ours::<TimedTimestamp>(),
    ];
    assert_eq!(BTreeMap::from(types), described("murmur/v1/types.proto"));
}

#[test]
fn times_are_the_messages_that_google_made_for_them() {
    let pool = compiled("murmur/v1/types.proto");
    for (name, fields) in [ours::<Timestamp>(), ours::<Span>()] {
        let message = pool.get_message_by_name(&name).unwrap();
        let theirs: Vec<_> = message.fields().map(|f| format!("{} {} = {}", proto(&f), f.name(), f.number())).collect();
        assert_eq!(theirs, fields, "{name}");
    }
}

#[test]
fn enums_are_those_of_the_proto() {
    let theirs = |name| {
        let theirs = compiled("murmur/v1/types.proto").get_enum_by_name(name).unwrap();
        theirs.values().map(|value| (value.name().to_owned(), value.number())).collect::<Vec<_>>()
    };
    let presences = Presence::ALL.iter().map(|presence| (presence.proto_name().to_owned(), *presence as i32));
    assert_eq!(theirs(Presence::PROTO), presences.collect::<Vec<_>>());
    let edges = Edges::ALL.iter().map(|edges| (edges.proto_name().to_owned(), *edges as i32));
    assert_eq!(theirs(Edges::PROTO), edges.collect::<Vec<_>>());
    let operations = SetOperation::ALL.iter().map(|operation| (operation.proto_name().to_owned(), *operation as i32));
    assert_eq!(theirs(SetOperation::PROTO), operations.collect::<Vec<_>>());
}

#[test]
fn a_presence_of_a_later_version_is_unspecified() {
    for number in [5i32, -1, i32::MAX] {
        let mut bytes = Vec::new();
        number.encode_field(1, &mut bytes);
        assert_eq!(Answer::decode(bytes.as_slice()).unwrap().presence, Presence::Unspecified);
    }
}

fn instants() -> impl Strategy<Value = Timestamp> {
    let all = Timestamp::MIN.as_micros()..=Timestamp::MAX.as_micros();
    prop_oneof![all, -5_000_000i64..5_000_000].prop_map(Timestamp::from_micros)
}

prop_compose! {
    fn explanations()(
        levels in proptest::collection::vec((any::<String>(), any::<u64>(), any::<u64>()), 0..3),
        read_units in 0.0..1e9f64, consumed_units in proptest::option::of(0.0..1e9f64), requests in any::<u64>(),
        ranges in proptest::collection::vec((any::<String>(), instants()), 0..3),
    ) -> Explanation {
        let levels = levels.into_iter().map(|(level, reads, items)| LevelReads { level, reads, items, bytes: reads / 2, kept: items / 3 });
        let not_rolled = ranges.into_iter().map(|(level, at)| NotRolled { level, start: Some(at), end: None });
        let (levels, not_rolled) = (levels.collect(), not_rolled.collect());
        Explanation { levels, read_units, consumed_units, requests, round_trips: requests / 2, not_rolled }
    }
}

prop_compose! {
    fn answers()(
        presence in proptest::sample::select(Presence::ALL),
        start in proptest::option::of(instants()), end in proptest::option::of(instants()),
        start_exact in any::<bool>(), end_exact in any::<bool>(),
        freshness in proptest::option::of(0..315_576_000_000_000_000u64),
        offsets in proptest::collection::vec((any::<String>(), any::<String>(), proptest::option::of(instants())), 0..4),
        has_as_of in any::<bool>(), problem in any::<String>(), explanation in proptest::option::of(explanations()),
    ) -> Answer {
        let partitions = offsets.into_iter()
            .map(|(partition, offset, watermark)| PartitionProgress { partition, watermark, offset });
        let partitions = Arc::new(partitions.collect());
        let as_of = AsOf { watermark: start, freshness: freshness.map(Span::from_micros), partitions };
        Answer { presence, start, end, start_exact, end_exact, as_of: has_as_of.then_some(as_of), problem, explanation }
    }
}

proptest! {
    #[test]
    fn messages_are_read_back_here_and_elsewhere(answer in answers()) {
        let bytes = answer.encode_to_vec();
        prop_assert_eq!(bytes.len(), answer.encoded_len());
        prop_assert_eq!(Answer::decode(bytes.as_slice()), Ok(answer));
        // By a decoder that knows the `.proto` and nothing of us; it leaves nothing out, and invents nothing.
        let descriptor = ANSWER.with(Clone::clone);
        let theirs = DynamicMessage::decode(descriptor, bytes.as_slice()).unwrap();
        prop_assert_eq!(theirs.unknown_fields().count(), 0);
        prop_assert_eq!(theirs.encode_to_vec(), bytes);
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        drop(Answer::decode(bytes.as_slice()));
        drop(TopItems::decode(bytes.as_slice()));
        drop(Timestamp::decode(bytes.as_slice()));
        drop(Span::decode(bytes.as_slice()));
    }
}

thread_local! {
    static ANSWER: protox::prost_reflect::MessageDescriptor =
        compiled("murmur/v1/types.proto").get_message_by_name(Answer::NAME).unwrap();
}

crate::message! {
    struct Scalars: "test.v1.Scalars" {
        a: u32 = 1,
        b: Option<u32> = 2,
        c: Option<String> = 3,
        d: Vec<String> = 4,
        e: f32 = 5,
        r#type: Vec<u8> = 6,
        g: Option<bool> = 7,
    }
}

#[test]
fn presence_tells_the_default_from_nothing() {
    let nothing = Scalars::default();
    assert!(nothing.encode_to_vec().is_empty());
    let defaults = Scalars { b: Some(0), c: Some(String::new()), g: Some(false), ..Scalars::default() };
    assert_eq!(Scalars::decode(defaults.encode_to_vec().as_slice()), Ok(defaults));
    let full = Scalars { a: 1, d: vec![String::new(), "x".into()], e: 0.5, r#type: vec![0], ..Scalars::default() };
    assert_eq!(Scalars::decode(full.encode_to_vec().as_slice()), Ok(full));
    assert_eq!(Scalars::SHAPE[5], FieldShape { name: "type", number: 6, proto: "bytes" });
}

#[test]
fn unknown_fields_are_passed_over_and_wrong_types_refused() {
    let newer = Answer { start_exact: true, ..Answer::default() }.encode_to_vec();
    let newer = [newer, Scalars { r#type: vec![1], ..Scalars::default() }.encode_to_vec()].concat();
    // Field 6 of `Answer` is a message: the byte `1` is none.
    assert!(Answer::decode(newer.as_slice()).is_err());
    assert!(ReadOptions::decode([0x78, 0x01, 0x08, 0x01].as_slice()).unwrap().strong);
}

#[test]
fn times_out_of_range_are_refused() {
    let refusal = |seconds: i64, nanos: i32, span: bool| {
        let mut bytes = Vec::new();
        seconds.encode_field(1, &mut bytes);
        nanos.encode_field(2, &mut bytes);
        let result = if span { Span::decode(&bytes[..]).map(drop) } else { Timestamp::decode(&bytes[..]).map(drop) };
        result.err().map(|error| error.to_string())
    };
    assert_eq!(refusal(-62_135_596_800, 0, false), None);
    assert_eq!(refusal(253_402_300_799, 999_999_999, false), None);
    assert!(refusal(-62_135_596_801, 0, false).unwrap().contains("the years 1 to 9999"));
    assert!(refusal(253_402_300_800, 0, false).is_some());
    assert!(refusal(i64::MAX, 0, false).is_some());
    assert!(refusal(0, -1, false).unwrap().contains("within one second"));
    assert!(refusal(0, 1_000_000_000, true).is_some());
    assert_eq!(refusal(315_576_000_000, 0, true), None);
    assert!(refusal(315_576_000_001, 0, true).unwrap().contains("from 0 to 315576000000"));
    for (seconds, nanos) in [(-1, 0), (0, -500_000_000), (-1, -500_000_000)] {
        assert!(refusal(seconds, nanos, true).unwrap().contains("is not negative"), "{seconds} {nanos}");
    }
}

/// What a caller of the service is told of values that cannot be.
#[cfg(feature = "grpc")]
mod refusals {
    use super::*;

    crate::message! {
        struct Inner: "test.v1.Inner" {
            span: Option<Span> = 1,
            text: String = 2,
        }

        struct Outer: "test.v1.Outer" {
            r#in: Option<Inner> = 1,
            all: Vec<Inner> = 2,
        }
    }

    #[test]
    fn a_value_that_cannot_be_is_told_from_bytes_that_are_no_message_and_by_its_path() {
        let negative = [0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01];
        let within = |number: u8, bytes: &[u8]| [&[number << 3 | 2, bytes.len() as u8], bytes].concat();
        let refusal = |bytes: Vec<u8>| refusal(&Outer::decode(&*bytes).unwrap_err());
        for (number, path) in [(1, "in.span"), (2, "all.span")] {
            let (field, why) = refusal(within(number, &within(1, &negative))).unwrap();
            assert_eq!(field, path);
            assert!(why.starts_with("a length of time is not negative; write seconds from 0 to"), "{why}");
        }
        assert_eq!(refusal(within(1, &within(2, b"not possible: \xff"))), None);
        assert_eq!(refusal(vec![0x0a, 7]), None);
    }
}
