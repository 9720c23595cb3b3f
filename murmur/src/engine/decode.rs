use std::fmt;
use std::marker::PhantomData;

use serde::de::DeserializeOwned;

use super::unreadable::Unreadable;
use crate::event::Event;

/// From a payload to an event. Deterministic; the error is the reason that the dead letter carries.
pub type Decode<E> = fn(&[u8]) -> Result<E, Unreadable>;

/// One JSON object per payload. Fields that the event does not have are skipped without being built.
pub fn json<E: Event + DeserializeOwned>(payload: &[u8]) -> Result<E, Unreadable> {
    // Checking the payload as a whole is cheaper than checking every string in it.
    let text = std::str::from_utf8(payload).map_err(|error| Unreadable::plain(format!("not UTF-8: {error}")))?;
    serde_json::from_str(text).map_err(|error| Unreadable::by_serde_json(E::NAME, E::FIELDS, &error))
}

/// One protobuf message per payload: `M` is the message as prost made it, from which the event is made by `Into`, or by
/// `TryInto` where a message can be no event.
pub fn protobuf<M, E>(payload: &[u8]) -> Result<E, Unreadable>
where
    M: prost::Message + Default + TryInto<E, Error: fmt::Display>,
    E: Event,
{
    let message = M::decode(payload).map_err(|error| no_protobuf(E::NAME, &error))?;
    message.try_into().map_err(|error| {
        let outline = format!("not a `{}`, though a message of its type", E::NAME);
        Unreadable::new(format!("not a `{}`: {error}", E::NAME), outline)
    })
}

/// What prost says of bytes: names of fields and kinds of encoding, nothing of their values.
pub(super) fn no_protobuf(event: &str, error: &prost::DecodeError) -> Unreadable {
    Unreadable::plain(format!("not a `{event}` in protobuf: {error}"))
}

/// As [`Decode`], with what was made for it at the start.
pub type Decoder<E> = Box<dyn Fn(&[u8]) -> Result<E, Unreadable> + Send>;

/// How payloads are written, as a type: what a binary is told of its pipelines.
///
/// | `murmur::main!(views: ...)` | type | payload |
/// |---|---|---|
/// | nothing, or `json` | [`Json`] | a JSON object |
/// | `protobuf<pb::View>` | [`Protobuf`] | a message of a type that prost made |
/// | `descriptor(BYTES, "shop.v1.View")` | `Described` (feature `descriptor`) | a message that a `FileDescriptorSet` describes |
/// | `confluent<FORMAT>` | [`Confluent`](super::Confluent) | one of these, behind the prefix of Confluent's serializers |
/// | any other type | itself | what it says |
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no format that `{E}` can be read from",
    label = "not a format of this event",
    note = "`json` and `descriptor(..)` need `#[derive(serde::Deserialize)]` below `#[murmur::event]`; `protobuf<M>` needs a message of prost and `impl TryFrom<M>` for the event"
)]
pub trait Format<E>: 'static {
    /// Whether Confluent's serializers say in their prefix which message of the schema it is; they do for protobuf.
    const HAS_INDEXES: bool = false;

    /// What decodes; made once for each worker. The error says what is wrong with the format itself.
    fn decoder() -> crate::Result<Decoder<E>>;
}

/// [`json`].
#[derive(Debug)]
pub enum Json {}

#[diagnostic::do_not_recommend]
impl<E: Event + DeserializeOwned> Format<E> for Json {
    fn decoder() -> crate::Result<Decoder<E>> {
        Ok(Box::new(json))
    }
}

/// [`protobuf`], from the message `M`.
#[derive(Debug)]
pub struct Protobuf<M>(PhantomData<M>);

#[diagnostic::do_not_recommend]
impl<M, E> Format<E> for Protobuf<M>
where
    M: prost::Message + Default + TryInto<E, Error: fmt::Display> + 'static,
    E: Event,
{
    const HAS_INDEXES: bool = true;

    fn decoder() -> crate::Result<Decoder<E>> {
        Ok(Box::new(protobuf::<M, E>))
    }
}

#[cfg(test)]
mod tests {
    use prost::Message;

    use super::*;
    use crate::time::Timestamp;

    #[derive(Debug, PartialEq)]
    struct View {
        page: String,
        at: Timestamp,
    }

    impl Event for View {
        const NAME: &'static str = "View";
        const FIELDS: &'static [&'static str] = &["page", "at"];

        fn time(&self) -> Option<Timestamp> {
            Some(self.at)
        }
    }

    #[derive(Clone, PartialEq, Message)]
    struct Wire {
        #[prost(string, tag = "1")]
        page: String,
        #[prost(int64, tag = "2")]
        millis: i64,
    }

    impl TryFrom<Wire> for View {
        type Error = &'static str;

        fn try_from(wire: Wire) -> Result<Self, Self::Error> {
            if wire.page.is_empty() {
                return Err("it has no page");
            }
            Ok(Self { page: wire.page, at: Timestamp::from_millis(wire.millis) })
        }
    }

    #[test]
    fn a_protobuf_message_becomes_an_event_or_a_reason() {
        let decode = <Protobuf<Wire> as Format<View>>::decoder().unwrap();
        let bytes = Wire { page: "/".to_owned(), millis: 7 }.encode_to_vec();
        assert_eq!(decode(&bytes), Ok(View { page: "/".to_owned(), at: Timestamp::from_millis(7) }));
        assert_eq!(decode(&Wire::default().encode_to_vec()).unwrap_err().into_full(), "not a `View`: it has no page");
        let torn = decode(&bytes[..bytes.len() - 1]).unwrap_err().to_string();
        assert!(torn.starts_with("not a `View` in protobuf: "), "{torn}");
    }
}
