use std::cmp::Ordering;

use proptest::prelude::*;

use super::{Key, KeyBuf, KeyField};
use crate::time::Timestamp;

crate::key! {
    /// One field of every kind.
    struct EveryKey: "test.v1.EveryKey" {
        text: String = 1,
        big: u64 = 2,
        signed: i64 = 3,
        small: i8 = 4,
        byte: u8 = 5,
        flag: bool = 6,
        at: Timestamp = 7,
        r#type: String = 8,
    }
}

crate::key! {
    /// A key with rollups.
    struct LikesKey: "test.v1.LikesKey" {
        post_id: Option<String> = 1,
        country: Option<String> = 2,
        year: u16 = 4,
    }
    rollup "1.2.4" [post_id, country, year], "2.4" [country, year], "4" [year];
}

fn texts() -> impl Strategy<Value = String> {
    // Few letters, the separator and the escape among them, so that collisions would be met often.
    prop_oneof![
        proptest::collection::vec(
            prop_oneof![Just('\0'), Just('\x01'), Just('\x02'), Just('a'), Just('|'), Just('=')],
            0..5
        )
        .prop_map(String::from_iter),
        any::<String>()
    ]
}

fn integers() -> impl Strategy<Value = i64> {
    prop_oneof![any::<i64>(), -1200..1200i64, Just(i64::MIN), Just(i64::MAX), any::<i16>().prop_map(i64::from)]
}

