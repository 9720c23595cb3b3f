//! The server: one port, all pipelines, all protocols.

use std::collections::HashMap;
use std::convert::Infallible;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use prost::Message;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tonic::body::Body;
use tonic::server::NamedService;
use tonic::service::Routes;

#[cfg(feature = "tls")]
use super::Tls;
use super::Watching;
use super::access::Access;
use super::contract::{Contracts, Guards};
use super::cors::{Cors, Origin};
use super::drain::Drain;
use super::handler::{AnyPipeline, Handler};
use super::health::{Gate, Health, Readiness};
use super::host::{Exposure, is_loopback};
use super::hosted::Hosted;
use super::in_process::InProcess;
use super::layer::PutInFront;
use super::limits::Limits;
use super::pages::{Listing, Page, Pages};
use super::port::Port;
use super::probe::Probe;
use super::protocol::Terms;
use super::protocol::codec::Transcoder;
use super::protocol::compression::Compress;
use super::protocol::place::Places;
use super::protocol::rpc::{Rpc, Served};
use super::query_service::QueryService;
use super::router::{Router, Services};
use super::watch::Shared;
use crate::pipeline::Pipeline;
use crate::query::Reader;
use crate::{Error, ErrorKind, Result};

/// Serves the typed query services of pipelines.
///
/// ```no_run
/// # async fn serve<P: murmur::pipeline::Pipeline>(
/// #     reader: murmur::query::Reader<P>, descriptor: &[u8], stop: impl Future<Output = ()>,
/// # ) -> murmur::Result<()> {
/// let listener = tokio::net::TcpListener::bind(murmur::grpc::Server::LOOPBACK).await?;
/// murmur::grpc::Server::builder().pipeline(reader).descriptor(descriptor).serve(listener, stop).await
/// # }
/// ```
#[derive(Debug)]
pub struct Server;

impl Server {
    /// Where a server listens when nobody said otherwise: this machine alone can reach it.
    pub const LOOPBACK: &str = "127.0.0.1:50051";

    /// A server without pipelines yet.
    pub fn builder() -> ServerBuilder {
        ServerBuilder {
            pipelines: Vec::new(),
            descriptors: Vec::new(),
            watching: Watching::default(),
            health_every: Duration::from_secs(5),
            gate: Box::new(|_| None),
            pages: Vec::new(),
            without_queries: false,
            hosted: Vec::new(),
            routes: Routes::default(),
            limits: Limits::default(),
            compress: Compress::default(),
            cors: Cors::default(),
            #[cfg(feature = "tls")]
            tls: None,
            guards: Guards::default(),
            access: None,
            any_host: false,
            is_local: false,
            layers: Vec::new(),
        }
    }
}

/// A pipeline that waits to be told how its keys are watched.
type MakePipeline = Box<dyn FnOnce(Shared) -> Arc<dyn AnyPipeline> + Send>;

/// Makes a [`Server`].
pub struct ServerBuilder {
    pipelines: Vec<MakePipeline>,
    descriptors: Vec<Vec<u8>>,
    watching: Watching,
    health_every: Duration,
    gate: Gate,
    pages: Vec<Page>,
    without_queries: bool,
    /// Names of services of tonic, which are in the routes.
    hosted: Vec<&'static str>,
    routes: Routes,
    pub(super) limits: Limits,
    compress: Compress,
    cors: Cors,
    #[cfg(feature = "tls")]
    tls: Option<Tls>,
    guards: Guards,
    access: Option<Access>,
    any_host: bool,
    /// Whether it is for this machine alone, which its address says.
    is_local: bool,
    /// In front of all of it, the outermost last.
    pub(super) layers: Vec<PutInFront>,
}

impl ServerBuilder {
    /// Answer for a pipeline.
    #[must_use]
    pub fn pipeline<P: Pipeline>(mut self, reader: Reader<P>) -> Self {
        self.pipelines.push(Box::new(|shared| Arc::new(Handler::new(reader, shared))));
        self
    }

