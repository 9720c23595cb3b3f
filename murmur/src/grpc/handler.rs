//! The methods of a pipeline's service, from message to message.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::{BoxFuture, FutureExt};
use futures_util::stream::{StreamExt, TryStreamExt};
use http::HeaderMap;
use prost::Message;
use tonic::Status;

use super::access::Caller;
use super::entries;
use super::interval::{self, set};
use super::messages::*;
use super::protocol::rpc::{Call, MAX_REPLY, Method, Part, Reads, Replies, Reply as Answered, Rpc, decode};
use super::refusal::{self, Reason};
use super::status;
use super::truth::Truths;
use super::watch::{self, How, Hub, Shared};
use crate::aggregate::Monoid;
use crate::key::Key;
use crate::pipeline::{Pipeline, Spec};
use crate::query::{self, Ask, Reader};
use crate::store::Consistency;
use crate::wire::WireField;
use crate::wire::types::{Answer, ReadOptions};

/// What a pipeline answers.
pub(super) type Reply<P> = <<P as Pipeline>::Aggregate as Monoid>::Reply;

/// A pipeline's service over its reader.
pub(super) struct Handler<P: Pipeline> {
    name: String,
    reader: Reader<P>,
    hub: Arc<Hub<P>>,
}

/// What tools and the health of a server need of any pipeline.
pub(super) trait AnyPipeline: Rpc {
    fn info(&self) -> PipelineInfo;

    /// Answer a question of the generic service.
    fn query(&self, request: QueryRequest) -> BoxFuture<'_, Result<QueryResponse, Status>>;

    /// Whether its store can be reached.
    fn check(&self) -> BoxFuture<'_, crate::Result<()>>;
}

/// Full name of a pipeline's service.
pub(super) fn service_name(spec: &Spec) -> String {
    format!("{}.{}", spec.package, spec.service)
}

const METHODS: &[Method] = &[
    Method::unary("Get"),
    Method::unary("GetMany"),
    Method::unary("GetWindow"),
    Method::unary("GetWindowMany"),
    Method::unary("GetRange"),
    Method::unary("GetRangeMany"),
    Method::unary("Series"),
    Method::unary("CombineSets"),
    Method::streaming("Watch"),
    Method::streaming("WatchMany"),
];

impl<P: Pipeline> Handler<P> {
    pub(super) fn new(reader: Reader<P>, shared: Shared) -> Self {
        let hub = Hub::new(&reader, shared);
        Self { name: service_name(&P::SPEC), reader, hub }
    }

    async fn call(&self, at: usize, request: Bytes) -> Result<Answered, Status> {
        match METHODS.get(at).map(|method| &*method.name) {
            Some("Get") => {
                let GetRequest { key, options } = decode::<GetRequest<P::Key>>(request)?;
                self.value(key, Ask::Retention, options).await
            }
            Some("GetMany") => {
                let GetManyRequest { keys, options } = decode(request)?;
                self.entries(keys, Ask::Retention, options).await
            }
            Some("GetWindow") => {
                let GetWindowRequest { key, window, end, options, calendar } =
                    decode::<GetWindowRequest<P::Key>>(request)?;
                self.value(key, interval::last(window, calendar, end)?, options).await
            }
            Some("GetWindowMany") => {
                let GetWindowManyRequest { keys, window, end, options, calendar } = decode(request)?;
                self.entries(keys, interval::last(window, calendar, end)?, options).await
            }
            Some("GetRange") => {
                let GetRangeRequest { key, start, end, options } = decode::<GetRangeRequest<P::Key>>(request)?;
                self.value(key, interval::range(start, end)?, options).await
            }
            Some("GetRangeMany") => {
                let GetRangeManyRequest { keys, start, end, options } = decode(request)?;
                self.entries(keys, interval::range(start, end)?, options).await
            }
            Some("Series") => self.series(decode(request)?).await,
            Some("CombineSets") => self.combine_sets(decode(request)?).await,
            _ => Err(Status::unimplemented("this method has not one reply")),
        }
    }

    /// How a request wants to be answered.
    pub(super) fn how(&self, options: Option<ReadOptions>) -> Result<(Reader<P>, Consistency), Status> {
        let ReadOptions { strong, question, explain, edges } = options.unwrap_or_default();
        let reader = match question {
            None => self.reader.clone(),
            Some(question) => self.reader.asking(question.into()).map_err(|e| status::of(&e))?,
        };
        let reader = reader.edges(edges.into());
        let reader = if explain { reader.explaining() } else { reader };
        Ok((reader, if strong { Consistency::Strong } else { Consistency::Eventual }))
    }

    async fn value(&self, key: Option<P::Key>, ask: Ask, options: Option<ReadOptions>) -> Result<Answered, Status> {
        let (reader, consistency) = self.how(options)?;
        let answer = reader.ask(&set(key, "key")?, ask, consistency).await;
        Answered::of(&value_response(answer.map_err(|e| status::of(&e))?, &mut Truths::default()))
    }

    async fn entries(&self, keys: Vec<P::Key>, ask: Ask, options: Option<ReadOptions>) -> Result<Answered, Status> {
        let (reader, consistency) = self.how(options)?;
        let answers = reader.within(MAX_REPLY).ask_many(&keys, ask, consistency).await.map_err(|e| status::of(&e))?;
        entries::reply(keys.into_iter().zip(answers))
    }

