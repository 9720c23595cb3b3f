use opentelemetry_otlp::WithTonicConfig;
use opentelemetry_otlp::tonic_types::transport::{Certificate, ClientTlsConfig};

use super::Signal;
use crate::{Error, ErrorKind, Result};

/// What a file of certificates has, and no other.
const BEGIN: &str = "-----BEGIN CERTIFICATE-----";

impl Signal {
    /// Let what sends this know the collector, where it is spoken to by TLS.
    pub(super) fn secured<B: WithTonicConfig>(self, builder: B) -> Result<B> {
        if !self.is_by_tls() {
            return Ok(builder);
        }
        let Some((variable, path)) = self.variable("CERTIFICATE") else {
            return Ok(builder.with_tls_config(ClientTlsConfig::new().with_enabled_roots()));
        };
        let wrong = |what: &str| Error::new(ErrorKind::Configuration, format!("{variable} is `{path}`, {what}"));
        let certificates =
            std::fs::read_to_string(&path).map_err(|error| wrong("which cannot be read").with_source(error))?;
        if !certificates.contains(BEGIN) {
            return Err(wrong("where no certificate is (PEM)"));
        }
        Ok(builder.with_tls_config(ClientTlsConfig::new().ca_certificate(Certificate::from_pem(certificates))))
    }

    /// As the specification says, an endpoint without a scheme is one with TLS unless it is said to be insecure.
    fn is_by_tls(self) -> bool {
        let insecure = || self.variable("INSECURE").is_some_and(|(_, value)| value.eq_ignore_ascii_case("true"));
        self.variable("ENDPOINT").is_some_and(|(_, endpoint)| match endpoint.split_once("://") {
            Some((scheme, _)) => scheme.eq_ignore_ascii_case("https"),
            None => !insecure(),
        })
    }
}
