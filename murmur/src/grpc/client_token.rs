//! The token that a client shows.

use http::header::AUTHORIZATION;
use tonic::Request;
use tonic::metadata::{Ascii, MetadataValue};

use crate::{Error, ErrorKind, Result};

/// A bearer token, as `authorization: Bearer ...` has it. It is not shown by `Debug`.
#[derive(Clone)]
pub struct Token(MetadataValue<Ascii>);

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token(..)")
    }
}

impl Token {
    /// Of its text: visible characters of ASCII, as [RFC 6750](https://www.rfc-editor.org/rfc/rfc6750#section-2.1) has them.
    ///
    /// Errors: [`Configuration`](ErrorKind::Configuration) when it is something else; the error does not show it.
    pub fn new(text: &str) -> Result<Self> {
        let wrong = || Error::new(ErrorKind::Configuration, "a token is one word of visible characters of ASCII");
        if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(wrong());
        }
        let mut value: MetadataValue<Ascii> = format!("Bearer {text}").parse().map_err(|_| wrong())?;
        value.set_sensitive(true);
        Ok(Self(value))
    }

    /// Show it with a request.
    pub(crate) fn add<T>(&self, request: &mut Request<T>) {
        request.metadata_mut().insert(AUTHORIZATION.as_str(), self.0.clone());
    }
}
