//! JSON of the messages, by the descriptors that the build step emits: the proto3 mapping, where 64-bit integers are
//! strings, and times and durations are texts.

use bytes::Bytes;
use prost::Message;
use prost_reflect::{DescriptorPool, DeserializeOptions, DynamicMessage, MessageDescriptor, SerializeOptions};
use tonic::Status;

use crate::{Error, ErrorKind, Result};

/// From JSON to protobuf and back, for every method of the known services.
#[derive(Clone)]
pub(super) struct Transcoder {
    pool: DescriptorPool,
}

impl Transcoder {
    /// Of encoded `FileDescriptorSet`s; a file that stands in several of them is taken once.
    pub(super) fn new(descriptors: &[Vec<u8>]) -> Result<Self> {
        let mut pool = DescriptorPool::new();
        for set in descriptors {
            pool.decode_file_descriptor_set(set.as_slice()).map_err(|error| {
                Error::new(ErrorKind::Configuration, "a descriptor set does not decode").with_source(error)
            })?;
        }
        Ok(Self { pool })
    }

    /// Refuse to serve what the descriptors do not describe.
    pub(super) fn check(&self, service: &str, methods: &[super::rpc::Method]) -> Result<()> {
        for method in methods {
            if self.method(service, method.name).is_none() {
                let what = format!("the descriptor set does not describe `{service}.{}`", method.name);
                return Err(Error::new(
                    ErrorKind::Configuration,
                    format!("{what}; give the server the one that `murmur_build::run` has made of this crate"),
                ));
            }
        }
        Ok(())
    }

    /// The protobuf bytes of a request in JSON. A body without anything is the empty message.
    pub(super) fn request(&self, service: &str, method: &str, json: &[u8]) -> Result<Bytes, Status> {
        let (input, _) = self.method(service, method).ok_or_else(|| unknown(service, method))?;
        let json = if json.trim_ascii().is_empty() { b"{}" } else { json };
        let name = input.name().to_owned();
        let refused = |error: serde_json::Error| {
            Status::invalid_argument(format!("the request is not the JSON of a `{name}`: {error}"))
        };
        let mut reader = serde_json::Deserializer::from_slice(json);
        let options = DeserializeOptions::new().deny_unknown_fields(true);
        let message = DynamicMessage::deserialize_with_options(input, &mut reader, &options).map_err(refused)?;
        reader.end().map_err(refused)?;
        Ok(message.encode_to_vec().into())
    }

    /// The JSON of a reply in protobuf bytes. Fields that have their default are written too.
    pub(super) fn reply(&self, service: &str, method: &str, bytes: &[u8]) -> Result<Vec<u8>, Status> {
        let (_, output) = self.method(service, method).ok_or_else(|| unknown(service, method))?;
        let broken = |error: &dyn std::fmt::Display| {
            tracing::error!(%error, service, method, "a reply does not fit its descriptor");
            Status::internal("the reply does not fit its descriptor; the server's log has more")
        };
        let message = DynamicMessage::decode(output, bytes).map_err(|error| broken(&error))?;
        let mut json = serde_json::Serializer::new(Vec::with_capacity(bytes.len() * 4));
        let options = SerializeOptions::new().skip_default_fields(false);
        message.serialize_with_options(&mut json, &options).map_err(|error| broken(&error))?;
        Ok(json.into_inner())
    }

    fn method(&self, service: &str, method: &str) -> Option<(MessageDescriptor, MessageDescriptor)> {
        let service = self.pool.get_service_by_name(service)?;
        let method = service.methods().find(|known| known.name() == method)?;
        Some((method.input(), method.output()))
    }
}

fn unknown(service: &str, method: &str) -> Status {
    Status::unimplemented(format!("`{service}` has no method `{method}` in the descriptor set"))
}
