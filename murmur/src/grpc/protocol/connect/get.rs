//! A call as a `GET`: the message stands in the query.

use std::borrow::Cow;

use base64::Engine;
use base64::alphabet::URL_SAFE;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use bytes::Bytes;
use http::Uri;
use percent_encoding::percent_decode_str;
use tonic::Status;

use super::super::codec::Encoding;
use super::super::compression::Compression;
use super::super::frame;

/// The query of a call that came as a `GET` of the Connect protocol, as it was sent. A service that is hosted finds it in the
/// extensions of its request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectGet(pub String);

/// The encoding and the message of a query, with at most `most` bytes.
pub(super) fn read(uri: &Uri, most: usize) -> Result<(Encoding, Bytes), Status> {
    let query = fields(uri.query().unwrap_or_default())?;
    let field = |name: &str| query.iter().find(|(field, _)| field == name).map(|(_, value)| &**value);
    if field("connect").is_some_and(|version| version != "v1") {
        return Err(Status::invalid_argument("`connect` must be `v1`"));
    }
    let compression = Compression::asked(field("compression"))?;
    let encoding = match field("encoding") {
        Some("json") => Encoding::Json,
        Some("proto") => Encoding::Proto,
        _ => return Err(Status::invalid_argument("`encoding` must be `json` or `proto`")),
    };
    let message = field("message").ok_or_else(|| Status::invalid_argument("`message` is not set"))?;
    let message = match field("base64") {
        Some("1") => {
            let config = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
            let decoded = GeneralPurpose::new(&URL_SAFE, config).decode(message);
            decoded.map_err(|_| Status::invalid_argument("`message` is not URL-safe base64"))?
        }
        // What is not text cannot stand in a query otherwise.
        _ if encoding == Encoding::Proto || compression != Compression::Identity => {
            return Err(Status::invalid_argument("`base64=1` is not set, and `message` is not text"));
        }
        _ => message.as_bytes().to_vec(),
    };
    if message.len() > most {
        return Err(frame::too_large(most));
    }
    Ok((encoding, compression.decompress(message.into(), most)?))
}

/// More than any query has that asks something.
const MOST_FIELDS: usize = 16;

/// The names and values of a query, each name once, as [forms](https://url.spec.whatwg.org/#urlencoded-parsing) write
/// them. What is not UTF-8 is refused and never replaced: a key that is read as another one would have another one's number.
fn fields(query: &str) -> Result<Vec<(String, String)>, Status> {
    let text = |part: &str| {
        let part = part.replace('+', " ");
        percent_decode_str(&part).decode_utf8().map(Cow::into_owned)
    };
    let pairs = query.split('&').filter(|pair| !pair.is_empty()).map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    let pairs = pairs.map(|(name, value)| Ok((text(name)?, text(value)?)));
    let fields: Vec<(String, String)> = pairs.collect::<Result<_, std::str::Utf8Error>>().map_err(|_| {
        Status::invalid_argument("the query is not UTF-8, percent-encoded; encode it so, or send the message by `POST`")
    })?;
    if fields.len() > MOST_FIELDS {
        return Err(Status::invalid_argument("the query has too many fields"));
    }
    let mut names: Vec<&str> = fields.iter().map(|(name, _)| &**name).collect();
    names.sort_unstable();
    if names.windows(2).any(|two| two[0] == two[1]) {
        return Err(Status::invalid_argument("the query has a field twice; give it once"));
    }
    Ok(fields)
}
