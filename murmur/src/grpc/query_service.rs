//! `murmur.v1.QueryService`: every pipeline of a server by name, for tools.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::{BoxFuture, FutureExt, TryFutureExt};
use tonic::Status;

use super::handler::AnyPipeline;
use super::messages::{ListPipelinesRequest, ListPipelinesResponse, QueryRequest};
use super::protocol::rpc::{Call, Method, Replies, Reply, Rpc, decode, encode};
use super::refusal::{self, Reason};

pub(super) struct QueryService {
    pub(super) pipelines: Vec<Arc<dyn AnyPipeline>>,
}

pub(super) const NAME: &str = "murmur.v1.QueryService";

const METHODS: &[Method] = &[Method::unary("ListPipelines"), Method::unary("Query")];

impl QueryService {
    async fn call(&self, at: usize, request: Bytes) -> Result<Vec<u8>, Status> {
        match METHODS.get(at).map(|method| &*method.name) {
            Some("ListPipelines") => {
                decode::<ListPipelinesRequest>(request)?;
                encode(&ListPipelinesResponse { pipelines: self.pipelines.iter().map(|p| p.info()).collect() })
            }
            Some("Query") => {
                let request: QueryRequest = decode(request)?;
                let pipeline = self.pipelines.iter().find(|pipeline| pipeline.info().name == request.pipeline);
                let pipeline = pipeline.ok_or_else(|| self.unknown(&request.pipeline))?;
                encode(&pipeline.query(request).await?)
            }
            _ => Err(Status::unimplemented("this method has not one reply")),
        }
    }

    fn unknown(&self, name: &str) -> Status {
        let known: Vec<String> = self.pipelines.iter().map(|pipeline| format!("`{}`", pipeline.info().name)).collect();
        let text = format!("there is no pipeline `{name}`; this server has {}", known.join(", "));
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

    fn explain(&self, status: Status) -> Status {
        refusal::explained(status)
    }

    fn unary(&self, at: usize, call: Call) -> BoxFuture<'_, Result<Reply, Status>> {
        self.call(at, call.message).map_ok(Reply::from).boxed()
    }

    fn stream(&self, _: usize, _: Call) -> BoxFuture<'_, Result<Replies, Status>> {
        std::future::ready(Err(Status::unimplemented("this service has no streams"))).boxed()
    }
}
