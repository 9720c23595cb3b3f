//! What a server answers to a plain `GET`, besides its methods.

use http::StatusCode;
use tokio::sync::watch;

use super::health::Readiness;

const JSON: &str = "application/json";

/// All pages of a server.
pub(super) struct Pages {
    /// What there is, at `/`.
    pub(super) listing: String,
    /// At `/readyz`.
    pub(super) readiness: watch::Receiver<Readiness>,
    pub(super) others: Vec<Page>,
}

/// A page that the program adds.
pub(super) struct Page {
    pub(super) path: &'static str,
    pub(super) kind: &'static str,
    pub(super) content: Box<dyn Fn() -> String + Send + Sync>,
}

impl Pages {
    /// Those that everybody may see: an orchestrator has no token.
    pub(super) const OPEN: [&str; 2] = ["/healthz", "/readyz"];

    /// Status, type and content of the page at a path.
    pub(super) fn find(&self, path: &str) -> Option<(StatusCode, &'static str, String)> {
        Some(match path {
            "/" => (StatusCode::OK, JSON, self.listing.clone()),
            // Whoever gets this answer knows all that there is to know: the process lives.
            "/healthz" => (StatusCode::OK, JSON, r#"{"live":true}"#.to_owned()),
            "/readyz" => {
                let readiness = self.readiness.borrow();
                let status = if readiness.is_ready() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
                (status, JSON, readiness.json())
            }
            _ => {
                let page = self.others.iter().find(|page| page.path == path)?;
                (StatusCode::OK, page.kind, (page.content)())
            }
        })
    }
}
