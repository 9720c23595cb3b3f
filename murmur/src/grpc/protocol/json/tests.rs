//! What a plan writes is what prost-reflect writes.

use proptest::prelude::*;
use prost_reflect::{DescriptorPool, DynamicMessage, SerializeOptions};

use super::*;

const PROTO: &str = r#"
    syntax = "proto3";
    package test.v1;
    import "google/protobuf/timestamp.proto";
    import "google/protobuf/duration.proto";
    import "google/protobuf/any.proto";

    enum Color { COLOR_UNSPECIFIED = 0; COLOR_RED = 1; COLOR_BELOW = -3; }

    message All {
        bool yes = 1;
        int32 i32 = 2;
        uint32 u32 = 3;
        sint32 s32 = 4;
        int64 i64 = 5;
        uint64 u64 = 6;
        sint64 s64 = 7;
        fixed32 f32 = 8;
        sfixed32 sf32 = 9;
        float single = 10;
        fixed64 f64 = 11;
        sfixed64 sf64 = 12;
        double double_one = 13;
        string text = 14;
        bytes raw = 15;
        Color color = 16;
        google.protobuf.Timestamp at = 17;
        google.protobuf.Duration took = 18;
        All inner = 19;
        optional uint64 maybe = 20;
        repeated All many = 21;
        repeated sint64 packed = 22;
        repeated int32 unpacked = 23 [packed = false];
        repeated string texts = 24;
    }
    message Mapped { map<string, int32> map = 1; }
    message Either { oneof either { int32 a = 1; string b = 2; } }
    message Holds { google.protobuf.Any any = 1; }
    message HoldsMapped { repeated Mapped inner = 1; }
"#;

pub(super) fn pool() -> DescriptorPool {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("all.proto"), PROTO).unwrap();
    let set = protox::compile(["all.proto"], [folder.path()]).unwrap();
    DescriptorPool::from_file_descriptor_set(set).unwrap()
}

fn reflected(message: &MessageOf, bytes: &[u8]) -> Option<String> {
    let dynamic = DynamicMessage::decode(message.0.clone(), bytes).ok()?;
    let mut json = serde_json::Serializer::new(Vec::new());
    dynamic.serialize_with_options(&mut json, &SerializeOptions::new().skip_default_fields(false)).ok()?;
    Some(String::from_utf8(json.into_inner()).unwrap())
}

struct MessageOf(prost_reflect::MessageDescriptor, Plan);

fn all() -> MessageOf {
    let message = pool().get_message_by_name("test.v1.All").unwrap();
    let plan = Plan::of(&message).unwrap();
    MessageOf(message, plan)
}

fn planned(message: &MessageOf, bytes: &[u8]) -> Option<String> {
    let mut out = Out::behind(Vec::new(), usize::MAX);
    message.1.write(bytes, &mut out)?;
    Some(String::from_utf8(out.into_bytes()).unwrap())
}

/// The bytes of a field.
fn field() -> impl Strategy<Value = Vec<u8>> {
    fn tag(number: u32, wire: u32) -> Vec<u8> {
        let mut bytes = Vec::new();
        prost::encoding::encode_varint(u64::from(number << 3 | wire), &mut bytes);
        bytes
    }
    fn varint(n: u64) -> Vec<u8> {
        let mut bytes = Vec::new();
        prost::encoding::encode_varint(n, &mut bytes);
        bytes
    }
    fn sized(number: u32, content: &[u8]) -> Vec<u8> {
        [tag(number, 2), varint(content.len() as u64), content.to_vec()].concat()
    }
    let number = prop_oneof![any::<u64>(), 0..300u64, Just(u64::MAX), any::<i32>().prop_map(|n| i64::from(n) as u64)];
    let plain = prop_oneof![
        (prop::sample::select(vec![1, 2, 3, 4, 5, 6, 7, 16, 20, 23, 99]), number.clone()).prop_map(|(field, n)| [
            tag(field, 0),
            varint(n)
        ]
        .concat()),
        (prop::sample::select(vec![8, 9, 10]), prop_oneof![any::<u32>(), any::<f32>().prop_map(f32::to_bits)])
            .prop_map(|(field, n)| [tag(field, 5), n.to_le_bytes().to_vec()].concat()),
        (prop::sample::select(vec![11, 12, 13]), prop_oneof![any::<u64>(), any::<f64>().prop_map(f64::to_bits)])
            .prop_map(|(field, n)| [tag(field, 1), n.to_le_bytes().to_vec()].concat()),
        (prop::sample::select(vec![14, 15, 24]), ".{0,8}").prop_map(|(field, text)| sized(field, text.as_bytes())),
        prop::collection::vec(any::<u8>(), 0..8).prop_map(|raw| sized(15, &raw)),
        prop::collection::vec(number, 0..4)
            .prop_map(|list| sized(22, &list.into_iter().flat_map(varint).collect::<Vec<_>>())),
        (prop::sample::select(vec![17, 18]), -400_000_000_000i64..400_000_000_000, 0..1_000_000_000i32).prop_map(
            |(field, seconds, nanos)| {
                sized(field, &[tag(1, 0), varint(seconds as u64), tag(2, 0), varint(nanos as u64)].concat())
            }
        ),
    ];
    plain.prop_recursive(3, 24, 6, |inner| {
        // Elements of a list may be the same as the ones before them.
        (prop::sample::select(vec![19, 21]), prop::collection::vec(inner, 0..6), 1..4usize).prop_map(
            |(field, fields, times)| sized(field, &fields.concat()).repeat(if field == 21 { times } else { 1 }),
        )
    })
}

