//! Which headers are the caller's own, and which belong to the protocol that carries them.

use http::HeaderMap;
use http::header::HeaderName;

/// Headers of HTTP and of its connections, and those that say how messages are written.
const OF_THE_PROTOCOL: [&str; 14] = [
    "accept-encoding",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "date",
    "host",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "accept-post",
];

/// Whether a header says something about the call that is not the protocol's business.
fn is_metadata(name: &HeaderName) -> bool {
    let name = name.as_str();
    !name.starts_with("grpc-") && !name.starts_with("connect-") && !OF_THE_PROTOCOL.contains(&name)
}

/// Add what is the caller's, or the service's, of headers to others.
pub(in crate::grpc) fn add(to: &mut HeaderMap, from: &HeaderMap) {
    for (name, value) in from.iter().filter(|(name, _)| is_metadata(name)) {
        to.append(name.clone(), value.clone());
    }
}