    /// An encoded `FileDescriptorSet` that describes the services: `murmur_build::run` makes it. May be called for
    /// each of several crates.
    #[must_use]
    pub fn descriptor(mut self, encoded: &[u8]) -> Self {
        self.descriptors.push(encoded.to_vec());
        self
    }

    /// What the build step made of a package: its [`descriptor`](Self::descriptor), and whose clients its services answer, by the
    /// lock ([`contract`](Self::contract)).
    ///
    /// ```text
    /// Server::builder().contracts(include!(concat!(env!("OUT_DIR"), "/murmur/contracts.rs"))).pipeline(reader)
    /// ```
    #[must_use]
    pub fn contracts(self, made: impl Into<Contracts>) -> Self {
        let Contracts { descriptor, revision, served, .. } = made.into();
        let server = self.descriptor(descriptor);
        served.iter().fold(server, |server, (service, known)| server.contract(service, revision, known))
    }

    /// Serve a service of tonic beside the pipelines, in every protocol; [`descriptor`](Self::descriptor) has to be called
    /// with what describes it. Its calls have the deadlines of all others: with one reply 5 seconds when the caller does not
    /// ask for more, and 30 at most; `grpc-timeout` tells it what is left of what the caller asked for. What it puts into the extensions of
    /// a response as [`Trailers`](super::Trailers) stands behind the reply. Over Connect and plain HTTP its answers say
    /// that nobody may keep them, unless they have a `cache-control` of their own. Methods that take a stream of messages are
    /// called by gRPC only, and go by the service's own limits.
    #[must_use]
    pub fn service<S>(mut self, service: S) -> Self
    where
        S: tower::Service<http::Request<Body>, Error = Infallible> + NamedService + Clone + Send + Sync + 'static,
        S::Response: axum::response::IntoResponse,
        S::Future: Send + 'static,
    {
        // Twice is an error when it is served; two of one name have no routes.
        if !self.hosted.contains(&S::NAME) && !OURS.contains(&S::NAME) {
            self.routes = self.routes.add_service(service);
        }
        self.hosted.push(S::NAME);
        self
    }

    /// Let pages of these origins ask, by a browser; none by default, so that only what the server's own origin has sent can. Who asks by
    /// anything else than a browser is not kept out by it.
    #[must_use]
    pub fn cors(mut self, origins: impl IntoIterator<Item = Origin>) -> Self {
        self.cors = Cors(origins.into_iter().collect());
        self
    }

    /// Whether replies are compressed for callers who understand that; from 1 KiB on by default.
    #[must_use]
    pub fn compress(mut self, compress: Compress) -> Self {
        self.compress = compress;
        self
    }

