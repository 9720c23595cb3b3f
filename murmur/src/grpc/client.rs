//! The typed client of a pipeline.

use std::marker::PhantomData;
use std::time::Duration;

use futures_util::stream::{self, Stream, StreamExt};
use http::uri::PathAndQuery;
use prost::Message;
use tokio::time::Instant;
use tonic::client::Grpc;
use tonic::transport::Channel;
use tonic::{Code, Request, Status, Streaming};
use tonic_prost::ProstCodec;
use tonic_types::StatusExt;

use super::channel::{self, ClientTls};
use super::client_absence::Absence;
use super::client_token::Token;
use super::contract;
use super::handler::{Reply, service_name};
use super::interval;
use super::messages::*;
use super::status;
use super::truth::complete;
use crate::Result;
use crate::aggregate::Question;
use crate::pipeline::Pipeline;
use crate::query::Edges;
use crate::time::{CalendarUnits, Span, TimeRange, Timestamp};
use crate::wire::types::{ReadOptions, SetOperation};

/// How often a call is sent in all when the server is not available.
const ATTEMPTS: u32 = 4;
/// How long to wait before the second attempt; doubled before each further one.
const PAUSE: Duration = Duration::from_millis(50);
/// A server that wants to be left alone for longer is asked again after that.
const LONGEST_WAIT: Duration = Duration::from_secs(86_400);
/// How long a stream has stood that could go on, though it had no replies: longer than a server waits for its store.
const STOOD: Duration = Duration::from_secs(10);

/// Asks the typed service of a pipeline over gRPC. Clones share the connection.
///
/// Where the build step has seen the pipeline, each call says which contract the client was made from; a server by which its
/// answers could be read as something else refuses it.
///
/// A call is sent again only when the server is not available, or its connection broke: nothing else can be helped by that. It
/// is sent after the time that the server names, if the call may still take so long.
///
/// ```no_run
/// # async fn ask<PageTraffic: murmur::pipeline::Pipeline>(key: PageTraffic::Key) -> murmur::Result<()> {
/// let client = murmur::grpc::Client::<PageTraffic>::connect("http://127.0.0.1:50051").await?;
/// let answer = client.window(key, "7d".parse().expect("a length of time"), None).await?;
/// # Ok(()) }
/// ```
pub struct Client<P> {
    grpc: Grpc<Channel>,
    timeout: Duration,
    absence: Duration,
    options: Option<ReadOptions>,
    token: Option<Token>,
    pipeline: PhantomData<fn() -> P>,
}

impl<P> Clone for Client<P> {
    fn clone(&self) -> Self {
        let Self { grpc, timeout, absence, options, token, .. } = self;
        Self {
            grpc: grpc.clone(),
            timeout: *timeout,
            absence: *absence,
            options: options.clone(),
            token: token.clone(),
            pipeline: PhantomData,
        }
    }
}

impl<P: Pipeline> Client<P> {
    /// Connect to a server, `http://host:port`, or with the feature `tls` `https://host:port`, whose certificate is to be by an
    /// authority that this machine knows.
    pub async fn connect(uri: impl Into<String>) -> Result<Self> {
        Self::connect_by(uri, &ClientTls::default()).await
    }

    /// The same with certificates of one's own, `https://host:port`.
    ///
    /// Errors: [`Denied`](crate::ErrorKind::Denied) when one side does not take the certificate of the other.
    pub async fn connect_by(uri: impl Into<String>, tls: &ClientTls) -> Result<Self> {
        Ok(Self::new(channel::connect(&uri.into(), tls).await?))
    }

    /// Over a channel that exists already.
    pub fn new(channel: Channel) -> Self {
        let (timeout, absence) = (Duration::from_secs(5), Duration::from_secs(30));
        Self { grpc: Grpc::new(channel), timeout, absence, options: None, token: None, pipeline: PhantomData }
    }

    /// The same, with another time that each call may take, all its attempts together, and a stream until the server begins
    /// to answer; 5 seconds by default.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// The same, whose streams ask for a server that is away for so long before they end; 30 seconds by default.
    #[must_use]
    pub fn absence(mut self, absence: Duration) -> Self {
        self.absence = absence;
        self
    }

    /// The same, showing this token with each call.
    #[must_use]
    pub fn token(mut self, token: Token) -> Self {
        self.token = Some(token);
        self
    }

    /// The same, reading the store strongly: everything acknowledged before a call is seen.
    #[must_use]
    pub fn strong(mut self) -> Self {
        self.options.get_or_insert_default().strong = true;
        self
    }

    /// The same, with a question to the estimates in its answers. Its instant is set by the server.
    #[must_use]
    pub fn asking(mut self, question: Question) -> Self {
        self.options.get_or_insert_default().question = Some(question.into());
        self
    }