    fn watch(&self, at: usize, Call { message: request, extensions, .. }: Call) -> Result<Replies, Status> {
        let who = extensions.get::<Caller>().map(|caller| caller.name.clone());
        let parts = match METHODS.get(at).map(|method| &*method.name) {
            Some("Watch") => {
                let mut asked = decode::<WatchRequest<P::Key>>(request)?;
                let key = set(asked.key.take(), "key")?;
                let token = std::mem::take(&mut asked.resume);
                watch::of_one(&self.hub, (self.watched(asked)?, &who), key, &token)?
            }
            Some("WatchMany") => {
                let WatchManyRequest { keys, window, options, resume, calendar } = decode(request)?;
                // `GetMany` of no keys has an answer without entries; a stream of none would say nothing for ever.
                if keys.is_empty() {
                    return Err(Reason::FIELD_MISSING.of_field("keys", "`keys` is empty; name one key at least"));
                }
                self.reader.bounds().check_keys(keys.len()).map_err(|e| status::of(&e))?;
                let asked = WatchRequest { window, options, calendar, ..WatchRequest::default() };
                watch::of_many(&self.hub, (self.watched(asked)?, &who), keys, &resume)?
            }
            _ => return Err(Status::unimplemented("this method has no stream of replies")),
        };
        Ok(Replies { headers: HeaderMap::new(), parts: parts.map_ok(Part::Message).boxed() })
    }

    /// How the keys of a request are watched, which is without them.
    fn watched(&self, asked: WatchRequest<P::Key>) -> Result<How<P>, Status> {
        let ask = match (asked.window, &asked.calendar) {
            (None, None) => Ask::Retention,
            (window, calendar) => interval::last(window, calendar.clone(), None)?,
        };
        let how = self.how(asked.options.clone())?;
        Ok(How::new(asked, ask, how))
    }

    async fn series(&self, request: SeriesRequest<P::Key>) -> Result<Answered, Status> {
        let SeriesRequest { key, start, end, step, options, calendar, calendar_step } = request;
        let key = set(key, "key")?;
        let (reader, consistency) = self.how(options)?;
        let ask = interval::of_series(start, calendar.as_ref(), end, reader.now())?;
        let every = interval::steps(step, calendar_step, calendar.as_ref())?;
        let series = reader.within(MAX_REPLY).series_of(&key, ask, every, consistency).await;
        let series = series.map_err(|e| status::of(&e))?;
        let points = series.points.into_iter().map(|point| Point {
            start: Some(point.range.start),
            end: Some(point.range.end),
            value: point.value,
            present: point.present,
        });
        let answer = Some(Truths::alone(series.presence, series.interval, series.as_of, series.explanation));
        Answered::of(&SeriesResponse { points: points.collect(), answer })
    }
}

impl<P: Pipeline> Rpc for Handler<P> {
    fn name(&self) -> &str {
        &self.name
    }

    fn methods(&self) -> &[Method] {
        METHODS
    }

    fn reads(&self) -> Reads<'_> {
        Reads::Pipeline(P::SPEC.name)
    }

    fn explain(&self, status: Status) -> Status {
        refusal::explained(status)
    }

    fn unary(&self, at: usize, call: Call) -> BoxFuture<'_, Result<Answered, Status>> {
        self.call(at, call.message).boxed()
    }

    fn stream(&self, at: usize, call: Call) -> BoxFuture<'_, Result<Replies, Status>> {
        std::future::ready(self.watch(at, call)).boxed()
    }
}

impl<P: Pipeline> AnyPipeline for Handler<P> {
    fn info(&self) -> PipelineInfo {
        PipelineInfo {
            name: P::SPEC.name.into(),
            service: self.name.clone(),
            about: P::SPEC.about.into(),
            key_fields: <P::Key as Key>::FIELDS.iter().map(|field| (*field).into()).collect(),
            value_type: P::VALUE.unwrap_or(<Reply<P> as WireField>::PROTO).into(),
        }
    }

    fn query(&self, request: QueryRequest) -> BoxFuture<'_, Result<QueryResponse, Status>> {
        async move {
            let QueryRequest { pipeline: _, key, window, start, end, options, calendar } = request;
            let ask = interval::any(window, calendar, start, end)?;
            let key =
                P::Key::parse(&key).map_err(|why| Reason::FIELD_INVALID.of_field("key", format!("`key`: {why}")))?;
            let (reader, consistency) = self.how(options)?;
            let answer = reader.ask(&key, ask, consistency).await.map_err(|e| status::of(&e))?;
            let response = value_response(answer, &mut Truths::default());
            let value = response.encode_to_vec();
            Ok(QueryResponse { value, present: response.present, answer: response.answer })
        }
        .boxed()
    }

    fn check(&self) -> BoxFuture<'_, crate::Result<()>> {
        self.reader.check().boxed()
    }
}

/// The message of an answer, behind others in a message.
pub(super) fn value_response<V: WireField>(answer: query::Answer<V>, truths: &mut Truths) -> ValueResponse<V> {
    let present = answer.is_present();
    let problem = answer.problem.unwrap_or_default();
    let truth = truths.next(answer.presence, answer.interval, answer.as_of, answer.explanation);
    ValueResponse { value: answer.value, present, answer: Some(Answer { problem, ..truth }) }
}
