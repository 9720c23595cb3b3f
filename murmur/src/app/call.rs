//! Calls of the typed services by name: requests and replies are what the descriptor says, so that one piece of code
//! asks every pipeline, on another machine or in this process.

use bytes::{Buf, BufMut, Bytes};
use prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor, SerializeOptions, ServiceDescriptor, Value};
use serde::de::DeserializeSeed;
use tonic::Status;
use tonic::body::Body;
use tonic::client::{Grpc, GrpcService};
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::transport::Channel;

use super::entry::Entry;
use super::print::{self, Cell, Fields, Kind};
use crate::grpc::{ClientTls, Contracts, InProcess, Token, channel, contract, status};
use crate::time::Span;
use crate::{Error, ErrorKind, Result};

/// Where the service is.
#[derive(Debug, Clone)]
pub(super) enum Server {
    /// On the other end of a connection, with what it is shown.
    Remote(Channel, Option<Token>),
    /// In this process.
    Local(InProcess),
}

impl Server {
    /// Connect to `http://host:port`, `https://host:port`, or `host:port`, which is by TLS where certificates are given.
    pub(super) async fn connect(url: &str, tls: Option<&ClientTls>, token: Option<Token>) -> Result<Self> {
        let scheme = if tls.is_some() { "https" } else { "http" };
        let whole = if url.contains("://") { url.to_owned() } else { format!("{scheme}://{url}") };
        if token.is_some() && !whole.starts_with("https://") && !is_here(&whole) {
            print::note(format_args!(
                "warning: the token goes to {url} in the open, and whoever sees it can use it; take https://"
            ));
        }
        let plain = ClientTls::default();
        let channel = channel::connect(&whole, tls.unwrap_or(&plain)).await.map_err(|error| match error.kind() {
            ErrorKind::Unavailable => {
                let way_out = "start one with `serve`, or read a store with `--store`";
                Error::new(ErrorKind::Unavailable, format!("no server answers at {url}; {way_out}")).with_source(error)
            }
            _ => error,
        })?;
        Ok(Self::Remote(channel, token))
    }
}