    /// The same with intervals cut at these edges. A calendar has edges of its own.
    #[must_use]
    pub fn edges(mut self, edges: Edges) -> Self {
        self.options.get_or_insert_default().edges = edges.into();
        self
    }

    /// The same, with what was read for an answer in its [`explanation`](crate::wire::types::Answer::explanation).
    #[must_use]
    pub fn explaining(mut self) -> Self {
        self.options.get_or_insert_default().explain = true;
        self
    }

    /// The value as it stands now: over the length of a sliding window up to now, cut at slots; over all tumbling
    /// windows that are kept, up to the current one; without a window over all events ever.
    pub async fn get(&self, key: P::Key) -> Result<ValueResponse<Reply<P>>> {
        self.call("Get", GetRequest { key: Some(key), options: self.options.clone() }).await
    }

    /// As [`get`](Self::get), for many keys; entries come in the order of the keys.
    pub async fn get_many(&self, keys: Vec<P::Key>) -> Result<Vec<Entry<P::Key, Reply<P>>>> {
        let options = self.options.clone();
        self.entries("GetMany", GetManyRequest { keys, options }).await
    }

    /// The value over the last `window` before `end`, which is now when `None`.
    pub async fn window(&self, key: P::Key, window: Span, end: Option<Timestamp>) -> Result<ValueResponse<Reply<P>>> {
        let options = self.options.clone();
        let (key, window) = (Some(key), Some(window));
        self.call("GetWindow", GetWindowRequest { key, window, end, options, calendar: None }).await
    }

    /// As [`window`](Self::window), for many keys; entries come in the order of the keys.
    pub async fn window_many(
        &self,
        keys: Vec<P::Key>,
        window: Span,
        end: Option<Timestamp>,
    ) -> Result<Vec<Entry<P::Key, Reply<P>>>> {
        let options = self.options.clone();
        let window = Some(window);
        self.entries("GetWindowMany", GetWindowManyRequest { keys, window, end, options, calendar: None }).await
    }

    /// The value over the last days, weeks or months of a time zone up to `end`, which is now when `None`: the current
    /// one as the last of them, or, if `whole`, only those that are over.
    pub async fn calendar(
        &self,
        key: P::Key,
        units: CalendarUnits,
        whole: bool,
        end: Option<Timestamp>,
    ) -> Result<ValueResponse<Reply<P>>> {
        let (calendar, options) = (Some(interval::calendar(units, whole)), self.options.clone());
        self.call("GetWindow", GetWindowRequest { key: Some(key), window: None, end, options, calendar }).await
    }

    /// As [`calendar`](Self::calendar), for many keys; entries come in the order of the keys.
    pub async fn calendar_many(
        &self,
        keys: Vec<P::Key>,
        units: CalendarUnits,
        whole: bool,
        end: Option<Timestamp>,
    ) -> Result<Vec<Entry<P::Key, Reply<P>>>> {
        let (calendar, options) = (Some(interval::calendar(units, whole)), self.options.clone());
        self.entries("GetWindowMany", GetWindowManyRequest { keys, window: None, end, options, calendar }).await
    }

    /// The value over `range`.
    pub async fn range(&self, key: P::Key, range: TimeRange) -> Result<ValueResponse<Reply<P>>> {
        let (start, end, options) = (Some(range.start), Some(range.end), self.options.clone());
        self.call("GetRange", GetRangeRequest { key: Some(key), start, end, options }).await
    }

    /// As [`range`](Self::range), for many keys; entries come in the order of the keys.
    pub async fn range_many(&self, keys: Vec<P::Key>, range: TimeRange) -> Result<Vec<Entry<P::Key, Reply<P>>>> {
        let (start, end, options) = (Some(range.start), Some(range.end), self.options.clone());
        self.entries("GetRangeMany", GetRangeManyRequest { keys, start, end, options }).await
    }

    /// One value per `step` (the slot when `None`) over `[start, end)`; `end` is now when `None`.
    pub async fn series(
        &self,
        key: P::Key,
        start: Timestamp,
        end: Option<Timestamp>,
        step: Option<Span>,
    ) -> Result<SeriesResponse<Reply<P>>> {
        let options = self.options.clone();
        let (key, start) = (Some(key), Some(start));
        let request = SeriesRequest { key, start, end, step, options, calendar: None, calendar_step: None };
        self.call("Series", request).await
    }

    /// As [`calendar`](Self::calendar), with one value per `step`, which is one of the units when `None`.
    pub async fn calendar_series(
        &self,
        key: P::Key,
        units: CalendarUnits,
        whole: bool,
        end: Option<Timestamp>,
        step: Option<CalendarUnits>,
    ) -> Result<SeriesResponse<Reply<P>>> {
        let (calendar, calendar_step) = (Some(interval::calendar(units, whole)), step.map(interval::calendar_step));
        let (key, options) = (Some(key), self.options.clone());
        self.call("Series", SeriesRequest { key, start: None, end, step: None, options, calendar, calendar_step }).await
    }

