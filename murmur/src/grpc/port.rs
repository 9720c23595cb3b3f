//! The port: connections, how many there may be, and how one begins and ends.

use std::convert::Infallible;
#[cfg(feature = "tls")]
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use http::Extensions;
use hyper::body::Incoming;
use hyper::rt::{Read, Write};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder as Http;
use hyper_util::server::graceful::Watcher;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tonic::body::Body;

#[cfg(feature = "tls")]
use super::Tls;
use super::router::Router;

/// Streams that one connection may have open.
const STREAMS: u32 = 256;
/// Bytes of the headers of one request.
const HEADERS: usize = 16 << 10;
/// Connections at a time; more wait.
const CONNECTIONS: usize = 1_024;
/// How long a client may take over the beginning of a connection, and over the headers of a request.
const PATIENCE: Duration = Duration::from_secs(10);

/// What connections have in common.
pub(super) struct Port {
    places: Arc<Semaphore>,
    #[cfg(feature = "tls")]
    tls: Option<Tls>,
}

impl Port {
    pub(super) fn new(#[cfg(feature = "tls")] tls: Option<Tls>) -> Self {
        Self {
            places: Arc::new(Semaphore::new(CONNECTIONS)),
            #[cfg(feature = "tls")]
            tls,
        }
    }

    /// The next connection, when there is a place for it.
    pub(super) async fn accept(&self, listener: &TcpListener) -> (TcpStream, Option<OwnedSemaphorePermit>) {
        // Only a closed semaphore fails, and this one is never closed.
        let place = self.places.clone().acquire_owned().await.ok();
        loop {
            match listener.accept().await {
                Ok((socket, _)) => {
                    if let Err(error) = socket.set_nodelay(true) {
                        tracing::debug!(%error, "a socket without `nodelay`");
                    }
                    return (socket, place);
                }
                Err(error) => {
                    // Out of file descriptors, or the client was gone already: both pass.
                    tracing::warn!(%error, "a connection could not be taken");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        }
    }

    /// Look after certificates; never ends.
    pub(super) async fn watch(&self) {
        #[cfg(feature = "tls")]
        if let Some(tls) = &self.tls {
            return tls.watch().await;
        }
        std::future::pending().await
    }

    /// Serve a connection to its end. Once the server is `stopping`, none begins, and those that are there finish their calls.
    pub(super) async fn serve(
        &self,
        socket: TcpStream,
        router: Router,
        ends: Watcher,
        #[cfg_attr(not(feature = "tls"), expect(unused_mut, unused_variables, reason = "a handshake ends by it"))]
        mut stopping: watch::Receiver<bool>,
    ) {
        #[cfg(feature = "tls")]
        if let Some(tls) = &self.tls {
            let begun = tokio::select! {
                begun = pin!(tls.handshake(socket, PATIENCE)) => begun,
                _ = stopping.wait_for(|stopping| *stopping) => None,
            };
            if let Some((stream, certificate)) = begun {
                let mut extensions = Extensions::new();
                if let Some(certificate) = certificate {
                    extensions.insert(certificate);
                }
                hold(TokioIo::new(stream), router, extensions, ends).await;
            }
            return;
        }
        hold(TokioIo::new(socket), router, Extensions::new(), ends).await;
    }
}

/// Serve what has begun. Each request gets the `extensions`.
async fn hold<I>(io: I, router: Router, extensions: Extensions, ends: Watcher)
where
    I: Read + Write + Unpin + Send + 'static,
{
    let connection = http().serve_connection(io, service(router, extensions)).into_owned();
    // The other side went away or does not speak HTTP; there is nobody to tell.
    if let Err(error) = ends.watch(connection).await {
        tracing::debug!(error, "a connection ended");
    }
}

fn http() -> Http<TokioExecutor> {
    let mut http = Http::new(TokioExecutor::new());
    http.http1().timer(TokioTimer::new()).header_read_timeout(PATIENCE).max_buf_size(HEADERS);
    http.http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS)
        .max_header_list_size(HEADERS as u32)
        .keep_alive_interval(Duration::from_secs(30));
    http
}

/// The router as a service of one connection.
fn service(
    router: Router,
    extensions: Extensions,
) -> impl hyper::service::Service<
    http::Request<Incoming>,
    Response = http::Response<Body>,
    Error = Infallible,
    Future = impl Future<Output = Result<http::Response<Body>, Infallible>> + Send + 'static,
> + Send
+ 'static {
    hyper::service::service_fn(move |request: http::Request<Incoming>| {
        let router = router.clone();
        let mut request = request.map(Body::new);
        request.extensions_mut().extend(extensions.clone());
        async move { Ok(router.answer(request).await) }
    })
}
