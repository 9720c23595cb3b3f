//! Which pages may ask, by the rules of browsers: [CORS](https://fetch.spec.whatwg.org/#http-cors-protocol).
//!
//! A browser asks by itself, before it lets a page of another origin send what is no form, and reads the answer only where that
//! names the origin. There are no cookies here, so nothing is said about credentials.

use std::fmt;
use std::str::FromStr;

use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS,
    ACCESS_CONTROL_REQUEST_METHOD, ORIGIN, VARY,
};
use http::{HeaderMap, HeaderValue, Method as Verb, Request, Response, StatusCode, Uri};
use tonic::body::Body;

use super::protocol::connect;

/// For so many seconds a browser need not ask again; Chrome's limit.
const MAX_AGE: &str = "7200";

/// Where a page comes from: `https://shop.example`, `http://localhost:5173`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Origin(String);

impl FromStr for Origin {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "*" || text == "null" {
            return Err(format!("`{text}` would let any page ask; name each origin, such as `https://shop.example`"));
        }
        let wrong = || {
            format!("`{text}` is no origin; write a scheme, a host and its port, such as `https://shop.example:8443`")
        };
        let uri: Uri = text.parse().map_err(|_| wrong())?;
        let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else { return Err(wrong()) };
        if !matches!(uri.path(), "" | "/") || uri.query().is_some() || authority.as_str().contains('@') {
            return Err(wrong());
        }
        // As browsers write it: small letters, and no port that follows from the scheme.
        let (scheme, host) = (scheme.to_ascii_lowercase(), authority.host().to_ascii_lowercase());
        let implied = match scheme.as_str() {
            "http" => Some(80),
            "https" => Some(443),
            _ => None,
        };
        Ok(Self(match authority.port_u16().filter(|port| Some(*port) != implied) {
            Some(port) => format!("{scheme}://{host}:{port}"),
            None => format!("{scheme}://{host}"),
        }))
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The origins whose pages may ask; none by default.
#[derive(Debug, Clone, Default)]
pub(super) struct Cors(pub(super) Vec<Origin>);

/// What a server with origins does with a request.
pub(super) enum Asked {
    /// Nothing but to answer it.
    Plainly,
    /// Answer it, and let this page read the answer.
    By(HeaderValue),
    /// A browser wants to know whether a page may ask: this is the answer.
    Whether(Response<Body>),
}

impl Cors {
    pub(super) fn asked<B>(&self, request: &Request<B>) -> Asked {
        let headers = request.headers();
        let Some(origin) = headers.get(ORIGIN).filter(|_| !self.0.is_empty()) else { return Asked::Plainly };
        let known = self.0.iter().any(|Origin(known)| known.as_bytes() == origin.as_bytes());
        let first = request.method() == Verb::OPTIONS && headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD);
        match (known, first) {
            (true, true) => Asked::Whether(permission(origin, headers)),
            (true, false) => Asked::By(origin.clone()),
            (false, true) => Asked::Whether(refusal()),
            // It has come as any program could have sent it; the browser keeps the answer from the page.
            (false, false) => Asked::Plainly,
        }
    }

    /// Let the page read an answer to its request. Those to others can be told apart by caches.
    pub(super) fn open(&self, response: &mut Response<Body>, page: Option<HeaderValue>) {
        if self.0.is_empty() {
            return;
        }
        response.headers_mut().append(VARY, HeaderValue::from_static("origin"));
        let Some(origin) = page else { return };
        let names: Vec<&str> = response.headers().keys().map(|name| name.as_str()).collect();
        if let Ok(names) = HeaderValue::try_from(names.join(", ")) {
            response.headers_mut().insert(ACCESS_CONTROL_EXPOSE_HEADERS, names);
        }
        response.headers_mut().insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    }
}

/// Metadata of a call can be any header, so all that are asked for are allowed.
fn permission(origin: &HeaderValue, asked: &HeaderMap) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    let headers = response.headers_mut();
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
    headers.insert(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET, POST"));
    if let Some(names) = asked.get(ACCESS_CONTROL_REQUEST_HEADERS) {
        headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, names.clone());
    }
    headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static(MAX_AGE));
    let depends = "origin, access-control-request-method, access-control-request-headers";
    headers.insert(VARY, HeaderValue::from_static(depends));
    response
}

fn refusal() -> Response<Body> {
    let words = "pages of this origin may not ask here; the server names those that may (`--cors-origin`)".to_owned();
    let mut response = connect::words(StatusCode::FORBIDDEN, words);
    response.headers_mut().insert(VARY, HeaderValue::from_static("origin"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_written_as_browsers_write_them() {
        for (text, origin) in [
            ("https://shop.example", "https://shop.example"),
            ("HTTPS://Shop.Example:443/", "https://shop.example"),
            ("http://localhost:5173", "http://localhost:5173"),
            ("http://[::1]:80", "http://[::1]"),
            ("https://shop.example:80", "https://shop.example:80"),
            ("capacitor://localhost", "capacitor://localhost"),
        ] {
            assert_eq!(text.parse::<Origin>().unwrap().to_string(), origin);
        }
        for text in ["", "*", "null", "shop.example", "https://", "https://a/b", "https://a?b", "https://u@a", "/"] {
            assert!(text.parse::<Origin>().is_err(), "{text}");
        }
    }
}