    /// The union, intersection or difference of the sets that a `DistinctSet` holds of several keys and stretches of time,
    /// with bounds. `field` says which field of the value; it may be empty where there is one only.
    pub async fn combine_sets(
        &self,
        sets: Vec<SetOperand<P::Key>>,
        operation: SetOperation,
        field: impl Into<String>,
    ) -> Result<CombineSetsResponse> {
        let (field, options) = (field.into(), self.options.clone());
        let mut response: CombineSetsResponse =
            self.call("CombineSets", CombineSetsRequest { sets, operation, field, options }).await?;
        complete(response.answers.iter_mut());
        Ok(response)
    }

    /// The value over the last `window` (as [`get`](Self::get) when `None`), and again whenever it changes.
    ///
    /// When the server stops, or the connection breaks, the stream goes on where it stood at a server that is there: it
    /// asks for one for 30 seconds, or as long as [`absence`](Self::absence) says, with pauses of up to 2. Then, and with
    /// every other error, it ends with that error.
    pub async fn watch(
        &self,
        key: P::Key,
        window: Option<Span>,
    ) -> Result<impl Stream<Item = Result<WatchResponse<Reply<P>>>> + Send + use<P>> {
        self.watch_by(WatchRequest { key: Some(key), window, options: self.options.clone(), ..WatchRequest::default() })
            .await
    }

    /// The same by a request of one's own: by a calendar, or resumed from an earlier stream.
    pub async fn watch_by(
        &self,
        request: WatchRequest<P::Key>,
    ) -> Result<impl Stream<Item = Result<WatchResponse<Reply<P>>>> + Send + use<P>> {
        Replies::begin(self, "Watch", request, |request, reply: &mut WatchResponse<Reply<P>>| {
            request.resume.clone_from(&reply.resume);
        })
        .await
    }

    /// As [`watch`](Self::watch), for many keys: first the entries of all of them, in the order of the keys, then each
    /// time those that have changed.
    pub async fn watch_many(
        &self,
        keys: Vec<P::Key>,
        window: Option<Span>,
    ) -> Result<impl Stream<Item = Result<WatchManyResponse<P::Key, Reply<P>>>> + Send + use<P>> {
        let options = self.options.clone();
        self.watch_many_by(WatchManyRequest { keys, window, options, ..WatchManyRequest::default() }).await
    }

    /// The same by a request of one's own: by a calendar, or resumed from an earlier stream.
    pub async fn watch_many_by(
        &self,
        request: WatchManyRequest<P::Key>,
    ) -> Result<impl Stream<Item = Result<WatchManyResponse<P::Key, Reply<P>>>> + Send + use<P>> {
        Replies::begin(self, "WatchMany", request, |request, reply: &mut WatchManyResponse<P::Key, Reply<P>>| {
            request.resume.clone_from(&reply.resume);
            complete(reply.entries.iter_mut().filter_map(|entry| entry.answer.as_mut()));
        })
        .await
    }

    async fn entries<M>(&self, method: &str, request: M) -> Result<Vec<Entry<P::Key, Reply<P>>>>
    where
        M: Message + Clone + 'static,
    {
        let mut response: EntriesResponse<P::Key, Reply<P>> = self.call(method, request).await?;
        complete(response.entries.iter_mut().filter_map(|entry| entry.answer.as_mut()));
        Ok(response.entries)
    }

    async fn call<M, R>(&self, method: &str, message: M) -> Result<R>
    where
        M: Message + Clone + 'static,
        R: Message + Default + 'static,
    {
        self.retrying(|mut grpc, left| {
            let (mut request, path) = (self.request(message.clone()), path::<P>(method));
            async move {
                request.set_timeout(left);
                ready(&mut grpc).await?;
                grpc.unary(request, path?, codec()).await
            }
        })
        .await
    }

    fn request<M>(&self, message: M) -> Request<M> {
        let mut request = Request::new(message);
        if let Some(said) = P::CONTRACT.and_then(|said| said.parse().ok()) {
            request.metadata_mut().insert(contract::HEADER, said);
        }
        if let Some(token) = &self.token {
            token.add(&mut request);
        }
        request
    }

