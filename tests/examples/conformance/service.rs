//! The suite's service, on tonic, called as what tonic generates calls its methods: it answers as it is told to, and says what it was asked.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use murmur::grpc::{ConnectGet, Trailers};
use prost::Message;
use prost_types::Any;
use tokio_stream::{Stream, StreamExt};
use tonic::body::Body;
use tonic::codegen::http;
use tonic::metadata::{AsciiMetadataKey, BinaryMetadataKey, BinaryMetadataValue, KeyAndValueRef, MetadataMap};
use tonic::server::{Grpc, NamedService, ServerStreamingService, UnaryService};
use tonic::{Code, Request, Status};
use tonic_prost::ProstCodec;

use crate::messages::*;

const PACKAGE: &str = "type.googleapis.com/connectrpc.conformance.v1";

/// `connectrpc.conformance.v1.ConformanceService`.
#[derive(Clone)]
pub(crate) struct Conformance;

impl NamedService for Conformance {
    const NAME: &'static str = "connectrpc.conformance.v1.ConformanceService";
}

type Answer<T> = Pin<Box<dyn Future<Output = T> + Send>>;
type Replies = Pin<Box<dyn Stream<Item = Result<Response, Status>> + Send>>;

impl tower_service::Service<http::Request<Body>> for Conformance {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Answer<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        Box::pin(async move {
            let method = request.uri().path().rsplit('/').next().unwrap_or_default().to_owned();
            Ok(match method.as_str() {
                "Unary" => Grpc::new(ProstCodec::default()).unary(Unary("UnaryRequest"), request).await,
                "IdempotentUnary" => {
                    Grpc::new(ProstCodec::default()).unary(Unary("IdempotentUnaryRequest"), request).await
                }
                "ServerStream" => Grpc::new(ProstCodec::default()).server_streaming(Streaming, request).await,
                _ => Status::unimplemented("not here").into_http(),
            })
        })
    }
}

