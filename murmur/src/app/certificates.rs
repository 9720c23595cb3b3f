//! The certificates that flags name, of a port and of who asks one.

use std::path::Path;

use super::cli::{ClientTlsArgs, TlsArgs};
use crate::grpc::ClientTls;
#[cfg(feature = "tls")]
use crate::grpc::Tls;
use crate::{Error, ErrorKind, Result};

/// Of the port, where it is to speak TLS.
#[cfg(feature = "tls")]
pub(super) fn port(args: &TlsArgs) -> Result<Option<Tls>> {
    // clap asks for the second of them.
    let (Some(certificate), Some(key)) = (&args.tls_cert, &args.tls_key) else { return Ok(None) };
    let tls = Tls::from_files(certificate, key, args.tls_client_ca.clone());
    tls.map(Some).map_err(|error| error.while_doing("`--tls-cert`, `--tls-key` and `--tls-client-ca`"))
}

/// Nobody serves in the open who asked for TLS.
#[cfg(not(feature = "tls"))]
pub(super) fn refuse(args: &TlsArgs) -> Result<()> {
    if args.is_asked_for() {
        let what =
            "`--tls-cert`: this program was built without TLS; give `murmur` the feature `tls` in its Cargo.toml";
        return Err(Error::new(ErrorKind::Configuration, what));
    }
    Ok(())
}

/// Of who asks, where there are any.
pub(super) fn client(args: &ClientTlsArgs) -> Result<Option<ClientTls>> {
    let ClientTlsArgs { tls_ca, client_cert, client_key } = args;
    if tls_ca.is_none() && client_cert.is_none() {
        return Ok(None);
    }
    let mut tls = ClientTls::default();
    if let Some(path) = tls_ca {
        tls = tls.authorities(read("--tls-ca", path)?);
    }
    if let (Some(certificate), Some(key)) = (client_cert, client_key) {
        tls = tls.identity(read("--client-cert", certificate)?, read("--client-key", key)?);
    }
    Ok(Some(tls))
}

fn read(flag: &str, path: &Path) -> Result<Vec<u8>> {
    let text = std::fs::read(path).map_err(|error| {
        Error::new(ErrorKind::Configuration, format!("`{flag}` is `{}`, which cannot be read", path.display()))
            .with_source(error)
    })?;
    if !text.windows(5).any(|bytes| bytes == b"-----") {
        let what = format!("`{flag}` is `{}`, which is no PEM (`-----BEGIN ..-----`)", path.display());
        return Err(Error::new(ErrorKind::Configuration, what));
    }
    Ok(text)
}