prop_compose! {
    fn keys()(
        text in texts(), big in integers(), signed in integers(), small in any::<i8>(), byte in any::<u8>(),
        flag in any::<bool>(), at in integers(), other in texts(),
    ) -> EveryKey {
        EveryKey { text, big: big as u64, signed, small, byte, flag, at: Timestamp::from_micros(at), r#type: other }
    }
}

fn stored<K: Key>(key: &K) -> String {
    let mut out = KeyBuf::default();
    let place = Key::encode(key, &mut out).unwrap();
    out.slice(place).to_owned()
}

fn typed_order(a: &EveryKey, b: &EveryKey) -> Ordering {
    let fields = |k: &EveryKey| (k.text.clone(), k.big, k.signed, k.small, k.byte, k.flag, k.at, k.r#type.clone());
    fields(a).cmp(&fields(b))
}

fn field_text<F: KeyField>(field: &F) -> String {
    let mut out = String::new();
    field.write(&mut out);
    out
}

fn holds_for<F: KeyField + Ord>(a: F, b: F) {
    assert_eq!(F::read(&field_text(&a)).unwrap(), a);
    assert_eq!(field_text(&a).as_bytes().cmp(field_text(&b).as_bytes()), a.cmp(&b), "{a:?} {b:?}");
    assert_eq!(F::parse(&a.show()).unwrap(), a);
    assert_eq!(F::from_wire(a.to_wire()).unwrap(), a);
    assert!(!field_text(&a).contains('\0'));
}

proptest! {
    #[test]
    fn a_stored_key_reads_back_and_orders_as_its_fields(a in keys(), b in keys()) {
        prop_assume!(stored(&a).len() < 900 && stored(&b).len() < 900);
        prop_assert_eq!(&<EveryKey as Key>::decode(&stored(&a)).unwrap(), &a);
        prop_assert_eq!(stored(&a).as_bytes().cmp(stored(&b).as_bytes()), typed_order(&a, &b));
    }

    #[test]
    fn neighbouring_keys_order_too(a in keys(), text in texts(), small in any::<i8>()) {
        for b in [EveryKey { text, ..a.clone() }, EveryKey { small, ..a.clone() }] {
            prop_assert_eq!(stored(&a).as_bytes().cmp(stored(&b).as_bytes()), typed_order(&a, &b));
        }
    }

    #[test]
    fn every_kind_of_field_keeps_order_and_value(a in integers(), b in integers(), s in texts(), t in texts()) {
        holds_for(a, b);
        holds_for(a as u64, b as u64);
        holds_for(a as i32, b as i32);
        holds_for(a as u32, b as u32);
        holds_for(a as i16, b as i16);
        holds_for(a as u16, b as u16);
        holds_for(a as i8, b as i8);
        holds_for(a as u8, b as u8);
        holds_for(a > 0, b > 0);
        holds_for(Timestamp::from_micros(a), Timestamp::from_micros(b));
        holds_for(s, t);
    }

    #[test]
    fn a_text_has_one_reading(text in "[=0-9a-z\\-\\x00\\x01\\x02]{0,12}") {
        // What is read at all is written the same way again, so that two texts are never one key.
        if let Ok(key) = <LikesKey as Key>::decode(&text) {
            prop_assert_eq!(stored(&key), text.clone());
        }
        if let Ok(number) = i64::read(&text) {
            prop_assert_eq!(field_text(&number), text.clone());
        }
        if let Ok(string) = String::read(&text) {
            prop_assert_eq!(field_text(&string), text);
        }
    }

    #[test]
    fn a_key_is_a_message_that_reads_back(key in keys()) {
        use prost::Message;
        let bytes = key.encode_to_vec();
        prop_assert_eq!(bytes.len(), key.encoded_len());
        prop_assert_eq!(<EveryKey as Message>::decode(bytes.as_slice()), Ok(key.clone()));
        // With the default of a field with presence.
        let key = LikesKey { country: Some(String::new()), ..LikesKey::default() };
        prop_assert_eq!(<LikesKey as Message>::decode(key.encode_to_vec().as_slice()), Ok(key));
    }
}

#[test]
fn keys_are_readable_by_a_person() {
    let key = LikesKey { post_id: Some("p".into()), country: Some("DE".into()), year: 2026 };
    assert_eq!(stored(&key), "1.2.4=p\0DE\0d2026");
    assert_eq!(key.show(), [("post_id", "p".into()), ("country", "DE".into()), ("year", "2026".into())]);
    assert_eq!([0, -42, 42].map(|n: i64| field_text(&n)), ["a0", "-y57", "b42"]);
}

#[test]
fn rollups_of_equal_values_are_different_keys() {
    let all = LikesKey { post_id: None, country: Some("1".into()), year: 1 };
    let year = LikesKey { year: 1, ..LikesKey::default() };
    assert_eq!(stored(&all), "2.4=1\0a1");
    assert_eq!(stored(&year), "4=a1");
    for key in [all, year] {
        assert_eq!(<LikesKey as Key>::decode(&stored(&key)).unwrap(), key);
    }
}

#[test]
fn bad_texts_are_refused_with_the_reason() {
    let refusals = [
        ("", "there is no `=`"),
        ("1=p", "its rollup is none of `(post_id, country, year)`"),
        ("2.4=DE", "`year` is missing"),
        ("4=a1\0a1", "too many fields"),
        ("4=b05", "`year` is not a stored u16"),
        ("4=e70000", "not a stored u16"),
        ("2.4=\x01\x03\0a1", "not an escaped text"),
    ];
    for (text, why) in refusals {
        let error = <LikesKey as Key>::decode(text).unwrap_err();
        assert!(error.contains(why), "{text:?}: {error}");
    }
}

#[test]
fn a_key_without_a_rollup_of_its_fields_is_refused() {
    let key = LikesKey { post_id: Some("p".into()), ..LikesKey::default() };
    let error = Key::encode(&key, &mut KeyBuf::default()).unwrap_err();
    assert_eq!(
        error,
        "no rollup has exactly the fields `(post_id, year)`; there are `(post_id, country, year)`, `(country, year)`, `(year)`"
    );
}

#[test]
fn people_type_keys_by_place_or_by_name() {
    let typed = |arguments: &[&str]| LikesKey::parse(&arguments.iter().map(|a| (*a).to_owned()).collect::<Vec<_>>());
    let key = LikesKey { post_id: Some("a=b".into()), country: Some("DE".into()), year: 2026 };
    assert_eq!(typed(&["a=b", "DE", "2026"]).unwrap(), key);
    assert_eq!(typed(&["year=2026", "a=b", "country=DE"]).unwrap(), key);
    assert_eq!(typed(&["year=7"]).unwrap(), LikesKey { year: 7, ..LikesKey::default() });
    assert!(typed(&["country=DE"]).unwrap_err().starts_with("`year` is missing"));
    assert!(typed(&["a", "b", "3", "4"]).unwrap_err().starts_with("there is a value too many: the key has the fields"));
    assert!(typed(&["year=1", "year=2"]).unwrap_err().contains("given twice"));
    assert_eq!(typed(&["a", "b", "70000"]).unwrap_err(), "`year` is not a whole number from 0 to 65535");
}

#[test]
fn numbers_out_of_range_are_refused_on_the_wire() {
    // A `uint32` field that is a `u8` in Rust.
    let error = <EveryKey as prost::Message>::decode([0x28, 0x80, 0x02].as_slice()).unwrap_err();
    assert!(error.to_string().contains("EveryKey.byte: not possible: not a whole number from 0 to 255"), "{error}");
}

#[test]
fn a_key_over_the_limit_is_refused_and_leaves_the_buffer_as_it_was() {
    let mut out = KeyBuf::default();
    let key = |length| LikesKey { country: Some("x".repeat(length)), year: 1, ..LikesKey::default() };
    let first = Key::encode(&key(1), &mut out).unwrap();
    let rest = "2.4=\0a1".len();
    let longest = Key::encode(&key(super::MAX_KEY_BYTES - rest), &mut out).unwrap();
    assert_eq!(out.slice(longest.clone()).len(), super::MAX_KEY_BYTES);
    let error = Key::encode(&key(super::MAX_KEY_BYTES - rest + 1), &mut out).unwrap_err();
    assert_eq!(error, "the key has 1025 bytes; at most 1024 are possible");
    let second = Key::encode(&key(1), &mut out).unwrap();
    assert_eq!((second.start, out.slice(first)), (longest.end, out.slice(second.clone())));
}

#[test]
fn the_message_describes_itself() {
    use crate::wire::WireMessage;
    let shape: Vec<_> = EveryKey::SHAPE.iter().map(|f| format!("{} {} = {}", f.proto, f.name, f.number)).collect();
    assert_eq!(
        shape,
        [
            "string text = 1",
            "uint64 big = 2",
            "int64 signed = 3",
            "int32 small = 4",
            "uint32 byte = 5",
            "bool flag = 6",
            "google.protobuf.Timestamp at = 7",
            "string type = 8"
        ]
    );
    assert_eq!(LikesKey::SHAPE[0].proto, "optional string");
}