/// One reply; the name is that of the request's message.
struct Unary(&'static str);

impl UnaryService<UnaryRequest> for Unary {
    type Response = Response;
    type Future = Answer<Result<tonic::Response<Response>, Status>>;

    fn call(&mut self, request: Request<UnaryRequest>) -> Self::Future {
        let name = self.0;
        Box::pin(async move {
            let info = info(&request, name);
            let definition = request.into_inner().definition.unwrap_or_default();
            let UnaryDefinition { headers, outcome, trailers, delay_ms } = definition;
            tokio::time::sleep(Duration::from_millis(delay_ms.into())).await;
            let data = match outcome {
                Some(Outcome::Failure(failure)) => {
                    let mut metadata = MetadataMap::new();
                    add(&mut metadata, &headers);
                    add(&mut metadata, &trailers);
                    return Err(status(failure, Some(info), metadata));
                }
                Some(Outcome::Data(data)) => data,
                None => Default::default(),
            };
            let reply = Response { payload: Some(Payload { data, info: Some(info) }) };
            let mut response = tonic::Response::new(reply);
            add(response.metadata_mut(), &headers);
            // tonic has none of its own for one reply.
            let mut behind = Trailers::default();
            add(&mut behind.0, &trailers);
            response.extensions_mut().insert(behind);
            Ok(response)
        })
    }
}

/// As many replies as are defined.
struct Streaming;

impl ServerStreamingService<StreamRequest> for Streaming {
    type Response = Response;
    type ResponseStream = Replies;
    type Future = Answer<Result<tonic::Response<Replies>, Status>>;

    fn call(&mut self, request: Request<StreamRequest>) -> Self::Future {
        Box::pin(async move {
            let mut info = Some(info(&request, "ServerStreamRequest"));
            let definition = request.into_inner().definition.unwrap_or_default();
            let StreamDefinition { headers, data, delay_ms, failure, trailers } = definition;
            let mut replies: Vec<Result<Response, Status>> = data
                .into_iter()
                .map(|data| Ok(Response { payload: Some(Payload { data, info: info.take() }) }))
                .collect();
            let last = match failure {
                Some(failure) => {
                    let mut metadata = MetadataMap::new();
                    add(&mut metadata, &trailers);
                    status(failure, info, metadata)
                }
                None => end(&trailers),
            };
            replies.push(Err(last));
            let replies = tokio_stream::iter(replies).then(move |reply| async move {
                if reply.is_ok() {
                    tokio::time::sleep(Duration::from_millis(delay_ms.into())).await;
                }
                reply
            });
            let mut response = tonic::Response::new(Box::pin(replies) as Replies);
            add(response.metadata_mut(), &headers);
            Ok(response)
        })
    }
}

/// The status of success, which carries trailers.
fn end(trailers: &[Header]) -> Status {
    let mut metadata = MetadataMap::new();
    add(&mut metadata, trailers);
    Status::with_metadata(Code::Ok, "", metadata)
}

fn status(failure: Failure, info: Option<RequestInfo>, metadata: MetadataMap) -> Status {
    let Failure { code, message, mut details } = failure;
    let message = message.unwrap_or_default();
    details.extend(info.map(|info| any("ConformancePayload.RequestInfo", info.encode_to_vec())));
    let of = RpcStatus { code, message: message.clone(), details };
    Status::with_details_and_metadata(Code::from_i32(code), message, of.encode_to_vec().into(), metadata)
}

fn any(name: &str, value: Vec<u8>) -> Any {
    Any { type_url: format!("{PACKAGE}.{name}"), value }
}

/// What was asked, for the reply.
fn info<M: Message>(request: &Request<M>, name: &str) -> RequestInfo {
    let metadata = request.metadata();
    let timeout = metadata.get("grpc-timeout").and_then(|timeout| timeout.to_str().ok());
    let get = request.extensions().get::<ConnectGet>().map(|ConnectGet(query)| GetInfo { query: fields(query) });
    RequestInfo {
        headers: headers(metadata),
        // The layer in front always asks in milliseconds.
        timeout_ms: timeout.and_then(|timeout| timeout.strip_suffix('m')?.parse().ok()),
        requests: vec![any(name, request.get_ref().encode_to_vec())],
        get,
    }
}

fn headers(metadata: &MetadataMap) -> Vec<Header> {
    let mut headers: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for entry in metadata.iter() {
        let (name, value) = match entry {
            KeyAndValueRef::Ascii(name, value) => (name.as_str(), value.to_str().unwrap_or_default()),
            KeyAndValueRef::Binary(name, value) => {
                (name.as_str(), std::str::from_utf8(value.as_encoded_bytes()).unwrap_or_default())
            }
        };
        headers.entry(name.to_owned()).or_default().push(value.to_owned());
    }
    headers.into_iter().map(|(name, value)| Header { name, value }).collect()
}

fn fields(query: &str) -> Vec<Header> {
    let pairs = form_urlencoded::parse(query.as_bytes());
    pairs.map(|(name, value)| Header { name: name.into_owned(), value: vec![value.into_owned()] }).collect()
}

fn add(metadata: &mut MetadataMap, headers: &[Header]) {
    for Header { name, value } in headers {
        for value in value {
            match name.strip_suffix("-bin") {
                Some(_) => {
                    let name: Result<BinaryMetadataKey, _> = name.parse();
                    if let (Ok(name), Some(value)) = (name, encoded(value)) {
                        metadata.append_bin(name, value);
                    }
                }
                None => {
                    let name: Result<AsciiMetadataKey, _> = name.parse();
                    if let (Ok(name), Ok(value)) = (name, value.parse()) {
                        metadata.append(name, value);
                    }
                }
            }
        }
    }
}

/// A binary value of the base64 that stands for it.
fn encoded(text: &str) -> Option<BinaryMetadataValue> {
    use base64::Engine;
    let bytes = base64::engine::general_purpose::STANDARD_NO_PAD.decode(text.trim_end_matches('=')).ok()?;
    Some(BinaryMetadataValue::from_bytes(&bytes))
}
