//! The port: connections, how many there may be, and how one begins and ends.

use std::convert::Infallible;
use std::error::Error;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use http::{Extensions, StatusCode};
use hyper::body::Incoming;
use hyper::rt::{Read, Write};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder as Http;
use hyper_util::server::graceful::GracefulConnection;
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tonic::body::Body;

use super::lifetime::{Answer, Life};
use super::limits::{Limits, places};
use super::opening::Opening;
use super::protocol::{connect, written};
use super::router::Router;
#[cfg(feature = "tls")]
use super::{ClientCertificate, Tls};

/// How long a client may take over the beginning of a connection, and over the headers of a request.
const PATIENCE: Duration = Duration::from_secs(10);

/// How often a client by HTTP/2 is asked whether it is there, and how long it may take to say so. One that is gone without a word
/// would keep its connection, and its streams, otherwise.
const PING: Duration = Duration::from_secs(30);
const PONG: Duration = Duration::from_secs(20);

/// How long what is being answered may take after a connection has come to its end: as long as a call may take.
const GRACE: Duration = Duration::from_secs(30);

/// What connections have in common.
pub(super) struct Port {
    limits: Limits,
    places: Arc<Semaphore>,
    #[cfg(feature = "tls")]
    tls: Option<Tls>,
}

impl Port {
    pub(super) fn new(limits: Limits, #[cfg(feature = "tls")] tls: Option<Tls>) -> Self {
        Self {
            limits,
            places: places(limits.connections),
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
                    // A client by HTTP/1.1 is asked by nobody else whether it is there.
                    let alive = TcpKeepalive::new().with_time(PING).with_interval(PONG);
                    let set = socket.set_nodelay(true).and_then(|()| SockRef::from(&socket).set_tcp_keepalive(&alive));
                    if let Err(error) = set {
                        tracing::debug!(%error, "a socket without `nodelay` or keep-alive");
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
        #[cfg_attr(not(feature = "tls"), expect(unused_mut, reason = "a handshake ends by it"))]
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
                self.hold(stream, router, extensions, stopping).await;
            }
            return;
        }
        self.hold(socket, router, Extensions::new(), stopping).await;
    }

    /// Serve what has begun. Each request gets the `extensions`.
    pub(super) async fn hold<S>(
        &self,
        stream: S,
        router: Router,
        extensions: Extensions,
        mut stopping: watch::Receiver<bool>,
    ) where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let life = Life::new();
        let (stream, late) = Opening::of(stream, life.clone(), PATIENCE);
        #[cfg(feature = "tls")]
        let until = extensions.get::<ClientCertificate>().and_then(|certificate| certificate.until);
        #[cfg(not(feature = "tls"))]
        let until = None;
        let mut connection = pin!(connection(&self.limits, TokioIo::new(stream), router, extensions, life.clone()));
        tokio::select! {
            ended = poll_fn(|cx| life.poll_behind(connection.as_mut(), cx)) => return log(ended),
            () = late => return tracing::debug!("a connection was cut off: what it had to begin with did not come"),
            _ = stopping.wait_for(|stopping| *stopping) => {}
            () = life.over(&self.limits, until) => {}
        }
        // Whoever is there is told to begin another one, and what is being answered is answered; streams can be resumed by another.
        life.end();
        connection.as_mut().graceful_shutdown();
        match tokio::time::timeout(GRACE, connection).await {
            Ok(ended) => log(ended),
            Err(_) => tracing::info!("a connection was cut off: it did not end by itself in {} s", GRACE.as_secs()),
        }
    }
}

fn log(ended: Result<(), Box<dyn Error + Send + Sync>>) {
    // The other side went away or does not speak HTTP; there is nobody to tell.
    if let Err(error) = ended {
        tracing::debug!(error, "a connection ended");
    }
}

/// What serves a connection. Each request gets the `extensions`.
pub(super) fn connection<I>(
    limits: &Limits,
    io: I,
    router: Router,
    extensions: Extensions,
    life: Life,
) -> impl GracefulConnection<Error = Box<dyn Error + Send + Sync>>
where
    I: Read + Write + Unpin + Send + 'static,
{
    http(limits).serve_connection(io, service(router, extensions, limits.headers, life)).into_owned()
}

fn http(limits: &Limits) -> Http<TokioExecutor> {
    let mut http = Http::new(TokioExecutor::new());
    // hyper would count the time that a connection is idle as that of its next headers; `Opening` does not. It wants room for 8 KiB;
    // what is over the limit all the same is found below.
    http.http1().header_read_timeout(None).max_buf_size(limits.headers.max(8 << 10));
    http.http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits.streams)
        // Otherwise 400 KiB of each stream lie there for who opens its window and reads nothing, and are no call's any more.
        .max_send_buf_size(written::PIECE)
        .max_header_list_size(u32::try_from(limits.headers).unwrap_or(u32::MAX))
        .keep_alive_interval(PING)
        .keep_alive_timeout(PONG);
    http
}

/// The router as a service of one connection.
fn service(
    router: Router,
    extensions: Extensions,
    headers: usize,
    life: Life,
) -> impl hyper::service::Service<
    http::Request<Incoming>,
    Response = http::Response<Answer<Body>>,
    Error = Infallible,
    Future = impl Future<Output = Result<http::Response<Answer<Body>>, Infallible>> + Send + 'static,
> + Send
+ 'static {
    let drain = life.drain();
    hyper::service::service_fn(move |request: http::Request<Incoming>| {
        let answering = life.begin(request.version());
        let mut request = request.map(Body::new);
        request.extensions_mut().extend(extensions.clone());
        request.extensions_mut().insert(drain.clone());
        request.extensions_mut().insert(answering.as_use());
        // Some kilobytes, which hyper would move several times before it lets them rest.
        let answered = (size(&request) <= headers).then(|| Box::pin(router.clone().answer(request)));
        async move {
            let answer = match answered {
                Some(answered) => answered.await,
                None => too_large(headers),
            };
            Ok(answering.answer(answer))
        }
    })
}

/// Bytes of the headers of a request, as HTTP/2 counts them. HTTP/1.1 has a limit for what is read at once only.
fn size<B>(request: &http::Request<B>) -> usize {
    let fields = request.headers().iter().map(|(name, value)| name.as_str().len() + value.len() + 32);
    let path = request.uri().path_and_query().map_or(0, |path| path.as_str().len());
    path + fields.sum::<usize>()
}

fn too_large(most: usize) -> http::Response<Body> {
    let words = format!("the headers of a request may have {most} bytes, with 32 for each field");
    connect::words(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, words)
}
