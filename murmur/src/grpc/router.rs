//! Which protocol a request speaks, and who answers it.

use std::collections::HashMap;
use std::sync::Arc;

use futures_util::stream::StreamExt;
use http::header::{CACHE_CONTROL, CONTENT_LENGTH};
use http::{HeaderValue, Method as Verb, Request, Response, Version};
use http_body::{Body as _, Frame};
use http_body_util::{BodyStream, StreamBody};
use tokio::time::Instant;
use tonic::body::Body;
use tonic::service::Routes;
use tonic::{Code, Status};
use tower::ServiceExt;

use super::access::standing::Standing;
use super::access::{Access, Caller, Stranger};
use super::cors::{Asked, Cors};
use super::drain::{Drain, Until};
use super::host;
use super::in_process::InProcess;
use super::layer::{PortService, PutInFront};
use super::lifetime::Use;
use super::pages::Pages;
use super::protocol::deadline::Deadline;
use super::protocol::rpc::{self, Reads, Served, split_path};
use super::protocol::{Terms, connect, deadline, frame, native, written};
use super::refusal;
use super::server::OURS;

/// All services of a server.
pub(super) struct Services {
    /// Those that every protocol reaches, by name.
    pub(super) rpcs: HashMap<String, Served>,
    /// Those of tonic, with their methods that take a stream: by gRPC only.
    pub(super) routes: Routes,
    pub(super) terms: Terms,
    pub(super) pages: Pages,
    pub(super) cors: Cors,
    /// Whether it is for this machine alone.
    pub(super) is_local: bool,
    /// Whether there are pipelines: a port of somebody else's services has nothing of ours to add to what it says.
    pub(super) has_pipelines: bool,
}

/// Answers every request of a server, whatever it speaks.
#[derive(Clone)]
pub(super) struct Router {
    services: Arc<Services>,
    /// With what the user has put in front of it.
    layered: Option<PortService>,
}

impl Router {
    /// The outermost of the layers is the last one.
    pub(super) fn new(services: Services, layers: Vec<PutInFront>) -> Self {
        let plain = Self { services: Arc::new(services), layered: None };
        let put = |inner: Option<PortService>, layer: PutInFront| {
            Some(layer(inner.unwrap_or_else(|| PortService::new(InProcess(plain.clone())))))
        };
        Self { layered: layers.into_iter().fold(None, put), ..plain }
    }

    /// Answer a request, within the trace of its caller.
    pub(super) async fn answer(self, request: Request<Body>) -> Response<Body> {
        #[cfg(feature = "otlp")]
        if let Some(trace) = super::trace::of(request.headers()) {
            return opentelemetry::context::FutureExt::with_context(Box::pin(self.through(request)), trace).await;
        }
        self.through(request).await
    }

    /// Answer a request that the layers of the user's own see first.
    async fn through(self, request: Request<Body>) -> Response<Body> {
        match self.layered {
            Some(layered) => {
                let Ok(response) = layered.oneshot(request).await;
                response
            }
            None => self.opened(request).await,
        }
    }

    /// Answer a request, so that a page that may read the answer can.
    async fn opened(self, request: Request<Body>) -> Response<Body> {
        let services = self.services.clone();
        let wants_head = request.method() == Verb::HEAD;
        let page = match services.cors.asked(&request) {
            Asked::Whether(response) => {
                frame::discard(request.into_body()).await;
                return response;
            }
            Asked::By(page) => Some(page),
            Asked::Plainly => None,
        };
        let mut response = self.dispatch(request).await;
        services.cors.open(&mut response, page);
        if wants_head { head(&response) } else { response }
    }

