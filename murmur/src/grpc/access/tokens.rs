//! Callers that a list names, each with its tokens and the names in its certificates.

use std::collections::HashMap;

use http::{Extensions, HeaderMap};
use sha2::{Digest, Sha256};

use super::{Caller, bearer};
use crate::Result;

/// The SHA-256 of a token. Tokens themselves are nowhere kept, and looking one up by its hash takes no time that says anything of
/// those that there are.
pub(super) type Hash = [u8; 32];

/// Those that a file lists.
#[derive(Debug, Default)]
pub(super) struct Listed {
    pub(super) tokens: HashMap<Hash, Caller>,
    /// By a name in their certificates.
    pub(super) certificates: HashMap<String, Caller>,
}

impl Listed {
    /// Who a token belongs to.
    pub(super) fn by_token(&self, token: &str) -> Option<&Caller> {
        self.tokens.get(&Hash::from(Sha256::digest(token)))
    }

    /// Who a certificate belongs to: by the first of its names that is listed.
    #[cfg(feature = "tls")]
    fn by_certificate(&self, extensions: &Extensions) -> Option<&Caller> {
        let certificate = extensions.get::<super::super::ClientCertificate>()?;
        let names = certificate.uris.iter().chain(&certificate.dns).chain(&certificate.emails);
        names.chain(&certificate.common_name).find_map(|name| self.certificates.get(name))
    }

    #[cfg(not(feature = "tls"))]
    fn by_certificate(&self, _: &Extensions) -> Option<&Caller> {
        None
    }

    /// Who sends this. A token says more than the certificate of the machine that it comes from.
    pub(super) fn caller(&self, headers: &HeaderMap, extensions: &Extensions) -> Result<Option<Caller>> {
        let caller = match bearer(headers)? {
            Some(token) => self.by_token(token),
            None => self.by_certificate(extensions),
        };
        Ok(caller.cloned())
    }
}
