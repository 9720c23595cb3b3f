//! `murmur.v1.QueryService`: every pipeline of a server by name, for tools.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::{BoxFuture, FutureExt};
use tonic::Status;

use super::access::Caller;
use super::handler::AnyPipeline;
use super::messages::{ListPipelinesRequest, ListPipelinesResponse, QueryRequest};
use super::protocol::rpc::{Call, Method, Reads, Replies, Reply, Rpc, decode};
use super::refusal::{self, Reason};

pub(super) struct QueryService {
    pub(super) pipelines: Vec<Arc<dyn AnyPipeline>>,
}

pub(super) const NAME: &str = "murmur.v1.QueryService";

const METHODS: &[Method] = &[Method::unary("ListPipelines"), Method::unary("Query")];

impl QueryService {
    async fn call(&self, at: usize, request: Bytes, caller: Option<Caller>) -> Result<Reply, Status> {
        match METHODS.get(at).map(|method| &*method.name) {
            Some("ListPipelines") => {
                decode::<ListPipelinesRequest>(request)?;
                Reply::of(&ListPipelinesResponse {
                    pipelines: self.permitted(caller.as_ref()).map(|p| p.info()).collect(),
                })
            }
            Some("Query") => {
                let request: QueryRequest = decode(request)?;
                let caller = caller.as_ref();
                let pipeline = self.permitted(caller).find(|pipeline| pipeline.info().name == request.pipeline);
                let pipeline = pipeline.ok_or_else(|| self.unknown(&request.pipeline, caller))?;
                Reply::of(&pipeline.query(request).await?)
            }
            _ => Err(Status::unimplemented("this method has not one reply")),
        }
    }

    /// Those that a caller may read; it gets to know of no others.
    fn permitted(&self, caller: Option<&Caller>) -> impl Iterator<Item = &Arc<dyn AnyPipeline>> {
        let may = move |name: &str| caller.is_none_or(|caller| caller.pipelines.contains(name));
        self.pipelines.iter().filter(move |pipeline| may(&pipeline.info().name))
    }

    fn unknown(&self, name: &str, caller: Option<&Caller>) -> Status {
        let known: Vec<String> = self.permitted(caller).map(|pipeline| format!("`{}`", pipeline.info().name)).collect();
        let known = if known.is_empty() { "none for you".to_owned() } else { known.join(", ") };
        let text = format!("there is no pipeline `{}`; this server has {known}", refusal::shown(name));
        Reason::PIPELINE_UNKNOWN.of_field("pipeline", text)
    }
}

impl Rpc for QueryService {
    fn name(&self) -> &str {
        NAME
    }

    fn methods(&self) -> &[Method] {
        METHODS
    }

    fn reads(&self) -> Reads<'_> {
        Reads::Nothing
    }

    fn explain(&self, status: Status) -> Status {
        refusal::explained(status)
    }

    fn unary(&self, at: usize, call: Call) -> BoxFuture<'_, Result<Reply, Status>> {
        self.call(at, call.message, call.extensions.get().cloned()).boxed()
    }

    fn stream(&self, _: usize, _: Call) -> BoxFuture<'_, Result<Replies, Status>> {
        std::future::ready(Err(Status::unimplemented("this service has no streams"))).boxed()
    }
}
