//! The two write requests, signed and sent with as little as they need. Everything else goes through Amazon's SDK.
//!
//! Credentials, region and endpoint are those that the SDK finds. A request is sent once: whether one whose reply was
//! lost is sent again is for the engine to decide. One that was refused only because of this machine's clock is signed
//! and sent again here.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_dynamodb::primitives::{DateTime, DateTimeFormat};
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4::SigningParams;
use aws_smithy_runtime_api::client::identity::Identity;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, DATE, HOST, HeaderMap, HeaderValue};
use http::uri::Scheme;
use http::{Method, Uri};
use http_body_util::{BodyExt, Full};
use hyper_rustls::{ConfigBuilderExt, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client as Pool;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::{ClientConfig, RootCertStore};

use super::clock::Clock;
use super::failure::{cause, is_denial, is_of_clock};
use super::keys::Keys;
use super::wire::{self, Refusal, Request};
use crate::{Error, ErrorKind, Result};

/// Which request.
#[derive(Debug, Clone, Copy)]
pub(super) enum Operation {
    Update,
    Put,
}

impl Operation {
    const fn target(self) -> &'static str {
        match self {
            Self::Update => "DynamoDB_20120810.UpdateItem",
            Self::Put => "DynamoDB_20120810.PutItem",
        }
    }
}

/// What became of a request.
pub(super) enum Answer {
    /// It was carried out, for so many write units.
    Done(Option<f64>),
    /// The server says why it was not.
    Refused(Refusal),
    /// Nobody knows; the words say what happened.
    Lost(String),
    /// It was not sent.
    NoCredentials(Arc<CredentialsError>),
    /// It could not be made.
    Unsendable(String),
}

/// Sends writes to one place.
#[derive(Debug)]
pub(super) struct Client {
    pool: Pool<HttpsConnector<HttpConnector>, Full<Bytes>>,
    keys: Keys,
    clock: Clock,
    uri: Uri,
    /// The same as text, for the signature.
    url: String,
    host: HeaderValue,
    region: String,
    timeout: Duration,
}

const JSON: HeaderValue = HeaderValue::from_static("application/x-amz-json-1.0");
/// As long as the SDK keeps one.
const IDLE: Duration = Duration::from_secs(90);

impl Client {
    /// To the server at `url`, in this region's name.
    pub(super) fn new(url: &str, region: &str, keys: Keys, connect: Duration, timeout: Duration) -> Result<Self> {
        let bad = |why: &dyn std::fmt::Display| {
            Error::new(ErrorKind::Configuration, format!("`{url}` is no address of DynamoDB: {why}"))
        };
        let url = if url.matches('/').count() < 3 { format!("{url}/") } else { url.to_owned() };
        let uri: Uri = url.parse().map_err(|error| bad(&error))?;
        let authority = uri.authority().ok_or_else(|| bad(&"it names no server"))?;
        let host = HeaderValue::from_str(authority.as_str()).map_err(|error| bad(&error))?;
        let connector = connector(&uri, connect)?;
        let pool =
            Pool::builder(TokioExecutor::new()).pool_idle_timeout(IDLE).pool_timer(TokioTimer::new()).build(connector);
        Ok(Self { pool, keys, clock: Clock::default(), uri, url, host, region: region.to_owned(), timeout })
    }

    /// Send a write, once; and once more by the server's clock when it is this machine's that it was refused for.
    pub(super) async fn send(&self, operation: Operation, request: Request) -> Answer {
        let body = Bytes::from(request.into_bytes());
        let signed = self.clock.now();
        let mut answer = self.attempt(operation, body.clone(), signed).await;
        if let Answer::Refused(refusal) = &answer
            && is_of_clock(&refusal.code)
            && refusal.date.is_some_and(|date| self.clock.correct(signed, date))
        {
            answer = self.attempt(operation, body, self.clock.now()).await;
        }
        if let Answer::Refused(refusal) = &answer
            && is_denial(&refusal.code)
        {
            self.keys.forget();
        }
        answer
    }

