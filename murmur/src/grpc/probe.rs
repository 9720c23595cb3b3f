//! Whose health a caller gets to know, where callers are known: that of the server everybody, that of a service whoever may ask it.

use futures_util::future::{BoxFuture, FutureExt};
use tonic::Status;
use tonic_health::pb::HealthCheckRequest;

use super::access::{Caller, Stranger};
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
    /// The service that a call is about.
    fn service(call: &Call) -> Result<String, Status> {
        // Both methods take it.
        let HealthCheckRequest { service } = decode(call.message.clone())?;
        Ok(service)
    }

    /// The pipeline of a service.
    fn pipeline(&self, service: &str) -> Option<&str> {
        let found = self.pipelines.iter().find(|(name, _)| name == service);
        found.map(|(_, pipeline)| pipeline.as_str())
    }

    /// Refuse to say whether there is a service to whoever may not ask it.
    fn permit(&self, call: &Call) -> Result<(), Status> {
        let service = Self::service(call)?;
        if service.is_empty() {
            return Ok(());
        }
        match (call.extensions.get::<Caller>(), call.extensions.get()) {
            (Some(caller), _) => self.pipeline(&service).map_or(Ok(()), |pipeline| caller.may_read(pipeline)),
            (None, Some(Stranger(why))) => Err(why.clone()),
            (None, None) => Err(Reason::INTERNAL.status("nobody has looked who asks")),
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

    fn about(&self, call: &Call) -> Option<String> {
        self.pipeline(&Self::service(call).ok()?).map(str::to_owned)
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
