//! Whose health a caller gets to know, where callers are known: that of the server everybody, that of a service whoever may ask it.

use futures_util::future::{BoxFuture, FutureExt};
use tonic::Status;
use tonic_health::pb::HealthCheckRequest;

use super::access::Caller;
use super::hosted::Hosted;
use super::protocol::rpc::{Call, Method, Reads, Replies, Reply, Rpc, decode};
use super::refusal::Reason;

/// The health service of a server that knows its callers.
pub(super) struct Probe {
    pub(super) health: Hosted,
    /// Services of pipelines, and the names of these.
    pub(super) pipelines: Vec<(String, String)>,
}

impl Probe {
    /// Refuse to say whether there is a service to whoever may not ask it.
    fn permit(&self, call: &Call) -> Result<(), Status> {
        // Both methods take it.
        let HealthCheckRequest { service } = decode(call.message.clone())?;
        if service.is_empty() {
            return Ok(());
        }
        let caller = call.extensions.get::<Caller>().ok_or_else(|| {
            Reason::CREDENTIALS_MISSING.status(
                "this server tells strangers of its health as a whole; for that of a service send a token, or a client certificate \
                 that is known",
            )
        })?;
        match self.pipelines.iter().find(|(name, _)| *name == service) {
            Some((_, pipeline)) => caller.may_read(pipeline),
            None => Ok(()),
        }
    }
}

impl Rpc for Probe {
    fn name(&self) -> &str {
        self.health.name()
    }

    fn methods(&self) -> &[Method] {
        self.health.methods()
    }

    fn reads(&self) -> Reads<'_> {
        self.health.reads()
    }

    fn is_ours(&self) -> bool {
        self.health.is_ours()
    }

    fn explain(&self, status: Status) -> Status {
        self.health.explain(status)
    }

    fn unary(&self, at: usize, call: Call) -> BoxFuture<'_, Result<Reply, Status>> {
        match self.permit(&call) {
            Ok(()) => self.health.unary(at, call),
            Err(status) => std::future::ready(Err(status)).boxed(),
        }
    }

    fn stream(&self, at: usize, call: Call) -> BoxFuture<'_, Result<Replies, Status>> {
        match self.permit(&call) {
            Ok(()) => self.health.stream(at, call),
            Err(status) => std::future::ready(Err(status)).boxed(),
        }
    }
}