    async fn attempt(&self, operation: Operation, body: Bytes, time: SystemTime) -> Answer {
        let identity = match self.keys.get(time).await {
            Ok(identity) => identity,
            Err(error) => return Answer::NoCredentials(error),
        };
        let signed = match self.sign(operation, body, &identity, time) {
            Ok(signed) => signed,
            Err(error) => return Answer::Unsendable(cause(&*error)),
        };
        match tokio::time::timeout(self.timeout, self.exchange(signed)).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => Answer::Lost(cause(&*error)),
            Err(_) => Answer::Lost(format!("nothing came within {:?}", self.timeout)),
        }
    }

    fn sign(
        &self,
        operation: Operation,
        body: Bytes,
        identity: &Identity,
        time: SystemTime,
    ) -> Result<http::Request<Full<Bytes>>, Box<dyn std::error::Error + Send + Sync>> {
        let target = operation.target();
        let headers =
            [("content-type", "application/x-amz-json-1.0"), ("host", self.host.to_str()?), ("x-amz-target", target)];
        let signable =
            SignableRequest::new("POST", self.url.as_str(), headers.into_iter(), SignableBody::Bytes(&body))?;
        let params = SigningParams::builder().identity(identity).region(&self.region).name("dynamodb");
        let params = params.time(time).settings(SigningSettings::default()).build()?.into();
        let (signature, _) = sign(signable, &params)?.into_parts();
        let mut request = http::Request::new(Full::new(body));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.uri.clone();
        let headers = request.headers_mut();
        headers.insert(CONTENT_TYPE, JSON);
        headers.insert(HOST, self.host.clone());
        headers.insert("x-amz-target", HeaderValue::from_static(target));
        signature.apply_to_request_http1x(&mut request);
        Ok(request)
    }

    async fn exchange(
        &self,
        request: http::Request<Full<Bytes>>,
    ) -> Result<Answer, Box<dyn std::error::Error + Send + Sync>> {
        let (head, body) = self.pool.request(request).await?.into_parts();
        let body = body.collect().await?.to_bytes();
        let sum = head.headers.get("x-amz-crc32").and_then(|sum| sum.to_str().ok()?.parse::<u32>().ok());
        if sum.is_some_and(|sum| sum != crc32fast::hash(&body)) {
            return Err("the answer was damaged on its way".into());
        }
        if head.status.is_success() {
            return Ok(Answer::Done(wire::read_done(&body)?));
        }
        let mut refusal = Refusal::read(head.status.as_u16(), &body);
        refusal.date = date(&head.headers);
        Ok(Answer::Refused(refusal))
    }
}

fn connector(uri: &Uri, connect: Duration) -> Result<HttpsConnector<HttpConnector>> {
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tcp.set_connect_timeout(Some(connect));
    let tls = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()));
    let tls = tls
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::new(ErrorKind::Internal, "there is no version of TLS").with_source(error))?;
    let tls = if uri.scheme() == Some(&Scheme::HTTPS) {
        tls.with_native_roots().map_err(|error| {
            let context = format!(
                "this machine has no root certificates to know `{uri}` by; install them (`ca-certificates`), or name \
                 a file of them in SSL_CERT_FILE"
            );
            Error::new(ErrorKind::Configuration, context).with_source(error)
        })?
    } else {
        // Without TLS nothing is asked for.
        tls.with_root_certificates(RootCertStore::empty())
    };
    let tls = HttpsConnectorBuilder::new().with_tls_config(tls.with_no_client_auth());
    Ok(tls.https_or_http().enable_http1().wrap_connector(tcp))
}

/// When the server says that it is.
fn date(headers: &HeaderMap) -> Option<SystemTime> {
    let date = DateTime::from_str(headers.get(DATE)?.to_str().ok()?, DateTimeFormat::HttpDate).ok()?;
    date.try_into().ok()
}
