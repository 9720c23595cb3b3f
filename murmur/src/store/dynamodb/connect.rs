use std::time::Duration;

use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::endpoint::{DefaultResolver, Params, ResolveEndpoint};
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::config::{Builder, Credentials, StalledStreamProtectionConfig};
use aws_smithy_http_client::tls;
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use aws_types::service_config::ServiceConfigKey;

use super::client;
use super::config::DynamoConfig;
use super::keys::Keys;
use crate::{Error, ErrorKind, Result};

/// Beyond this a server that does not even accept a connection is taken for gone.
const CONNECT: Duration = Duration::from_secs(2);

/// Two of Amazon's clients over the same connections, and one of our own.
pub(super) struct Clients {
    /// Writes of tiles.
    pub(super) writes: client::Client,
    /// Sends once: whether a write whose reply was lost is sent again is for the engine to decide.
    pub(super) once: Client,
    /// Reads can be repeated by anyone.
    pub(super) reads: Client,
    /// Where that is, for messages.
    pub(super) place: String,
}

/// What AWS takes from the environment: region, credentials.
pub(super) async fn connect(config: &DynamoConfig) -> Result<Clients> {
    let is_named = |name| std::env::var_os(name).is_some();
    let made_up = config.is_loopback() && !is_named("AWS_ACCESS_KEY_ID");
    let at_hand = made_up || (is_named("AWS_ACCESS_KEY_ID") && is_named("AWS_SECRET_ACCESS_KEY"));
    let timeout = config.timeout.to_std();
    let timeouts = TimeoutConfig::builder().connect_timeout(CONNECT.min(timeout)).operation_attempt_timeout(timeout);
    let mut loader = aws_config::defaults(BehaviorVersion::v2026_01_12())
        // Other ways to credentials than those at hand lead over HTTPS.
        .http_client(http(at_hand && config.endpoint.as_deref().is_some_and(is_plain)))
        // Answers are small and have a timeout; watching how fast their bytes come is for large objects.
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
        .timeout_config(timeouts.operation_timeout(timeout * 4).build());
    match &config.region {
        Some(region) => loader = loader.region(Region::new(region.clone())),
        // A server on this machine has no region, but the signature needs one.
        None if config.is_loopback() => loader = loader.region(Region::from_static("us-east-1")),
        None => {}
    }
    if let Some(endpoint) = &config.endpoint {
        loader = loader.endpoint_url(endpoint);
    }
    if made_up {
        loader = loader.credentials_provider(Credentials::new("murmur", "murmur", None, None, "loopback"));
    }
    let shared = loader.load().await;
    let place = place(config, &shared)?;
    let credentials = shared
        .credentials_provider()
        .ok_or_else(|| Error::new(ErrorKind::Configuration, "the environment has no way to credentials for AWS"))?;
    let region = shared.region().map(ToString::to_string).unwrap_or_default();
    let url = endpoint(config, &shared).await?;
    let mut builder = Builder::from(&shared);
    if is_plain(&url) {
        builder = builder.http_client(http(true));
    }
    let client = |retries| Client::from_conf(builder.clone().retry_config(retries).build());
    Ok(Clients {
        writes: client::Client::new(&url, &region, Keys::new(credentials), CONNECT.min(timeout), timeout)?,
        once: client(RetryConfig::disabled()),
        reads: client(RetryConfig::standard().with_max_attempts(4)),
        place,
    })
}

fn is_plain(url: &str) -> bool {
    url.starts_with("http://")
}

/// A plain one looks for no certificates: the machine may have none.
fn http(plain: bool) -> SharedHttpClient {
    let builder = aws_smithy_http_client::Builder::new();
    if plain {
        return builder.build_http();
    }
    builder.tls_provider(tls::Provider::Rustls(tls::rustls_provider::CryptoMode::Ring)).build_https()
}

/// Where the SDK sends its requests.
async fn endpoint(config: &DynamoConfig, shared: &SdkConfig) -> Result<String> {
    let key =
        ServiceConfigKey::builder().service_id("DynamoDB").env("AWS_ENDPOINT_URL").profile("endpoint_url").build();
    let of_service = key.ok().and_then(|key| shared.service_config()?.load_config(key));
    let named = config.endpoint.clone().or(of_service).or_else(|| shared.endpoint_url().map(str::to_owned));
    let parameters = Params::builder()
        .set_region(shared.region().map(ToString::to_string))
        .set_endpoint(named)
        .set_use_fips(shared.use_fips())
        .set_use_dual_stack(shared.use_dual_stack())
        .build();
    let unknown = |error: &dyn std::fmt::Display| {
        Error::new(ErrorKind::Configuration, format!("where DynamoDB is cannot be told: {error}"))
    };
    let parameters = parameters.map_err(|error| unknown(&error))?;
    let endpoint = DefaultResolver::new().resolve_endpoint(&parameters).await.map_err(|error| unknown(&error))?;
    Ok(endpoint.url().to_owned())
}

fn place(config: &DynamoConfig, shared: &SdkConfig) -> Result<String> {
    match (&config.endpoint, shared.region()) {
        (Some(endpoint), Some(_)) => Ok(endpoint.clone()),
        (None, Some(region)) => Ok(region.to_string()),
        (_, None) => Err(Error::new(
            ErrorKind::Configuration,
            "there is no AWS region; name it in the URL (`dynamodb://?region=eu-central-1`) or in AWS_REGION",
        )),
    }
}
