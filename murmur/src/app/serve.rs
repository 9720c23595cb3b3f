use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::cli::{ListenArgs, ServeArgs};
use super::entry::{Entry, Reading};
use super::exit::Exit;
use super::limits::Limits;
use super::signals::Stop;
use super::{App, certificates, observe, open, print};
use crate::grpc::host::is_loopback;
use crate::grpc::{Access, InProcess, ServerBuilder, Watching};
use crate::location::ByteSize;
use crate::metrics::Prometheus;
use crate::query::TileCache;
use crate::store::{Store, Touched};
use crate::{Error, ErrorKind, Result};

/// `serve`: answer questions about a store until asked to stop.
pub(super) async fn serve(app: &App, args: &ServeArgs) -> Result<Exit> {
    let stop = Stop::listen()?;
    allow(&args.listen)?;
    observe::start(app)?;
    let store = open::standing_store(&args.store.store).await?;
    let server = spawn(app, store, &args.listen, None, &stop).await?;
    server.ended().await?;
    Ok(Exit::Done)
}

/// Nobody serves to other machines by accident.
fn allow(args: &ListenArgs) -> Result<()> {
    let ListenArgs { listen: address, port } = args;
    if !is_loopback(*address) && port.exposure().is_local() {
        let context = format!(
            "{address} can be reached by other machines, and everyone there could ask everything; listen on 127.0.0.1, or \
             give `--access` (who may ask what), `--tls-client-ca` (whose certificates count), or `--insecure-no-auth` \
             where the network itself keeps strangers out"
        );
        return Err(Error::new(ErrorKind::InvalidArgument, context));
    }
    Ok(())
}

/// A server in the background.
#[derive(Debug)]
pub(super) struct Serving(JoinHandle<Result<()>>);

impl Serving {
    /// Wait until it has ended, which it does when the process is asked to stop.
    pub(super) async fn ended(self) -> Result<()> {
        match self.0.await {
            Ok(ended) => ended,
            // Aborted, by `stop`.
            Err(error) if error.is_cancelled() => Ok(()),
            Err(error) => Err(Error::new(ErrorKind::Internal, "the server broke down").with_source(error)),
        }
    }

    /// End it, if the process was not asked to stop.
    pub(super) async fn stop(self, stop: &Stop) -> Result<()> {
        if !*stop.watch().borrow() {
            self.0.abort();
        }
        self.ended().await
    }
}

/// What a process that also works has beside its server.
pub(super) struct Work {
    /// Part of its health.
    pub(super) limits: Limits,
    /// Tells of what its workers write.
    pub(super) touched: Touched,
}

/// Start a server for all pipelines of the binary.
pub(super) async fn spawn(
    app: &App,
    store: Arc<dyn Store>,
    args: &ListenArgs,
    work: Option<Work>,
    stop: &Stop,
) -> Result<Serving> {
    allow(args)?;
    let port = &args.port;
    #[cfg(feature = "tls")]
    let tls = certificates::port(&port.tls)?;
    #[cfg(not(feature = "tls"))]
    certificates::refuse(&port.tls)?;
    let access = port.exposure.access.as_ref().map(Access::file).transpose()?;
    if access.as_ref().is_some_and(Access::names_certificates) && port.tls.tls_client_ca.is_none() {
        let context =
            "the file of --access names certificates, and nobody is asked for one: give `--tls-client-ca` as well";
        return Err(Error::new(ErrorKind::Configuration, context));
    }
    if access.is_some() && !is_loopback(args.listen) && !port.tls.is_asked_for() {
        tracing::warn!(
            "tokens come to {} in the open; take --tls-cert, or let what stands in front of it speak TLS",
            args.listen
        );
    }
    readable(app, &store).await?;
    let listener = bind(args.listen, "--listen").await?;
    let scheme = if port.tls.is_asked_for() { "https" } else { "http" };
    print::note(format_args!("serving {scheme}://{}", listener.local_addr()?));
    let ByteSize(bytes) = port.cache.tile_cache;
    let cache = (bytes > 0).then(|| TileCache::new(bytes as u64));
    let reading = Reading { cache: cache.as_ref(), limits: port.reads.limits() };
    let server = builder(app, &app.entries, store, reading);
    let watching = Watching::every(port.watch_interval.to_std());
    let server = match work {
        Some(Work { limits, touched }) => observed(server.watching(watching.told_by(&touched)), Some(limits)),
        None => observed(server.watching(watching), None),
    };
    let server = server.limits(port.limits.limits()).compress(port.compress).cors(port.cors_origin.iter().cloned());
    #[cfg(feature = "tls")]
    let server = match tls {
        Some(tls) => server.tls(tls),
        None => server,
    };
    let server = match access {
        Some(access) => server.access(access),
        None => server,
    };
    let server = if port.exposure.insecure_no_auth { server.any_host() } else { server };
    Ok(start(server, listener, stop))
}

/// Start a server for metrics and health alone. It may be reached by other machines: it says nothing about keys and counts.
pub(super) async fn spawn_observed(
    app: &App,
    entries: &[Entry],
    store: Arc<dyn Store>,
    address: SocketAddr,
    limits: Limits,
    stop: &Stop,
) -> Result<Serving> {
    let listener = bind(address, "--metrics-listen").await?;
    print::note(format_args!("metrics and health at http://{}", listener.local_addr()?));
    let server = observed(builder(app, entries, store, Reading::default()), Some(limits)).without_queries().any_host();
    Ok(start(server, listener, stop))
}

async fn bind(address: SocketAddr, flag: &str) -> Result<TcpListener> {
    TcpListener::bind(address).await.map_err(|error| {
        let context = format!("cannot listen on {address}; choose another address with `{flag}`");
        Error::new(ErrorKind::Unavailable, context).with_source(error)
    })
}

fn start(server: ServerBuilder, listener: TcpListener, stop: &Stop) -> Serving {
    let stop = stop.clone();
    Serving(tokio::spawn(server.serve(listener, async move { stop.asked().await })))
}

/// With what this process shows of itself.
fn observed(server: ServerBuilder, limits: Option<Limits>) -> ServerBuilder {
    let server = match observe::page() {
        Some(metrics) => server.page("/metrics", Prometheus::CONTENT_TYPE, || metrics.page()),
        None => server,
    };
    match limits {
        Some(limits) => server.gate(move |pipeline| limits.exceeded(pipeline)),
        None => server,
    }
}

/// Nothing is answered from tiles that mean something else.
async fn readable(app: &App, store: &Arc<dyn Store>) -> Result<()> {
    for entry in &app.entries {
        match (entry.readable)(store.clone()).await {
            Err(error) if matches!(error.kind(), ErrorKind::Foreign | ErrorKind::Corrupt) => return Err(error),
            // A store that cannot be reached just now, or has no such table yet, is for each answer to say.
            Err(error) => tracing::warn!(%error, "pipeline `{}`", entry.spec.name),
            Ok(()) => {}
        }
    }
    Ok(())
}

/// The same services for callers in this process.
pub(super) async fn in_process(app: &App, store: Arc<dyn Store>) -> Result<InProcess> {
    readable(app, &store).await?;
    builder(app, &app.entries, store, Reading::default()).in_process()
}

fn builder(app: &App, entries: &[Entry], store: Arc<dyn Store>, reading: Reading<'_>) -> ServerBuilder {
    let server = crate::grpc::Server::builder().contracts(app.contracts);
    entries.iter().fold(server, |server, entry| (entry.serve)(server, store.clone(), reading))
}
