//! The contracts of a package, and whether a client was made from one that the server still answers by.
//!
//! A client of `cargo murmur clients`, or a typed [`Client`](super::Client), says in a header which contract it knows:
//! `1-4e1c0fd0a1a3c0b7`, the revision of Murmur's own messages and the fingerprint of the service. Numbers and types of
//! fields follow from these, and so a client that is not known here could read a field as another one, or ask with one that
//! nobody looks at. It is refused before anything is decoded. Who says nothing is answered: the check is the client's to
//! ask for.

use std::collections::HashMap;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use http::HeaderMap;
use tonic::Status;

use super::protocol::rpc::{Call, Method, Reads, Replies, Reply, Rpc};
use super::refusal::Reason;

/// What the build step made of a package's definitions. [`ServerBuilder::contracts`](super::ServerBuilder::contracts) takes it, and
/// `murmur::main!` does so by itself.
#[derive(Debug, Clone, Copy, Default)]
pub struct Contracts {
    /// A serialized `google.protobuf.FileDescriptorSet`: the package's own file and everything it imports.
    pub descriptor: &'static [u8],
    /// Every contract as a text, under the path that `cargo murmur sync` writes it to: `proto/.../x.proto`,
    /// `schema/dynamodb/<table>.json`, `schema/cloudformation.json`, `schema/terraform/<table>.tf.json`,
    /// `schema/openapi.json`.
    pub files: &'static [(&'static str, &'static str)],
    /// The revision of Murmur's own messages.
    pub revision: u32,
    /// The full name of each service, and the fingerprints of the contracts whose clients it answers, the present one last.
    pub served: &'static [(&'static str, &'static [&'static str])],
}

/// What the build step writes.
type Written =
    (&'static [u8], &'static [(&'static str, &'static str)], u32, &'static [(&'static str, &'static [&'static str])]);

/// What `OUT_DIR/murmur/contracts.rs` is an expression of, which `murmur::main!` includes.
impl From<Written> for Contracts {
    fn from((descriptor, files, revision, served): Written) -> Self {
        Self { descriptor, files, revision, served }
    }
}

impl Contracts {
    /// What a client of the present contract of a service says, by the full name of the service.
    #[cfg(feature = "app")]
    pub(crate) fn said(&self, service: &str) -> Option<String> {
        let (_, fingerprints) = self.served.iter().find(|(name, _)| *name == service)?;
        fingerprints.last().map(|fingerprint| format!("{}-{fingerprint}", self.revision))
    }
}

/// The header, in every protocol.
pub(crate) const HEADER: &str = "murmur-contract";

/// What the services of a server answer by.
#[derive(Debug, Default)]
pub(super) struct Guards(HashMap<String, Known>);

/// What one of them answers by.
#[derive(Debug, Clone, Default)]
struct Known {
    revision: u32,
    /// The present one last.
    fingerprints: Vec<String>,
}

impl Guards {
    pub(super) fn add(&mut self, service: &str, revision: u32, fingerprints: &[&str]) {
        let known = self.0.entry(service.to_owned()).or_default();
        known.revision = revision;
        known.fingerprints.extend(fingerprints.iter().map(|fingerprint| (*fingerprint).to_owned()));
    }

    /// The same service, for clients of its contracts only; as it is where nothing is known of them.
    pub(super) fn guard(&self, rpc: Arc<dyn Rpc>) -> Arc<dyn Rpc> {
        match self.0.get(rpc.name()) {
            Some(known) => Arc::new(Guarded { rpc, known: known.clone() }),
            None => rpc,
        }
    }
}

impl Known {
    fn check(&self, service: &str, headers: &HeaderMap) -> Result<(), Status> {
        let Some(said) = headers.get(HEADER) else { return Ok(()) };
        let said = said.to_str().unwrap_or_default();
        let parts = said.split_once('-').and_then(|(revision, of)| Some((revision.parse::<u32>().ok()?, of)));
        let Some((revision, fingerprint)) = parts else {
            return Err(Status::invalid_argument(format!(
                "`{HEADER}` is `<revision>-<fingerprint>`, as `cargo murmur clients` writes it"
            )));
        };
        if revision > self.revision {
            return Err(Reason::CONTRACT_MISMATCH.status(format!(
                "this client was made by a newer Murmur than this server: it may ask for what is not known here, which \
                 would be overlooked. Bring the server up to date, or make the client with the server's `cargo murmur \
                 clients` (`{HEADER}` is revision {revision}, here {})",
                self.revision
            )));
        }
        if !self.fingerprints.iter().any(|known| known == fingerprint) {
            let present = self.fingerprints.last().map(String::as_str).unwrap_or_default();
            return Err(Reason::CONTRACT_MISMATCH.status(format!(
                "this client was made from another contract of `{service}`, so that it could read its answers as something \
                 else. Make it anew with `cargo murmur clients` from the definitions of this server; where the client is \
                 the newer one, bring the server up to date first (`{HEADER}` is `{said}`, here `{}-{present}`)",
                self.revision
            )));
        }
        Ok(())
    }
}

/// A service for clients of its contracts only.
struct Guarded {
    rpc: Arc<dyn Rpc>,
    known: Known,
}

impl Rpc for Guarded {
    fn name(&self) -> &str {
        self.rpc.name()
    }

    fn methods(&self) -> &[Method] {
        self.rpc.methods()
    }

    fn reads(&self) -> Reads<'_> {
        self.rpc.reads()
    }

    fn explain(&self, status: Status) -> Status {
        self.rpc.explain(status)
    }

    fn fits(&self, headers: &HeaderMap) -> Result<(), Status> {
        self.known.check(self.name(), headers)
    }

    fn unary(&self, at: usize, call: Call) -> BoxFuture<'_, Result<Reply, Status>> {
        self.rpc.unary(at, call)
    }

    fn stream(&self, at: usize, call: Call) -> BoxFuture<'_, Result<Replies, Status>> {
        self.rpc.stream(at, call)
    }
}

#[cfg(test)]
mod tests {
    use tonic::Code;

    use super::*;

    #[test]
    fn clients_of_a_contract_that_is_served_are_let_in() {
        let known = Known { revision: 2, fingerprints: vec!["aaaa".into(), "bbbb".into()] };
        let check = |said: Option<&'static str>| {
            let headers = said.map(|said| (http::HeaderName::from_static(HEADER), said.parse().unwrap()));
            known.check("shop.v1.LikesService", &headers.into_iter().collect()).map_err(|status| status.code())
        };
        for served in [None, Some("2-bbbb"), Some("2-aaaa"), Some("1-bbbb")] {
            assert_eq!(check(served), Ok(()), "{served:?}");
        }
        for other in ["2-cccc", "3-bbbb", "2-", "0-BBBB"] {
            assert_eq!(check(Some(other)), Err(Code::FailedPrecondition), "{other}");
        }
        for wrong in ["", "bbbb", "x-bbbb", "-bbbb"] {
            assert_eq!(check(Some(wrong)), Err(Code::InvalidArgument), "{wrong}");
        }
    }
}