proptest! {
    #[test]
    fn what_is_written_is_what_reflection_writes(fields in prop::collection::vec(field(), 0..12)) {
        let (message, bytes) = (all(), fields.concat());
        if let Some(json) = planned(&message, &bytes) {
            prop_assert_eq!(Some(json), reflected(&message, &bytes));
        }
    }

    #[test]
    fn what_has_room_for_it_is_written_and_with_one_byte_less_it_is_known_why_it_is_not(
        fields in prop::collection::vec(field(), 0..12),
    ) {
        let (message, bytes) = (all(), fields.concat());
        if let Some(json) = planned(&message, &bytes) {
            let within = |most: usize| {
                let mut out = Out::behind(Vec::new(), most);
                let written = message.1.write(&bytes, &mut out).is_some();
                (written, out.is_full(), out.into_bytes())
            };
            prop_assert_eq!(within(json.len()), (true, false, json.clone().into_bytes()));
            let (written, is_full, cut) = within(json.len() - 1);
            prop_assert!(!written && is_full && json.as_bytes().starts_with(&cut));
        }
    }

    #[test]
    fn bytes_that_are_no_message_are_given_up(bytes in prop::collection::vec(any::<u8>(), 0..24)) {
        let message = all();
        if let Some(json) = planned(&message, &bytes) {
            prop_assert_eq!(Some(json), reflected(&message, &bytes));
        }
    }
}

#[test]
fn a_field_that_stands_twice_is_left_to_reflection() {
    let message = all();
    // A bool in four bytes, and again as it should be; a text that is none, and again one that is.
    for twice in [&[13, 0, 0, 0, 0, 8, 0][..], &[114, 1, 0xff, 114, 1, b'a']] {
        assert_eq!((planned(&message, twice), reflected(&message, twice)), (None, None), "{twice:?}");
    }
    let right = [8, 0, 8, 1];
    assert!(planned(&message, &right).is_none() && reflected(&message, &right).is_some());
}

#[test]
fn a_plain_message_is_never_given_up() {
    let message = all();
    assert!(planned(&message, &[]).unwrap().starts_with(r#"{"yes":false,"i32":0,"u32":0,"s32":0,"i64":"0","#));
    // `inner: {}`, `many: [{}, {}]`, and a field that nobody knows.
    let bytes = [0x9a, 0x01, 0, 0xaa, 0x01, 0, 0xaa, 0x01, 0, 0x98, 0x06, 1];
    assert_eq!(planned(&message, &bytes), reflected(&message, &bytes));
    assert!(planned(&message, &bytes).is_some());
}

#[test]
fn types_with_what_few_have_are_left_to_reflection() {
    let pool = pool();
    for name in ["Mapped", "Either", "Holds", "HoldsMapped"] {
        let message = pool.get_message_by_name(&format!("test.v1.{name}")).unwrap();
        assert!(Plan::of(&message).is_none(), "{name}");
    }
}

#[test]
fn messages_that_lie_too_deep_are_given_up() {
    let message = all();
    let nested = |depth: usize| {
        (0..depth).fold(Vec::new(), |inner: Vec<u8>, _| {
            let mut bytes = vec![0x9a, 0x01];
            prost::encoding::encode_varint(inner.len() as u64, &mut bytes);
            [bytes, inner].concat()
        })
    };
    assert!(planned(&message, &nested(50)).is_some());
    assert!(planned(&message, &nested(200)).is_none());
}