    /// Speak TLS on the port, and nothing else. Without a port ([`in_process`](Self::in_process)) it says nothing.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn tls(mut self, tls: Tls) -> Self {
        self.tls = Some(tls);
        self
    }

    /// Refuse calls of a service from clients that were made from another contract than these: their fingerprints, as
    /// `proto/murmur.lock` lists them, and the revision of Murmur's own messages. A client of `cargo murmur clients` says
    /// which one it is made from in the header `murmur-contract`; who says none is answered. [`contracts`](Self::contracts) does it for all
    /// services of a package; without either, every client is answered.
    #[must_use]
    pub fn contract(mut self, service: &str, revision: u32, fingerprints: &[&str]) -> Self {
        self.guards.add(service, revision, fingerprints);
        self
    }

    /// Who may ask what; without it, everybody may ask everything. The health of the server as a whole (`/healthz`, `/readyz` without
    /// reasons, `grpc.health.v1` without a service) is for everybody all the same.
    #[must_use]
    pub fn access(mut self, access: Access) -> Self {
        self.access = Some(access);
        self
    }

    /// Answer whatever name the server is called by. Without it, a server that [listens](Self::serve) on a loopback address and knows
    /// nobody ([`access`](Self::access), certificates of clients) has to be called `localhost` or by an address, and refuses all else
    /// with `PERMISSION_DENIED`: a page in a browser of this machine can have its own name lead here, and would read what it likes. Say
    /// this where something on the machine passes requests on with the names of others, and keeps strangers out.
    #[must_use]
    pub fn any_host(mut self) -> Self {
        self.any_host = true;
        self
    }

    /// Whom it is opened to, as far as this says.
    fn exposure(&self) -> Exposure {
        #[cfg(feature = "tls")]
        let by_certificates = self.tls.as_ref().is_some_and(|tls| tls.knows_callers);
        #[cfg(not(feature = "tls"))]
        let by_certificates = false;
        Exposure { knows_callers: self.access.is_some() || by_certificates, any_host: self.any_host }
    }

    /// When watched keys are looked at again; each second by default.
    #[must_use]
    pub fn watching(mut self, watching: Watching) -> Self {
        self.watching = watching;
        self
    }

    /// How often the health of the stores is looked at; every 5 seconds by default.
    #[must_use]
    pub fn health_every(mut self, every: Duration) -> Self {
        self.health_every = every;
        self
    }

    /// What else can keep a pipeline, by its name, from serving: the reason in words, `None` when nothing does. Asked as
    /// often as the stores are looked at.
    #[must_use]
    pub fn gate(mut self, gate: impl Fn(&str) -> Option<String> + Send + Sync + 'static) -> Self {
        self.gate = Box::new(gate);
        self
    }

    /// One more page for a plain `GET`: its path, its content type, its content.
    #[must_use]
    pub fn page(
        mut self,
        path: &'static str,
        kind: &'static str,
        content: impl Fn() -> String + Send + Sync + 'static,
    ) -> Self {
        self.pages.push(Page { path, kind, content: Box::new(content) });
        self
    }

    /// Health and pages only: the pipelines are looked at, and nothing can be asked about them.
    #[must_use]
    pub fn without_queries(mut self) -> Self {
        self.without_queries = true;
        self
    }

    /// Serve until `stop` completes: then calls with one reply finish, streams end with `UNAVAILABLE`, and new
    /// connections are not taken. On a loopback address it answers to names of this machine only, unless
    /// [callers are known](Self::access) or [any name will do](Self::any_host).
    ///
    /// Errors: [`Configuration`](ErrorKind::Configuration) when the descriptors do not describe every pipeline and service, or
    /// two of these have one name.
    pub async fn serve(mut self, listener: TcpListener, stop: impl Future<Output = ()>) -> Result<()> {
        let (stopping, seen) = watch::channel(false);
        self.is_local = self.exposure().is_local() && is_loopback(listener.local_addr()?);
        #[cfg(feature = "tls")]
        let port = Arc::new(Port::new(self.limits, self.tls.take()));
        #[cfg(not(feature = "tls"))]
        let port = Arc::new(Port::new(self.limits));
        let access = self.access.clone();
        let (router, health) = self.build(Drain::new(seen.clone()))?;
        health.look().await;
        // Nothing is sent: it is over when the last connection has dropped its end.
        let (held, mut connections) = mpsc::channel::<Infallible>(1);
        {
            let mut stop = pin!(stop);
            let mut watch = pin!(async { tokio::join!(health.watch(), port.watch(), kept(access.as_ref())) });
            loop {
                tokio::select! {
                    biased;
                    () = &mut stop => break,
                    _ = &mut watch => {}
                    (socket, place) = port.accept(&listener) => {
                        let (port, router, seen) = (port.clone(), router.clone(), seen.clone());
                        let held = held.clone();
                        tokio::spawn(async move {
                            let _place = (place, held);
                            port.serve(socket, router, seen).await;
                        });
                    }
                }
            }
        }
        drop(listener);
        health.stop().await;
        stopping.send_replace(true);
        drop(held);
        connections.recv().await;
        Ok(())
    }

    /// The services without a socket, for callers in this process. A file of who may ask what is read once.
    ///
    /// Errors as those of [`serve`](Self::serve).
    pub fn in_process(self) -> Result<InProcess> {
        let (router, _) = self.build(Drain::never())?;
        Ok(InProcess(router))
    }

    /// The services for a server of one's own, until `stop` completes: health looks at the stores meanwhile, and streams end then
    /// with `UNAVAILABLE`. Has to be called within a runtime of tokio.
    ///
    /// What is of a request holds as on a port: [`access`](Self::access), [`cors`](Self::cors), [`compress`](Self::compress),
    /// [`layer`](Self::layer), [`max_request`](Self::max_request), [`max_calls`](Self::max_calls), what is watched, how long a stream
    /// stands, and deadlines. What is of a connection is left to the server that holds it:
    ///
    /// | | of a port | here |
    /// |---|---|---|
    /// | size of headers | [`max_headers`](Self::max_headers), 16 KiB | what `hyper` reads |
    /// | streams of a connection | [`max_streams`](Self::max_streams), 256 | what `hyper` allows |
    /// | connections, their age and idleness | 1,024; [`max_connection_age`](Self::max_connection_age), [`max_connection_idle`](Self::max_connection_idle) | as many and as old as they come |
    /// | clients that say nothing | 10 seconds for the beginning and for headers, and pings | none |
    /// | TLS, and certificates of clients | `Tls` (feature `tls`) | none; what stands in front of it |
    /// | names that it is called by | on loopback those of this machine ([`any_host`](Self::any_host)) | any: a page that leads its own name here may ask |
    ///
    /// ```no_run
    /// # async fn serve<P: murmur::pipeline::Pipeline>(
    /// #     reader: murmur::query::Reader<P>, descriptor: &[u8],
    /// # ) -> Result<(), Box<dyn std::error::Error>> {
    /// let services = murmur::grpc::Server::builder().pipeline(reader).descriptor(descriptor);
    /// let services = services.mount(std::future::pending())?;
    /// let app = axum::Router::new()
    ///     .route("/mine", axum::routing::get(|| async { "a page of my own" }))
    ///     .fallback_service(services);
    /// axum::serve(tokio::net::TcpListener::bind("127.0.0.1:8080").await?, app).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// gRPC comes by HTTP/2, for which `axum` needs its feature `http2`. Below a path of their own, `nest_service("/counts", services)`,
    /// callers have to know of it: Connect and plain HTTP can, and so can gRPC clients that take a prefix.
    ///
    /// Errors as those of [`serve`](Self::serve).
    pub fn mount(self, stop: impl Future<Output = ()> + Send + 'static) -> Result<InProcess> {
        let (stopping, seen) = watch::channel(false);
        let access = self.access.clone();
        let (router, health) = self.build(Drain::new(seen))?;
        tokio::spawn(async move {
            health.look().await;
            tokio::select! {
                () = stop => {}
                _ = async { tokio::join!(health.watch(), kept(access.as_ref())) } => {}
            }
            health.stop().await;
            stopping.send_replace(true);
        });
        Ok(InProcess(router))
    }

    /// Everything but the sockets.
    pub(super) fn build(self, drain: Drain) -> Result<(Router, Health)> {
        let shared = Shared::new(self.watching, &self.limits, drain.clone());
        let pipelines: Vec<_> = self.pipelines.into_iter().map(|make| make(shared.clone())).collect();
        let health_descriptor = tonic_health::pb::FILE_DESCRIPTOR_SET;
        let descriptors = self.descriptors.iter().map(Vec::as_slice).chain([health_descriptor]);
        let transcoder = Transcoder::new(descriptors)?;
        if let Some(access) = &self.access {
            access.serves(&pipelines.iter().map(|pipeline| pipeline.info().name).collect::<Vec<_>>());
        }
        let served = if self.without_queries { Vec::new() } else { pipelines.clone() };
        let generic = (!served.is_empty()).then(|| QueryService { pipelines: served.clone() });
        let mut rpcs: HashMap<String, Served> = HashMap::new();
        let generic = generic.map(|generic| Arc::new(generic) as Arc<dyn Rpc>);
        for rpc in served.iter().map(|pipeline| pipeline.clone() as Arc<dyn Rpc>).chain(generic) {
            transcoder.check(rpc.name(), rpc.methods())?;
            if let Some(other) = rpcs.insert(rpc.name().to_owned(), Served::new(self.guards.guard(rpc))) {
                let what = format!("two pipelines have the service `{}`; rename one of them", other.name());
                return Err(Error::new(ErrorKind::Configuration, what));
            }
        }
        let (reporter, health) = tonic_health::server::health_reporter();
        let names = rpcs.keys().map(String::as_str).chain(self.hosted.iter().copied());
        // Where nothing can be asked, nothing is told of what could be.
        let described = if self.without_queries { &[][..] } else { &self.descriptors };
        let routes = reflection(self.routes.add_service(health), described, names)?;
        let (readiness, looked) = watch::channel(Readiness::unknown());
        let (listing, knows_callers) = (Listing::of(&served, &rpcs), self.access.is_some());
        let pages = Pages { listing, readiness: looked, others: self.pages, knows_callers };
        for name in self.hosted.into_iter().chain([HEALTH]) {
            let Some(methods) = transcoder.methods(name) else {
                let what = format!("no descriptor set describes the service `{name}`; give the server one that does");
                return Err(Error::new(ErrorKind::Configuration, what));
            };
            let hosted = Hosted { name: name.to_owned(), methods, routes: routes.clone() };
            let hosted: Arc<dyn Rpc> = if name == HEALTH && knows_callers {
                let names = pipelines.iter().map(|pipeline| (pipeline.name().to_owned(), pipeline.info().name));
                Arc::new(Probe { health: hosted, pipelines: names.collect() })
            } else {
                Arc::new(hosted)
            };
            let other = rpcs.insert(name.to_owned(), Served::new(hosted));
            if other.is_some() || (name != HEALTH && OURS.contains(&name)) {
                let what = format!("there are two services `{name}`; leave one of them out");
                return Err(Error::new(ErrorKind::Configuration, what));
            }
        }
        let (limits, compress) = (self.limits, self.compress);
        let places = Some(Places::new(limits.calls));
        let terms = Terms { transcoder: Some(transcoder), drain, access: self.access, limits, compress, places };
        let has_pipelines = !pipelines.is_empty();
        let services = Services { rpcs, routes, terms, pages, cors: self.cors, is_local: self.is_local, has_pipelines };
        let router = Router::new(services, self.layers);
        Ok((router, Health { reporter, pipelines, gate: self.gate, every: self.health_every, readiness }))
    }
}

