//! Callers that a list names, each with its tokens and the names in its certificates.

use std::collections::HashMap;

use http::{Extensions, HeaderMap};
use sha2::{Digest, Sha256};

use super::{Caller, bearer};
use crate::{Error, ErrorKind, Result};

/// The SHA-256 of a token. Tokens themselves are nowhere kept, and looking one up by its hash takes no time that says anything of
/// those that there are.
pub(super) type Hash = [u8; 32];

/// What a name in a certificate is one of. Whoever gets to choose one kind of name in a certificate gets no other by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    Uri,
    Dns,
    Email,
    CommonName,
}

impl Kind {
    /// How a file writes them, in front of the name.
    pub(super) const ALL: [(&str, Self); 4] =
        [("uri:", Self::Uri), ("dns:", Self::Dns), ("email:", Self::Email), ("cn:", Self::CommonName)];
}

/// Those that a file lists.
#[derive(Debug, Default)]
pub(super) struct Listed {
    pub(super) tokens: HashMap<Hash, Caller>,
    /// By a name in their certificates.
    pub(super) certificates: HashMap<(Kind, String), Caller>,
}

impl Listed {
    /// Who sends this, or why nobody is known by it; `None` when it shows nothing that is listed here. A token says more than the
    /// certificate of the machine that it comes from.
    pub(super) fn caller(&self, headers: &HeaderMap, extensions: &Extensions) -> Result<Option<Caller>> {
        match bearer(headers)? {
            Some(token) => Ok(self.tokens.get(&Hash::from(Sha256::digest(token))).cloned()),
            None if self.certificates.is_empty() => Ok(None),
            None => self.by_certificate(extensions),
        }
    }

    /// By the first of its names that is listed.
    #[cfg(feature = "tls")]
    fn by_certificate(&self, extensions: &Extensions) -> Result<Option<Caller>> {
        let Some(certificate) = extensions.get::<super::super::ClientCertificate>() else { return Ok(None) };
        let found = names(certificate).find_map(|name| self.certificates.get(&name));
        match found {
            Some(caller) => Ok(Some(caller.clone())),
            None => Err(Error::new(ErrorKind::Denied, "the certificate has no name that this server knows")),
        }
    }

    #[cfg(not(feature = "tls"))]
    fn by_certificate(&self, _: &Extensions) -> Result<Option<Caller>> {
        Err(Error::new(ErrorKind::Internal, "certificates are listed, and this program cannot see any"))
    }
}

/// The names of a certificate. The common name counts where there are no others, as it is nobody's address: a machine whose
/// certificate is for its address has not been confirmed as the one that it calls itself.
#[cfg(feature = "tls")]
fn names(certificate: &super::super::ClientCertificate) -> impl Iterator<Item = (Kind, String)> {
    let of = |kind: Kind, names: &[String]| names.iter().map(move |name| (kind, name.clone())).collect::<Vec<_>>();
    let mut all = of(Kind::Uri, &certificate.uris);
    all.extend(of(Kind::Dns, &certificate.dns));
    all.extend(of(Kind::Email, &certificate.emails));
    if all.is_empty() && certificate.addresses.is_empty() && !certificate.has_others {
        all.extend(certificate.common_name.iter().map(|name| (Kind::CommonName, name.clone())));
    }
    all.into_iter()
}

#[cfg(all(test, feature = "tls"))]
mod tests {
    use super::super::Pipelines;
    use super::*;
    use crate::grpc::ClientCertificate;

    #[test]
    fn a_certificate_is_known_by_the_kind_of_its_name_too() {
        let caller = |name: &str| Caller { name: name.into(), pipelines: Pipelines::All, until: None };
        let spiffe = "spiffe://shop.example/web";
        let listed = Listed {
            tokens: HashMap::new(),
            certificates: [
                ((Kind::Uri, spiffe.to_owned()), caller("web")),
                ((Kind::CommonName, "worker".to_owned()), caller("worker")),
            ]
            .into(),
        };
        let by = |certificate: ClientCertificate| {
            let mut extensions = Extensions::new();
            extensions.insert(certificate);
            listed.caller(&HeaderMap::new(), &extensions).map(|caller| caller.map(|caller| caller.name.to_string()))
        };
        let none = ClientCertificate::default;
        assert_eq!(by(ClientCertificate { uris: vec![spiffe.into()], ..none() }).unwrap().as_deref(), Some("web"));
        assert_eq!(
            by(ClientCertificate { common_name: Some("worker".into()), ..none() }).unwrap().as_deref(),
            Some("worker")
        );
        for stranger in [
            ClientCertificate { common_name: Some(spiffe.into()), ..none() },
            ClientCertificate { emails: vec![spiffe.into()], ..none() },
            ClientCertificate { common_name: Some("worker".into()), dns: vec!["a.example".into()], ..none() },
            ClientCertificate {
                common_name: Some("worker".into()),
                addresses: vec!["10.1.2.3".parse().unwrap()],
                ..none()
            },
            ClientCertificate { common_name: Some("worker".into()), has_others: true, ..none() },
            none(),
        ] {
            assert_eq!(by(stranger).unwrap_err().kind(), ErrorKind::Denied);
        }
        assert_eq!(listed.caller(&HeaderMap::new(), &Extensions::new()).unwrap(), None);
    }
}
