//! What is said to librdkafka, by whoever speaks to a cluster.

use std::collections::BTreeMap;
use std::env;
use std::fs;

use rdkafka::config::ClientConfig;

use crate::location::Options;
use crate::{Error, ErrorKind, Result};

/// How an option of the URL begins that is a property of librdkafka.
pub(in crate::source) const PREFIX: &str = "librdkafka.";

/// Properties whose values are secrets. They come from a file (option `<property>_file`) or from the environment
/// (`MURMUR_KAFKA_<PROPERTY>`), never from the URL, which is seen in logs and lists of processes.
const SECRETS: [&str; 5] =
    ["sasl.password", "sasl.oauthbearer.client.secret", "ssl.key.password", "ssl.key.pem", "ssl.keystore.password"];

/// The options `<property>_file`.
pub(in crate::source) const SECRET_FILES: [&str; 5] = [
    "sasl.password_file",
    "sasl.oauthbearer.client.secret_file",
    "ssl.key.password_file",
    "ssl.key.pem_file",
    "ssl.keystore.password_file",
];

/// Other names that librdkafka has for properties which Murmur sets itself, or which are secrets, with the name that
/// stands for both here (`Alias for` in its `CONFIGURATION.md`). Whichever is set last counts there.
const ALIASES: [(&str, &str); 4] = [
    ("metadata.broker.list", "bootstrap.servers"),
    ("request.required.acks", "acks"),
    ("delivery.timeout.ms", "message.timeout.ms"),
    ("sasl.oauthbearer.client.credentials.client.secret", "sasl.oauthbearer.client.secret"),
];

/// The name by which a property is looked for. librdkafka takes those of topics with `topic.` before them as well.
fn canonical(name: &str) -> &str {
    let name = name.strip_prefix("topic.").unwrap_or(name);
    ALIASES.iter().find(|(alias, _)| *alias == name).map_or(name, |(_, canonical)| canonical)
}

/// The brokers and topics of `kafka://broker:9092,broker:9092/topic,topic`.
pub(in crate::source) fn brokers_and_topics(path: &str) -> Result<(String, Vec<String>), String> {
    let (brokers, topics) = path.split_once('/').unwrap_or((path, ""));
    if brokers.is_empty() || brokers.split(',').any(str::is_empty) {
        return Err("brokers are written `kafka://HOST:PORT,HOST:PORT/TOPIC`".to_owned());
    }
    if brokers.contains('@') {
        return Err("a user is given with `librdkafka.sasl.username`, a password in a file".to_owned());
    }
    let topics: Vec<String> = topics.split(',').map(str::to_owned).collect();
    let legal = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
    match topics.iter().find(|topic| topic.is_empty() || topic.len() > 249 || !topic.bytes().all(legal)) {
        Some(topic) if topic.is_empty() => Err("there is no topic; write `kafka://HOST:PORT/TOPIC`".to_owned()),
        Some(topic) => Err(format!("`{topic}` is not a topic; names have letters, digits, `.`, `_` and `-`")),
        None => match topics.iter().enumerate().find(|(at, topic)| topics[..*at].contains(topic)) {
            Some((_, twice)) => Err(format!("the topic `{twice}` is named twice; name it once")),
            None => Ok((brokers.to_owned(), topics)),
        },
    }
}

/// What the URL, files and the environment say to librdkafka; `own` are the properties that Murmur sets itself.
pub(in crate::source) fn passed_through(options: &Options, own: &[&str]) -> Result<BTreeMap<String, String>> {
    let mut properties = BTreeMap::new();
    for (name, value) in options.beginning_with(PREFIX) {
        let known = canonical(name);
        let bad = if SECRETS.contains(&known) {
            Some(format!("a secret does not stand in a URL: give `{known}_file=PATH`, or set {}", variable(known)))
        } else {
            (own.contains(&known) || own.contains(&name))
                .then(|| format!("`{PREFIX}{name}` is set by Murmur, as counting exactly depends on it"))
        };
        if let Some(bad) = bad {
            return Err(options.bad(&bad));
        }
        properties.insert(name.to_owned(), value.to_owned());
    }
    for (secret, file) in SECRETS.into_iter().zip(SECRET_FILES) {
        let value = match options.get_option::<String>(file)? {
            Some(path) => {
                let text = fs::read_to_string(&path).map_err(|error| {
                    let context = format!("`{path}`, which should hold `{secret}`, cannot be read");
                    Error::new(ErrorKind::Configuration, context).with_source(error)
                })?;
                Some(text.trim_end_matches(['\r', '\n']).to_owned())
            }
            None => env::var(variable(secret)).ok(),
        };
        properties.extend(value.map(|value| (secret.to_owned(), value)));
    }
    match without_token(&properties, &features()) {
        Some(why) => Err(options.bad(why)),
        None => Ok(properties),
    }
}