    /// Call, and again while the server is not available and there is time.
    async fn retrying<T, F>(&self, call: impl Fn(Grpc<Channel>, Duration) -> F) -> Result<T>
    where
        F: Future<Output = Result<tonic::Response<T>, Status>>,
    {
        let deadline = Instant::now() + self.timeout;
        let mut pause = PAUSE;
        let mut attempt = 1;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            // The server keeps the deadline too, if it can be reached at all.
            let answer = tokio::time::timeout(left, call(self.grpc.clone(), left)).await;
            let status = match answer.unwrap_or_else(|_| Err(super::protocol::deadline::passed())) {
                Ok(response) => return Ok(response.into_inner()),
                Err(status) => status,
            };
            let wait = pause + retry_after(&status);
            let late = wait >= deadline.saturating_duration_since(Instant::now());
            if !is_away(&status) || attempt >= ATTEMPTS || late {
                return Err(status::error(status));
            }
            tokio::time::sleep(wait).await;
            pause *= 2;
            attempt += 1;
        }
    }
}

/// The replies of a stream that is resumed.
struct Replies<P, M, R> {
    client: Client<P>,
    method: &'static str,
    /// With what the last reply says of where the stream stands.
    request: M,
    /// Puts that into it, and completes the reply.
    take: fn(&mut M, &mut R),
    /// None while no server answers.
    replies: Option<Streaming<R>>,
    began: Instant,
    absence: Absence,
}

impl<P, M, R> Replies<P, M, R>
where
    P: Pipeline,
    M: Message + Clone + 'static,
    R: Message + Default + 'static,
{
    async fn begin(
        client: &Client<P>,
        method: &'static str,
        request: M,
        take: fn(&mut M, &mut R),
    ) -> Result<impl Stream<Item = Result<R>> + Send + use<P, M, R>> {
        let opened = client.retrying(|grpc, _| Self::open(client, grpc, method, &request)).await?;
        let (client, replies, began) = (client.clone(), Some(opened), Instant::now());
        let absence = Absence::of_at_most(client.absence);
        let replies = Self { client, method, request, take, replies, began, absence };
        Ok(stream::unfold(Some(replies), |replies| async move {
            let mut replies = replies?;
            let next = replies.next().await?;
            let rest = next.is_ok().then_some(replies);
            Some((next, rest))
        }))
    }

    fn open(
        client: &Client<P>,
        mut grpc: Grpc<Channel>,
        method: &str,
        request: &M,
    ) -> impl Future<Output = Result<tonic::Response<Streaming<R>>, Status>> + use<P, M, R> {
        let (request, path) = (client.request(request.clone()), path::<P>(method));
        async move {
            ready(&mut grpc).await?;
            grpc.server_streaming(request, path?, codec()).await
        }
    }

    async fn next(&mut self) -> Option<Result<R>> {
        loop {
            let status = match &mut self.replies {
                Some(replies) => match replies.next().await? {
                    Ok(mut reply) => {
                        (self.take)(&mut self.request, &mut reply);
                        self.absence.ends();
                        return Some(Ok(reply));
                    }
                    Err(status) => {
                        // Where nothing changes there are no replies.
                        if self.began.elapsed() > STOOD {
                            self.absence.ends();
                        }
                        status
                    }
                },
                None => match self.open_again().await {
                    Ok(replies) => {
                        (self.replies, self.began) = (Some(replies), Instant::now());
                        continue;
                    }
                    Err(status) => status,
                },
            };
            self.replies = None;
            match self.absence.pause(retry_after(&status)) {
                Some(pause) if is_away(&status) => tokio::time::sleep(pause).await,
                _ => return Some(Err(status::error(status))),
            }
        }
    }

    async fn open_again(&self) -> Result<Streaming<R>, Status> {
        let opening = Self::open(&self.client, self.client.grpc.clone(), self.method, &self.request);
        let opened = tokio::time::timeout(self.client.timeout, opening).await;
        Ok(opened.unwrap_or_else(|_| Err(Status::unavailable("the server does not begin to answer")))?.into_inner())
    }
}

/// Whether sending the call again can help.
fn is_away(status: &Status) -> bool {
    status.code() == Code::Unavailable || channel::broken(status).is_some()
}

/// How long a server wants to be left alone, and is; none where it has not said so.
fn retry_after(status: &Status) -> Duration {
    status.get_details_retry_info().and_then(|info| info.retry_delay).unwrap_or_default().min(LONGEST_WAIT)
}

fn codec<M, R>() -> ProstCodec<M, R> {
    ProstCodec::default()
}

async fn ready(grpc: &mut Grpc<Channel>) -> Result<(), Status> {
    grpc.ready().await.map_err(|error| channel::away(&error))
}

fn path<P: Pipeline>(method: &str) -> Result<PathAndQuery, Status> {
    let path = format!("/{}/{method}", service_name(&P::SPEC));
    path.parse().map_err(|_| Status::internal(format!("`{path}` is not a path")))
}

#[cfg(test)]
mod tests;
