//! A server of Connect's conformance suite: the suite's service, which is one of tonic and knows nothing of Murmur, behind
//! Murmur's port. `connectconformance` starts it, says on standard input what it wants, and reads where it listens.
//!
//! ```sh
//! cargo test -p murmur-tests --test end_to_end conformance        # all cases
//! ```

mod messages;
mod service;

use std::io::{Read, Write};

use murmur::grpc::{Server, Tls};
use prost::Message;

use crate::messages::{ServerCompatRequest, ServerCompatResponse, TlsCreds};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::args().nth(1).ok_or("usage: conformance DESCRIPTOR-SET")?;
    let descriptor = std::fs::read(path)?;
    let asked = ServerCompatRequest::decode(&*read()?)?;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let port = listener.local_addr()?.port();
    let mut server = Server::builder().service(service::Conformance).descriptor(&descriptor);
    if asked.message_receive_limit > 0 {
        server = server.max_request(asked.message_receive_limit as usize);
    }
    let pem_cert = match asked.server_creds.filter(|_| asked.use_tls) {
        Some(TlsCreds { cert, key }) => {
            let clients = Some(&*asked.client_tls_cert).filter(|certificate| !certificate.is_empty());
            server = server.tls(Tls::from_pem(&cert, &key, clients)?);
            cert
        }
        None => Vec::new(),
    };
    let serving = tokio::spawn(server.serve(listener, std::future::pending()));
    write(&ServerCompatResponse { host: "127.0.0.1".into(), port: port.into(), pem_cert }.encode_to_vec())?;
    // The suite ends it by a signal.
    serving.await??;
    Ok(())
}

/// A message behind its length.
fn read() -> std::io::Result<Vec<u8>> {
    let mut length = [0; 4];
    std::io::stdin().read_exact(&mut length)?;
    let mut message = vec![0; u32::from_be_bytes(length) as usize];
    std::io::stdin().read_exact(&mut message)?;
    Ok(message)
}

fn write(message: &[u8]) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(&(message.len() as u32).to_be_bytes())?;
    out.write_all(message)?;
    out.flush()
}
