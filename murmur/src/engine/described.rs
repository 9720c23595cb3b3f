//! Protobuf without generated types: messages that a descriptor describes, through serde.

use std::marker::PhantomData;

use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor};
use serde::de::DeserializeOwned;

use super::decode::{Decoder, Format, no_protobuf};
use super::unreadable::Unreadable;
use crate::event::Event;
use crate::{Error, ErrorKind, Result};

mod value;

/// A message and the descriptors that it is described by. `murmur::main!` makes one of `descriptor(BYTES, "NAME")`.
pub trait Description: 'static {
    /// A `FileDescriptorSet` with all imports: what `murmur_build::descriptor`, `protoc --include_imports
    /// --descriptor_set_out` and `buf build -o` write.
    const DESCRIPTORS: &'static [u8];

    /// The full name of the message: `shop.v1.View`.
    const MESSAGE: &'static str;
}

/// Protobuf messages that `D` describes. The event is read from them by serde, as from JSON, with these differences:
///
/// | protobuf | serde |
/// |---|---|
/// | names of fields | as in the `.proto`, `snake_case` there |
/// | a field that can be absent, and is | not there: `None`, `#[serde(default)]`, or a dead letter |
/// | a field that cannot be absent, and was not written | zero, empty, `false` |
/// | integers, of 64 bits too | numbers |
/// | an enum | the name of its value, or its number where an integer is wanted |
/// | `bytes` | bytes, or a sequence of `u8` |
/// | `google.protobuf.Timestamp` | a time: RFC 3339, or what `SystemTime` is read from |
/// | `google.protobuf.Duration` | what `std::time::Duration` is read from |
/// | `google.protobuf.StringValue` and the like | the value inside |
/// | `oneof` | each of its fields can be absent |
#[derive(Debug)]
pub struct Described<D>(PhantomData<D>);

#[diagnostic::do_not_recommend]
impl<D: Description, E: Event + DeserializeOwned> Format<E> for Described<D> {
    const HAS_INDEXES: bool = true;

    fn decoder() -> Result<Decoder<E>> {
        let message = message(D::DESCRIPTORS, D::MESSAGE)
            .map_err(|error| error.while_doing(format!("finding out how `{}` is written", E::NAME)))?;
        Ok(Box::new(move |payload| {
            let read =
                DynamicMessage::decode(message.clone(), payload).map_err(|error| no_protobuf(E::NAME, &error))?;
            E::deserialize(value::Message(&read)).map_err(|error| Unreadable::by_serde(E::NAME, E::FIELDS, &error))
        }))
    }
}

fn message(descriptors: &[u8], name: &str) -> Result<MessageDescriptor> {
    let pool = DescriptorPool::decode(descriptors).map_err(|error| {
        let context = format!(
            "the descriptors of `{name}` are no `FileDescriptorSet` with all imports (`protoc --include_imports`)"
        );
        Error::new(ErrorKind::Configuration, context).with_source(error)
    })?;
    pool.get_message_by_name(name).ok_or_else(|| {
        let names: Vec<String> = pool
            .all_messages()
            .filter(|message| !message.full_name().starts_with("google.protobuf.") && !message.is_map_entry())
            .map(|message| format!("`{}`", message.full_name()))
            .collect();
        let context = format!("the descriptors have no message `{name}`; there are: {}", names.join(", "));
        Error::new(ErrorKind::Configuration, context)
    })
}

#[cfg(test)]
mod tests;