    async fn dispatch(self, request: Request<Body>) -> Response<Body> {
        let Self { services, .. } = self;
        // Whatever kind of call it says that it is: to caches a `GET` is a `GET`.
        let may_be_kept = matches!(*request.method(), Verb::GET | Verb::HEAD);
        let answer = match native::Kind::of(request.headers()) {
            Some(Ok(kind)) if kind.is_native() && request.version() < Version::HTTP_2 => {
                frame::discard(request.into_body()).await;
                native::refuse_version()
            }
            Some(Ok(kind)) => services.grpc(kind, request).await,
            Some(Err(status)) => {
                services.refused(request.uri().path(), Instant::now(), &status);
                frame::discard(request.into_body()).await;
                native::refuse_plainly(&status)
            }
            None => unkept(services.http(request).await),
        };
        if may_be_kept { unkept(answer) } else { answer }
    }
}

impl Services {
    async fn grpc(&self, kind: native::Kind, mut request: Request<Body>) -> Response<Body> {
        let path = request.uri().path().to_owned();
        if let Err(status) = self.admit(&path, &mut request).await {
            frame::discard(request.into_body()).await;
            return native::refuse(kind, &status);
        }
        let Some((service, method)) = split_path(&path) else {
            frame::discard(request.into_body()).await;
            return native::refuse(kind, &self.absent("the path is not `/<service>/<method>`"));
        };
        match self.rpcs.get(service) {
            Some(rpc) if rpc.find(method).is_some() || !kind.is_native() || rpc.is_ours() => {
                native::answer(rpc, method, kind, request, &self.terms).await
            }
            None if !kind.is_native() || !OURS.contains(&service) => {
                frame::discard(request.into_body()).await;
                native::refuse(kind, &self.no_service(service))
            }
            // A stream of requests, or no method that is known: tonic says which.
            _ => {
                let (standing, drain) = (self.standing(&request), self.terms.drain.of(request.extensions()));
                let until = Until { deadline: None, standing, stall: self.terms.limits.stall };
                let began = Instant::now();
                let Ok(response) = self.routes.clone().oneshot(request).await;
                if let Some(status) =
                    Status::from_header_map(response.headers()).filter(|status| status.code() != Code::Ok)
                {
                    rpc::refused(None, began, &status);
                }
                response.map(|body| cut(body, &drain, until))
            }
        }
    }

    /// Let in whoever is known, before anything shows what there is at a path: a stranger gets one answer everywhere, but for health.
    /// Whoever answers finds the [`Caller`] in the extensions, and the deadline that has begun.
    async fn admit(&self, path: &str, request: &mut Request<Body>) -> Result<(), Status> {
        let began = Instant::now();
        self.let_in(path, request).await.map_err(|status| {
            self.refused(path, began, &status);
            refusal::explained(status)
        })
    }

    async fn let_in(&self, path: &str, request: &mut Request<Body>) -> Result<(), Status> {
        if self.is_local {
            host::check(request)?;
        }
        let Some(access) = &self.terms.access else {
            used(request);
            return Ok(());
        };
        let called = split_path(path).and_then(|(service, _)| self.rpcs.get(service));
        if Pages::OPEN.contains(&path) || called.is_some_and(|rpc| rpc.reads() == Reads::Health) {
            self.recognise(access, request).await;
            return Ok(());
        }
        // A body cannot be shared with another thread, so nothing of it is held meanwhile.
        let (headers, extensions) = (request.headers(), request.extensions());
        let deadline = Deadline::of(headers)?;
        let caller = deadline::within(deadline.unary(), access.admit(headers, extensions)).await?;
        request.extensions_mut().insert(deadline);
        request.extensions_mut().insert(caller);
        used(request);
        Ok(())
    }

    /// Measure a request that was refused before anybody has looked at what it calls.
    fn refused(&self, path: &str, began: Instant, status: &Status) {
        let called = split_path(path).and_then(|(service, method)| {
            let rpc = self.rpcs.get(service)?;
            Some((rpc, rpc.find(method)?.0))
        });
        rpc::refused(called, began, status);
    }

