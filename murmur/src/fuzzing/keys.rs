//! Keys: as they are stored, as they are typed, and as messages.

use std::fmt::Debug;

use prost::Message;

use super::{bounded, must};
use crate::key::{Key, KeyBuf};
use crate::time::Timestamp;

crate::key! {
    /// A field of each type.
    pub(crate) struct PlaceKey: "shop.v1.PlaceKey" {
        /// An unsigned number.
        shop: u64 = 1,
        /// A text.
        sku: String = 2,
        /// A signed number.
        shelf: i64 = 3,
    }
}

crate::key! {
    /// With rollups.
    pub(super) struct RolledKey: "shop.v1.RolledKey" {
        /// A text.
        page: Option<String> = 1,
        /// A narrow number.
        floor: Option<i8> = 2,
        /// Yes or no.
        mobile: Option<bool> = 3,
        /// A time.
        since: Option<Timestamp> = 4,
    }
    rollup "1.2.3.4" [page, floor, mobile, since], "1.4" [page, since], "2" [floor], "3" [mobile], "" [];
}

/// The stored text of a key that has one.
fn text_of<K: Key>(key: &K) -> Result<String, String> {
    let mut buffer = KeyBuf::default();
    let place = Key::encode(key, &mut buffer)?;
    Ok(buffer.slice(place).to_owned())
}

/// Bytes that decoding may allocate for each byte of the input: errors repeat a key, with escapes.
const PER_BYTE: usize = 16;

fn any<K: Key + Debug>(bytes: &[u8]) {
    if let Ok(message) = bounded(bytes, PER_BYTE, || K::decode_message(bytes)) {
        let again = message.encode_to_vec();
        assert_eq!(again.len(), message.encoded_len());
        assert_eq!(must(K::decode_message(&again), "its own message is refused"), message);
        // Not every message is a key; those that are can be stored.
        if let Ok(text) = text_of(&message) {
            assert_eq!(must(<K as Key>::decode(&text), "its own text is refused"), message);
        }
    }
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(key) = bounded(bytes, PER_BYTE, || <K as Key>::decode(text)) {
        assert_eq!(text_of(&key).as_deref(), Ok(text), "{key:?} has two texts");
        key.show();
    }
    let arguments: Vec<String> = text.split('\n').map(str::to_owned).collect();
    if let Ok(key) = <K as Key>::parse(&arguments)
        && let Ok(text) = text_of(&key)
    {
        assert_eq!(must(<K as Key>::decode(&text), "its own text is refused"), key);
        let shown: Vec<String> = key.show().into_iter().map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(must(K::parse(&shown), "what is shown is refused"), key);
    }
}

/// `Message::decode`, which shares its name with `Key::decode`.
trait DecodeMessage: Sized {
    fn decode_message(bytes: &[u8]) -> Result<Self, prost::DecodeError>;
}

impl<M: Message + Default> DecodeMessage for M {
    fn decode_message(bytes: &[u8]) -> Result<Self, prost::DecodeError> {
        <M as Message>::decode(bytes)
    }
}

pub(super) fn key(bytes: &[u8]) {
    any::<PlaceKey>(bytes);
    any::<RolledKey>(bytes);
}

pub(super) fn keys() -> Vec<Vec<u8>> {
    let place = PlaceKey { shop: 42, sku: "te\0a".into(), shelf: -7 };
    let since = Some(Timestamp::from_micros(-1_500));
    let rolled = RolledKey { page: Some("/home".into()), floor: Some(-3), mobile: Some(true), since };
    let part = RolledKey { floor: None, mobile: None, ..rolled.clone() };
    let texts = [text_of(&place), text_of(&rolled), text_of(&part), text_of(&RolledKey::default())];
    let texts = texts.into_iter().flatten().map(String::into_bytes);
    let typed = ["42\ntea\n-7", "shop=1\nshelf=2\nsku=a=b", "page=/\nsince=2026-05-16T12:00:00Z", "floor=-8"];
    texts
        .chain(typed.map(|typed| typed.as_bytes().to_vec()))
        .chain([place.encode_to_vec(), rolled.encode_to_vec()])
        .collect()
}
