//! What a server answers to a plain `GET`, besides its methods.

use std::collections::HashMap;
use std::sync::Arc;

use http::StatusCode;
use serde_json::{Value, json};
use tokio::sync::watch;

use super::access::Caller;
use super::handler::AnyPipeline;
use super::health::Readiness;
use super::protocol::rpc::Served;
use super::query_service;

const JSON: &str = "application/json";

/// All pages of a server.
pub(super) struct Pages {
    /// What there is, at `/`.
    pub(super) listing: Listing,
    /// At `/readyz`.
    pub(super) readiness: watch::Receiver<Readiness>,
    pub(super) others: Vec<Page>,
    /// Whether a caller that nobody names is a stranger.
    pub(super) knows_callers: bool,
}

/// The pipelines of a server, with what can be asked about them.
pub(super) struct Listing {
    pipelines: Vec<(String, Value)>,
    generic: Vec<String>,
}

impl Listing {
    pub(super) fn of(pipelines: &[Arc<dyn AnyPipeline>], rpcs: &HashMap<String, Served>) -> Self {
        let methods = |name: &str| -> Vec<String> {
            let methods = rpcs.get(name).map_or(&[][..], |rpc| rpc.methods());
            methods.iter().map(|method| format!("/{name}/{}", method.name)).collect()
        };
        let pipelines = pipelines.iter().map(|pipeline| {
            let info = pipeline.info();
            let listed = json!({
                "name": info.name,
                "about": info.about,
                "service": info.service,
                "key": info.key_fields,
                "value": info.value_type,
                "methods": methods(&info.service),
            });
            (info.name, listed)
        });
        Self { pipelines: pipelines.collect(), generic: methods(query_service::NAME) }
    }

    /// For a caller: those that it may read.
    fn json(&self, caller: Option<&Caller>) -> String {
        let may = |name: &str| caller.is_none_or(|caller| caller.pipelines.contains(name));
        let pipelines: Vec<&Value> =
            self.pipelines.iter().filter(|(name, _)| may(name)).map(|(_, listed)| listed).collect();
        json!({ "pipelines": pipelines, "generic": self.generic }).to_string()
    }
}

/// A page that the program adds.
pub(super) struct Page {
    pub(super) path: &'static str,
    pub(super) kind: &'static str,
    pub(super) content: Box<dyn Fn() -> String + Send + Sync>,
}

impl Pages {
    /// Those that everybody may see: an orchestrator has no token. Reasons are for callers.
    pub(super) const OPEN: [&str; 2] = ["/healthz", "/readyz"];

    /// Whether there is a page at a path.
    pub(super) fn has(&self, path: &str) -> bool {
        path == "/" || Self::OPEN.contains(&path) || self.others.iter().any(|page| page.path == path)
    }

    /// Status, type and content of the page at a path, for a caller.
    pub(super) fn find(&self, path: &str, caller: Option<&Caller>) -> Option<(StatusCode, &'static str, String)> {
        Some(match path {
            "/" => (StatusCode::OK, JSON, self.listing.json(caller)),
            // Whoever gets this answer knows all that there is to know: the process lives.
            "/healthz" => (StatusCode::OK, JSON, r#"{"live":true}"#.to_owned()),
            "/readyz" => {
                let readiness = self.readiness.borrow();
                let status = if readiness.is_ready() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
                let may = |pipeline: Option<&str>| match caller {
                    Some(caller) => pipeline.is_none_or(|pipeline| caller.pipelines.contains(pipeline)),
                    None => !self.knows_callers,
                };
                (status, JSON, readiness.json(may))
            }
            _ => {
                let page = self.others.iter().find(|page| page.path == path)?;
                (StatusCode::OK, page.kind, (page.content)())
            }
        })
    }
}