/// Why nobody would be let in by OAUTHBEARER, where that is asked for. librdkafka would wait for a token that nobody brings.
fn without_token(properties: &BTreeMap<String, String>, features: &str) -> Option<&'static str> {
    let mechanism = ["sasl.mechanism", "sasl.mechanisms"].iter().find_map(|name| properties.get(*name))?;
    if !mechanism.eq_ignore_ascii_case("OAUTHBEARER") {
        return None;
    }
    if !features.split(',').any(|feature| feature == "oidc") {
        return Some(
            "SASL by OAUTHBEARER is not built in, as tokens are fetched by curl; take SCRAM-SHA-512 or PLAIN, or a certificate \
             (`librdkafka.security.protocol=SSL` with `librdkafka.ssl.certificate.location`), or build with the feature \
             `kafka-ssl`, and with `rdkafka-sys` and its feature `curl` among the dependencies of the program",
        );
    }
    let method = properties.get("sasl.oauthbearer.method").map_or("default", String::as_str);
    (method != "oidc").then_some(
        "with OAUTHBEARER say `librdkafka.sasl.oauthbearer.method=oidc`, and where tokens come from \
         (`librdkafka.sasl.oauthbearer.token.endpoint.url`): nobody else brings one",
    )
}

/// What the librdkafka of this program can do.
fn features() -> String {
    // One that does not say can do nothing more than the rest.
    ClientConfig::new().create_native_config().and_then(|config| config.get("builtin.features")).unwrap_or_default()
}

/// The environment variable of a secret.
fn variable(property: &str) -> String {
    format!("MURMUR_KAFKA_{}", property.to_ascii_uppercase().replace('.', "_"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aliases_are_what_librdkafka_takes_them_for() {
        // Where librdkafka is built without OpenSSL it takes no secrets at all.
        for (alias, canonical) in ALIASES.into_iter().filter(|(_, canonical)| !SECRETS.contains(canonical)) {
            let value = if canonical == "bootstrap.servers" { "a:1" } else { "1" };
            let native = ClientConfig::new().set(alias, value).create_native_config().unwrap();
            assert_eq!(native.get(canonical).unwrap(), value, "{alias}");
        }
        let native = ClientConfig::new().set("topic.auto.offset.reset", "latest").create_native_config().unwrap();
        assert_eq!(native.get("auto.offset.reset").unwrap(), "largest", "with `topic.` it is the same one");
    }

    #[test]
    fn every_way_to_compress_is_built_in() {
        let features = features();
        for codec in ["gzip", "snappy", "lz4", "zstd"] {
            assert!(features.split(',').any(|feature| feature == codec), "`{codec}` is not among {features}");
        }
    }

    #[test]
    fn who_wants_tokens_that_nobody_brings_is_told_so() {
        let bearer = |more: &[(&str, &str)]| -> BTreeMap<String, String> {
            let all = [&[("sasl.mechanism", "OAUTHBEARER")], more].concat();
            all.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
        };
        let oidc = bearer(&[("sasl.oauthbearer.method", "oidc")]);
        for of in [&oidc, &bearer(&[])] {
            let why = without_token(of, "gzip,ssl,sasl_oauthbearer").unwrap();
            assert!(why.contains("not built in") && why.contains("SCRAM-SHA-512"), "{why}");
        }
        assert!(without_token(&bearer(&[]), "ssl,oidc").unwrap().contains("method=oidc"));
        assert_eq!(without_token(&oidc, "ssl,oidc"), None);
        assert_eq!(without_token(&BTreeMap::new(), ""), None);
    }
}