/// What goes on for the sake of its callers; it never ends.
async fn kept(access: Option<&Access>) {
    match access {
        Some(access) => access.keep().await,
        None => std::future::pending().await,
    }
}

/// Name of the service of health.
pub(super) const HEALTH: &str = "grpc.health.v1.Health";
/// Services of tonic that every server has.
pub(super) const OURS: [&str; 3] =
    [HEALTH, "grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection"];

/// Add reflection, in both its versions.
fn reflection<'a>(routes: Routes, descriptors: &[Vec<u8>], services: impl Iterator<Item = &'a str>) -> Result<Routes> {
    let broken = |error: &dyn std::fmt::Display| {
        Error::new(ErrorKind::Configuration, format!("the descriptor sets do not make a reflection service: {error}"))
    };
    let mut builder = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET);
    let mut alpha = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET);
    // Whoever reads an error by reflection alone can read its details.
    let details = tonic_types::pb::FILE_DESCRIPTOR_SET;
    for encoded in descriptors.iter().map(Vec::as_slice).chain([details]) {
        let set = prost_types::FileDescriptorSet::decode(encoded).map_err(|error| broken(&error))?;
        builder = builder.register_file_descriptor_set(set.clone());
        alpha = alpha.register_file_descriptor_set(set);
    }
    let mut names: Vec<&str> = services.chain([HEALTH]).collect();
    names.sort_unstable();
    for name in names {
        builder = builder.with_service_name(name);
        alpha = alpha.with_service_name(name);
    }
    let v1 = builder.with_service_name("grpc.reflection.v1.ServerReflection").build_v1();
    let v1alpha = alpha.with_service_name("grpc.reflection.v1alpha.ServerReflection").build_v1alpha();
    Ok(routes
        .add_service(v1.map_err(|error| broken(&error))?)
        .add_service(v1alpha.map_err(|error| broken(&error))?)
        .prepare())
}
