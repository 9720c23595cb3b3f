//! The token by which a command shows a server who asks.

use std::path::Path;

use crate::grpc::Token;
use crate::{Error, ErrorKind, Result};

/// The variable with a token. It is no flag: other people of a machine see the flags of a process.
const VARIABLE: &str = "MURMUR_TOKEN";

/// From the file, or from the environment.
pub(super) fn read(file: Option<&Path>) -> Result<Option<Token>> {
    let wrong = |what: String| Error::new(ErrorKind::Configuration, what);
    let (place, text) = match file {
        Some(path) => {
            let place = format!("`{}`, the file of --token-file,", path.display());
            let text = std::fs::read_to_string(path)
                .map_err(|error| wrong(format!("{place} cannot be read")).with_source(error))?;
            (place, text)
        }
        None => match std::env::var(VARIABLE) {
            Ok(text) => (format!("`{VARIABLE}`"), text),
            Err(_) => return Ok(None),
        },
    };
    let token = Token::new(text.trim())
        .map_err(|_| wrong(format!("{place} is no token: it is empty, or has characters that no header can have")))?;
    Ok(Some(token))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_no_token_is_named_and_not_shown() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("token");
        for (text, good) in [("s3cret\n", true), ("", false), ("s3\0cret", false), ("two s3cret words", false)] {
            std::fs::write(&file, text).unwrap();
            match read(Some(&file)) {
                Ok(token) => assert!(good && !format!("{token:?}").contains("s3cret"), "{text:?}"),
                Err(error) => {
                    assert!(!good && error.to_string().contains("--token-file"), "{error}");
                    assert!(!error.to_string().contains("cret"), "{error}");
                }
            }
        }
        assert!(read(Some(&folder.path().join("none"))).is_err());
    }
}