/// Whether a URL is of this machine.
fn is_here(url: &str) -> bool {
    let host = url.parse::<http::Uri>().ok().and_then(|uri| uri.host().map(str::to_owned)).unwrap_or_default();
    let address = host.trim_matches(['[', ']']).parse::<std::net::IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

/// How long an answer may take unless something else is said; no server lets a call last longer.
pub(super) const PATIENCE: Span = Span::from_seconds(30);

/// The typed service of one pipeline.
#[derive(Debug, Clone)]
pub(super) struct Service {
    server: Server,
    descriptor: ServiceDescriptor,
    /// What a server is told of the contract that this program was made from.
    contract: Option<String>,
    /// The key's message.
    key: MessageDescriptor,
    /// Names of the key's fields.
    pub(super) key_fields: Fields,
    /// What its values are.
    pub(super) value: print::Value,
    /// How long an answer may take.
    patience: Span,
}

/// A method's reply as JSON; numbers of 64 bits are strings there, as protobuf's JSON form has them.
pub(super) type Json = serde_json::Value;

impl Service {
    /// The service of `entry` on `server`.
    pub(super) fn new(server: Server, contracts: &Contracts, entry: &Entry) -> Result<Self> {
        let pool = DescriptorPool::decode(contracts.descriptor)
            .map_err(|error| Error::new(ErrorKind::Internal, "the embedded descriptor is broken").with_source(error))?;
        let name = format!("{}.{}", entry.spec.package, entry.spec.service);
        let missing = || Error::new(ErrorKind::Internal, format!("the embedded descriptor has no service `{name}`"));
        let descriptor = pool.get_service_by_name(&name).ok_or_else(missing)?;
        let get = descriptor.methods().find(|method| method.name() == "Get").ok_or_else(missing)?;
        let key = get.input().get_field_by_name("key").ok_or_else(missing)?;
        let key = key.kind().as_message().ok_or_else(missing)?.clone();
        let key_fields = key.fields().map(|field| field.name().to_owned()).collect();
        let value = get.output().get_field_by_name("value").ok_or_else(missing)?;
        let value = match value.kind().as_message() {
            Some(message) if message.package_name() == entry.spec.package => {
                let fields = message.fields().map(|field| (field.name().to_owned(), Kind::of(&field)));
                print::Value::Fields(fields.collect())
            }
            _ => print::Value::One(Kind::of(&value)),
        };
        let contract = contracts.said(&name);
        Ok(Self { server, descriptor, contract, key, key_fields, value, patience: PATIENCE })
    }

    /// The same with another limit of what an answer may take; a server may have a lower one.
    pub(super) fn patient(self, patience: Span) -> Self {
        Self { patience, ..self }
    }

    /// A key's message as JSON.
    pub(super) fn show_key(&self, key: &[u8]) -> Result<Json> {
        json(&self.key_message(key)?)
    }

    /// The columns of a reply with its key.
    pub(super) fn columns(&self, row: &Json) -> Vec<(String, Cell)> {
        let part = |name| row.get(name).unwrap_or(&Json::Null);
        let mut columns = print::key_columns(part("key"), &self.key_fields);
        columns.extend(self.value.columns(part("value")));
        columns
    }

    /// The number of a reply's value that it is ordered by: its field `by`, or the first that is a number.
    pub(super) fn size(&self, row: &Json, by: Option<&str>) -> Option<f64> {
        self.value.size(row.get("value")?, by)
    }

    fn key_message(&self, key: &[u8]) -> Result<DynamicMessage> {
        DynamicMessage::decode(self.key.clone(), key)
            .map_err(|error| Error::new(ErrorKind::Internal, "the key does not fit its message").with_source(error))
    }

    /// Call a unary method for one key.
    pub(super) async fn ask(&self, method: &str, key: &[u8], request: Json) -> Result<Json> {
        let key = Value::Message(self.key_message(key)?);
        self.call(method, request, Some(("key", key))).await
    }

    /// Call a unary method for many keys.
    pub(super) async fn ask_many(&self, method: &str, keys: &[Vec<u8>], request: Json) -> Result<Json> {
        let keys = keys.iter().map(|key| self.key_message(key).map(Value::Message)).collect::<Result<_>>()?;
        self.call(method, request, Some(("keys", Value::List(keys)))).await
    }

    /// Call for set algebra; the whole request is what a person wrote, at least in part.
    pub(super) async fn combine_sets(&self, request: Json) -> Result<Json> {
        self.call("CombineSets", request, None).await
    }

    async fn call(&self, method: &str, request: Json, keys: Option<(&str, Value)>) -> Result<Json> {
        let unknown = || Error::new(ErrorKind::Internal, format!("the service has no method `{method}` of this shape"));
        let method = self.descriptor.methods().find(|m| m.name() == method).ok_or_else(unknown)?;
        let mut message = method.input().deserialize(request).map_err(|error| {
            let kind = if keys.is_some() { ErrorKind::Internal } else { ErrorKind::InvalidArgument };
            Error::new(kind, format!("the request does not fit `{}`", method.full_name())).with_source(error)
        })?;
        if let Some((field, value)) = keys {
            message.try_set_field_by_name(field, value).map_err(|_| unknown())?;
        }
        let path = format!("/{}/{}", self.descriptor.full_name(), method.name());
        let mut request = tonic::Request::new(message.encode_to_vec());
        request.set_timeout(self.patience.to_std());
        if let Some(said) = self.contract.as_ref().and_then(|said| said.parse().ok()) {
            request.metadata_mut().insert(contract::HEADER, said);
        }
        let reply = match self.server.clone() {
            Server::Remote(channel, token) => {
                if let Some(token) = token {
                    token.add(&mut request);
                }
                unary(channel, &path, request).await
            }
            Server::Local(server) => unary(server, &path, request).await,
        };
        let reply = reply.map_err(status::error)?;
        let reply = DynamicMessage::decode(method.output(), reply).map_err(|error| {
            Error::new(ErrorKind::Corrupt, format!("the reply does not fit `{}`", method.full_name()))
                .with_source(error)
        })?;
        let mut reply = json(&reply)?;
        complete(&mut reply);
        Ok(reply)
    }
}

/// Say of each answer which partitions it contains, also of those that have them as the one before: entries are shown by
/// themselves.
fn complete(reply: &mut Json) {
    let mut named = Json::Array(Vec::new());
    for (answers, partitions) in [("entries", "/answer/as_of/partitions"), ("answers", "/as_of/partitions")] {
        let answers = reply.get_mut(answers).and_then(Json::as_array_mut).into_iter().flatten();
        for partitions in answers.filter_map(|answer| answer.pointer_mut(partitions)) {
            match partitions.as_array().is_some_and(Vec::is_empty) {
                true => partitions.clone_from(&named),
                false => named.clone_from(partitions),
            }
        }
    }
}

fn json(message: &DynamicMessage) -> Result<Json> {
    let options = SerializeOptions::new().skip_default_fields(false).use_proto_field_name(true);
    message
        .serialize_with_options(serde_json::value::Serializer, &options)
        .map_err(|error| Error::new(ErrorKind::Internal, "the reply has no JSON form").with_source(error))
}

async fn unary<S>(server: S, path: &str, request: tonic::Request<Vec<u8>>) -> Result<Bytes, Status>
where
    S: GrpcService<Body>,
    S::ResponseBody: http_body::Body<Data = Bytes> + Send + 'static,
    <S::ResponseBody as http_body::Body>::Error: Into<Box<dyn std::error::Error + Send + Sync>> + Send,
{
    let mut client = Grpc::new(server);
    client.ready().await.map_err(|error| channel::away(&*error.into()))?;
    let path = path.parse().map_err(|_| Status::internal(format!("`{path}` is not a path")))?;
    let reply = client.unary(request, path, Raw).await?;
    Ok(reply.into_inner())
}

/// Messages as their bytes.
#[derive(Debug, Clone, Copy)]
struct Raw;

impl Codec for Raw {
    type Encode = Vec<u8>;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Raw {
    type Item = Vec<u8>;
    type Error = Status;

    fn encode(&mut self, item: Vec<u8>, buf: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buf.put_slice(&item);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, buf: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(buf.copy_to_bytes(buf.remaining())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grpc::tests::DESCRIPTOR;
    use crate::grpc::tests::sets::{Visits, world};

    #[tokio::test]
    async fn what_a_program_asks_by_name_says_its_contract() {
        const SERVICE: &str = "test.v1.VisitsService";
        let (world, entry) = (world().await, Entry::of::<Visits, crate::engine::Json>());
        let contracts =
            Contracts { descriptor: &DESCRIPTOR, revision: 2, served: &[(SERVICE, &["aaaa", "bbbb"])], files: &[] };
        let home = (entry.parse_key)(&["home".to_owned()]).unwrap();
        for (known, answered) in [(&["bbbb", "cccc"][..], true), (&["aaaa"], false)] {
            let server = world.with_visits().contract(SERVICE, 2, known).in_process().unwrap();
            let service = Service::new(Server::Local(server), &contracts, &entry).unwrap();
            let reply = service.ask("Get", &home, serde_json::json!({})).await;
            assert_eq!(reply.is_ok(), answered, "{reply:?}");
        }
    }

    #[test]
    fn an_entry_that_is_shown_by_itself_names_its_partitions() {
        let entry = |named: &[u8]| serde_json::json!({ "answer": { "as_of": { "partitions": named } } });
        let nothing = serde_json::json!({ "answer": { "as_of": null } });
        let entries = |of: &[&Json]| serde_json::json!({ "entries": of });
        let (none, one, two) = (entry(&[]), entry(&[1]), entry(&[2, 2]));
        let mut reply = entries(&[&none, &one, &none, &nothing, &none, &two, &none]);
        complete(&mut reply);
        assert_eq!(reply, entries(&[&none, &one, &one, &nothing, &one, &two, &two]));
        let mut sets = serde_json::json!({ "answers": [one["answer"], none["answer"]] });
        complete(&mut sets);
        assert_eq!(sets["answers"][1], one["answer"]);
    }
}
