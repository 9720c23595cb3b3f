//! Whom a server is opened to, and what it was called, where it is for its own machine alone.
//!
//! A page in a browser can have its own name lead to 127.0.0.1, after it was loaded from elsewhere (DNS rebinding). To the browser this
//! server is then the page's own origin, and the page reads what it answers. What shows it is the name that was called, which the
//! browser sends along: an address cannot be led elsewhere, and `localhost` is nobody's else.

use std::net::{IpAddr, SocketAddr};

use http::Request;
use http::header::HOST;
use http::uri::Authority;
use tonic::Status;

use super::refusal::Reason;

/// Whom a port is opened to, as far as its settings say.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Exposure {
    /// Whether it is known who asks.
    pub(crate) knows_callers: bool,
    /// Whether somebody has said that all may ask, whatever name they call.
    pub(crate) any_host: bool,
}

impl Exposure {
    /// Whether only this machine may ask: nobody is known, and nobody has said that all may.
    pub(crate) fn is_local(self) -> bool {
        !self.knows_callers && !self.any_host
    }
}

/// Whether only this machine reaches an address.
pub(crate) fn is_loopback(address: SocketAddr) -> bool {
    address.ip().to_canonical().is_loopback()
}

/// Refuse a request that calls by another name. One that says none comes from no browser.
pub(super) fn check<B>(request: &Request<B>) -> Result<(), Status> {
    let by_header = request.headers().get_all(HOST).iter().all(|host| {
        let host = host.to_str().ok().and_then(|host| host.parse().ok());
        host.is_some_and(|host| is_local(&host))
    });
    if by_header && request.uri().authority().is_none_or(is_local) {
        return Ok(());
    }
    Err(Reason::HOST_FORBIDDEN.status(
        "this server is for its own machine, and was called by a name; call it as `localhost` or by its address, or start it with \
         `--access`, or with `--insecure-no-auth` where the network itself keeps strangers out",
    ))
}

fn is_local(authority: &Authority) -> bool {
    let host = authority.host();
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let name = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
    // All of this domain leads back to the machine (RFC 6761, 6.3).
    name == "localhost" || name.ends_with(".localhost") || bare.parse::<IpAddr>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_and_localhost_are_names_of_this_machine() {
        let refused = |uri: &str, hosts: &[&str]| {
            let request = hosts.iter().fold(Request::get(uri), |request, host| request.header(HOST, *host));
            check(&request.body(()).unwrap()).is_err()
        };
        for local in [
            "localhost",
            "LocalHost:50051",
            "localhost.",
            "app.localhost:1",
            "127.0.0.1:8080",
            "[::1]:50051",
            "[::1]",
            "192.168.1.7",
        ] {
            assert!(!refused("/", &[local]) && !refused(&format!("http://{local}/"), &[]), "{local}");
        }
        for other in [
            "evil.example",
            "evil.example:50051",
            "localhost.evil.example",
            "evillocalhost",
            "127.0.0.1.evil.example",
            "a",
        ] {
            assert!(refused("/", &[other]) && refused(&format!("http://{other}/"), &[]), "{other}");
            assert!(refused("/", &["localhost", other]) && refused("http://localhost/", &[other]), "{other}");
        }
        assert!(refused("/", &[""]) && refused("/", &["not a host"]));
        assert!(!refused("/", &[]));
    }
}
