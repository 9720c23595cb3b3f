//! JSON of the messages, by the descriptors that the build step emits: the proto3 mapping, where 64-bit integers are
//! strings, and times and durations are texts.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use prost::Message;
use prost_reflect::{
    DescriptorPool, DynamicMessage, MessageDescriptor, MethodDescriptor, SerializeOptions, ServiceDescriptor, Value,
};
use tonic::Status;

use super::super::refusal::Reason;
use super::frame::{self, Framed};
use super::json::{self, Out, Plan};
use super::rpc::{MAX_REPLY, Method};
use crate::{Error, ErrorKind, Result};

/// Most bytes of a reply message in JSON: four times as many as in protobuf, which ordinary ones of many bytes do not reach.
const MAX_JSON: usize = 4 * MAX_REPLY;

/// How the messages of a call are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::grpc) enum Encoding {
    Proto,
    Json,
}

/// Knows the messages of every method of the known services.
#[derive(Clone)]
pub(in crate::grpc) struct Transcoder {
    pool: DescriptorPool,
    /// By the names of services, and of their methods.
    json: Arc<HashMap<String, HashMap<String, Arc<Json>>>>,
}

impl Transcoder {
    /// Of encoded `FileDescriptorSet`s; a file that stands in several of them is taken once.
    pub(in crate::grpc) fn new<'a>(descriptors: impl Iterator<Item = &'a [u8]>) -> Result<Self> {
        let mut pool = DescriptorPool::new();
        for set in descriptors {
            pool.decode_file_descriptor_set(set).map_err(|error| {
                Error::new(ErrorKind::Configuration, "a descriptor set does not decode").with_source(error)
            })?;
        }
        let methods = |service: ServiceDescriptor| {
            service.methods().map(|method| (method.name().to_owned(), Arc::new(Json::of(&method)))).collect()
        };
        let json = pool.services().map(|service| (service.full_name().to_owned(), methods(service))).collect();
        Ok(Self { pool, json: Arc::new(json) })
    }

    /// Refuse to serve what the descriptors do not describe.
    pub(in crate::grpc) fn check(&self, service: &str, methods: &[Method]) -> Result<()> {
        for method in methods {
            if self.json(service, &method.name).is_none() {
                let what = format!("the descriptor set does not describe `{service}.{}`", method.name);
                return Err(Error::new(
                    ErrorKind::Configuration,
                    format!("{what}; give the server the one that `murmur_build::run` has made of this crate"),
                ));
            }
        }
        Ok(())
    }

    /// The methods of a service that take one message, and whether it takes streams of them too; `None` when it is not
    /// described.
    pub(in crate::grpc) fn methods(&self, service: &str) -> Option<Vec<Method>> {
        let methods = self.pool.get_service_by_name(service)?;
        let single = methods.methods().filter(|method| !method.is_client_streaming());
        let of = |method: MethodDescriptor| Method {
            name: method.name().to_owned().into(),
            streams: method.is_server_streaming(),
            reads: has_no_side_effects(&method),
        };
        Some(single.map(of).collect())
    }

    /// From and to the messages of a method, as a call has them.
    pub(in crate::grpc) fn codec(&self, encoding: Encoding, service: &str, method: &str) -> Result<Codec, Status> {
        Ok(match encoding {
            Encoding::Proto => Codec::Proto,
            Encoding::Json => {
                let json = self.json(service, method).ok_or_else(|| {
                    Status::unimplemented(format!("`{service}` has no method `{method}` in the descriptor set"))
                })?;
                Codec::Json(json.clone())
            }
        })
    }

    fn json(&self, service: &str, method: &str) -> Option<&Arc<Json>> {
        self.json.get(service)?.get(method)
    }
}

/// The messages of a method.
#[derive(Debug)]
pub(in crate::grpc) struct Json {
    input: MessageDescriptor,
    output: MessageDescriptor,
    /// How replies are written; `None` for a type that has something that few have.
    plan: Option<Plan>,
}

impl Json {
    fn of(method: &MethodDescriptor) -> Self {
        let (input, output) = (method.input(), method.output());
        let plan = Plan::of(&output);
        Self { input, output, plan }
    }

    /// A reply in JSON, with room before it, by way of a value of it: for what no plan knows.
    fn reflected(&self, message: &[u8]) -> Result<Out, Status> {
        let output = &self.output;
        let broken = |error: &dyn std::fmt::Display| {
            tracing::error!(%error, message = output.full_name(), "a reply does not fit its descriptor");
            Status::internal("the reply does not fit its descriptor; the server's log has more")
        };
        let dynamic = DynamicMessage::decode(output.clone(), message).map_err(|error| broken(&error))?;
        let mut json = serde_json::Serializer::new(room(message));
        let options = SerializeOptions::new().skip_default_fields(false);
        let written = dynamic.serialize_with_options(&mut json, &options);
        let json = json.into_inner();
        match written {
            Err(error) if !json.is_full() => Err(broken(&error)),
            _ => Ok(json),
        }
    }
}

/// Room for a reply in JSON, as much as most take, and for its frame.
fn room(message: &[u8]) -> Out {
    let guess = message.len().saturating_mul(4).min(MAX_JSON);
    Out::behind(Framed::room(guess), frame::HEADER + MAX_JSON)
}

/// Whether the method says `option idempotency_level = NO_SIDE_EFFECTS`.
fn has_no_side_effects(method: &MethodDescriptor) -> bool {
    const NO_SIDE_EFFECTS: i32 = 1;
    let options = method.options();
    options.get_field_by_name("idempotency_level").is_some_and(|level| *level == Value::EnumNumber(NO_SIDE_EFFECTS))
}

/// From the messages of a caller to protobuf, and back.
#[derive(Debug, Clone)]
pub(in crate::grpc) enum Codec {
    Proto,
    Json(Arc<Json>),
}

impl Codec {
    /// The protobuf bytes of a request. JSON without anything is the empty message.
    pub(in crate::grpc) fn request(&self, message: Bytes) -> Result<Bytes, Status> {
        let Self::Json(known) = self else { return Ok(message) };
        let json = if message.trim_ascii().is_empty() { b"{}" } else { &*message };
        Ok(json::read(json, &known.input)?.encode_to_vec().into())
    }

    /// What a caller is sent of a reply in protobuf. Fields that have their default are written in JSON too.
    ///
    /// Errors: the reply has more than [`MAX_JSON`] bytes as JSON, of which no more are written.
    pub(in crate::grpc) fn reply(&self, reply: Framed) -> Result<Framed, Status> {
        let Self::Json(known) = self else { return Ok(reply) };
        let message = reply.message();
        let mut json = room(message);
        let planned = known.plan.as_ref().and_then(|plan| plan.write(message, &mut json));
        if planned.is_none() && !json.is_full() {
            json = known.reflected(message)?;
        }
        if json.is_full() {
            return Err(Reason::REPLY_TOO_LARGE.bare(format!(
                "the reply has more than {MAX_JSON} bytes as JSON, and no more are possible; ask for fewer keys or a longer step, or \
                 in protobuf, which is shorter"
            )));
        }
        Ok(Framed::close(json.into_bytes()))
    }
}