    /// Who asks for health, where it is one who is known: more is told to these, and others who ask for it why they are not.
    async fn recognise(&self, access: &Access, request: &mut Request<Body>) {
        let (headers, extensions) = (request.headers(), request.extensions());
        let known = async {
            let deadline = Deadline::of(headers)?;
            deadline::within(deadline.unary(), access.caller(headers, extensions)).await
        };
        match known.await {
            Ok(caller) => {
                request.extensions_mut().insert(caller);
                used(request);
            }
            Err(status) => drop(request.extensions_mut().insert(Stranger(status))),
        }
    }

    /// Of a caller of what belongs to no pipeline.
    fn standing(&self, request: &Request<Body>) -> Option<Standing> {
        let (access, caller) = self.terms.access.as_ref().zip(request.extensions().get::<Caller>())?;
        Some(Standing::new(access, request.headers(), request.extensions(), Reads::Nothing, caller))
    }

    async fn page(&self, path: &str, request: Request<Body>) -> Response<Body> {
        let (head, body) = request.into_parts();
        frame::discard(body).await;
        match head.method {
            Verb::GET | Verb::HEAD => match self.pages.find(path, head.extensions.get()) {
                Some((status, kind, content)) => {
                    connect::respond(status, kind, written::body(content.into(), None, ()))
                }
                None => connect::no_such(&self.no_page(path)),
            },
            _ => connect::not_allowed("GET"),
        }
    }

    /// What is asked for is not there; measured.
    fn absent(&self, what: &str) -> Status {
        let status = rpc::absent(Instant::now(), format!("{what}; `GET /` lists what there is"));
        if self.has_pipelines { refusal::explained(status) } else { status }
    }

    fn no_service(&self, name: &str) -> Status {
        self.absent(&format!("there is no service `{}`", refusal::shown(name)))
    }

    fn no_page(&self, path: &str) -> Status {
        self.absent(&format!("there is nothing at `{}`", refusal::shown(path)))
    }

    /// Connect, and what a browser or an orchestrator asks for.
    async fn http(&self, mut request: Request<Body>) -> Response<Body> {
        let path = request.uri().path().to_owned();
        if let Err(status) = self.admit(&path, &mut request).await {
            let (head, body) = request.into_parts();
            frame::discard(body).await;
            return connect::refuse(&head.headers, &status);
        }
        if self.pages.has(&path) {
            return self.page(&path, request).await;
        }
        let Some((service, method)) = split_path(&path) else {
            frame::discard(request.into_body()).await;
            return connect::no_such(&self.no_page(&path));
        };
        let Some(rpc) = self.rpcs.get(service) else {
            frame::discard(request.into_body()).await;
            return connect::no_such(&self.no_service(service));
        };
        connect::answer(rpc, method, request, &self.terms).await
    }
}

/// The connection of a request serves somebody.
fn used(request: &Request<Body>) {
    request.extensions().get().into_iter().for_each(Use::count);
}

/// An answer that nobody in between keeps, if a service has not said otherwise of its own: a number is that of now, and for one caller.
/// What says nothing of that may be kept for as long as a cache thinks fit.
fn unkept(mut answer: Response<Body>) -> Response<Body> {
    answer.headers_mut().entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    answer
}

/// The answer to `HEAD`: what stands before the body of `GET`, and how long that would be. By HTTP/2 hyper sends what it is given.
fn head(answer: &Response<Body>) -> Response<Body> {
    let mut head = Response::new(Body::empty());
    *head.status_mut() = answer.status();
    *head.headers_mut() = answer.headers().clone();
    if let Some(length) = answer.body().size_hint().exact() {
        head.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(length));
    }
    head
}

/// A body of a stream that goes both ways, to its end, or to that of who may have it.
fn cut(body: Body, drain: &Drain, until: Until) -> Body {
    // An answer of headers alone has to stay one.
    if body.is_end_stream() {
        return body;
    }
    let frames = drain.guard(BodyStream::new(body).boxed(), until);
    let frames =
        frames.map(|frame| Ok::<_, Status>(frame.unwrap_or_else(|status| Frame::trailers(native::trailers(&status)))));
    Body::new(StreamBody::new(frames))
}
