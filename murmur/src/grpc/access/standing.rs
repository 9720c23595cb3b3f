//! Whether a stream that has begun may go on: whoever has asked for it is looked at again and again.

use std::time::{Duration, SystemTime};

use futures_util::future::{BoxFuture, FutureExt};
use http::{Extensions, HeaderMap};
use tonic::{Code, Status};

use super::super::protocol::rpc::Reads;
use super::super::refusal::Reason;
use super::{Access, Caller};

/// How often; a file of callers is looked at as often.
const EVERY: Duration = Duration::from_secs(5);

/// Who a stream is for, as it has shown itself.
pub(in crate::grpc) struct Standing {
    access: Access,
    headers: HeaderMap,
    extensions: Extensions,
    /// What it reads, where that is a pipeline.
    pipeline: Option<String>,
    until: Option<SystemTime>,
}

impl Standing {
    /// Of one who was let in.
    pub(in crate::grpc) fn new(
        access: &Access,
        headers: &HeaderMap,
        extensions: &Extensions,
        reads: Reads<'_>,
        caller: &Caller,
    ) -> Self {
        let pipeline = match reads {
            Reads::Pipeline(name) => Some(name.to_owned()),
            Reads::Health | Reads::Nothing => None,
        };
        Self {
            access: access.clone(),
            headers: headers.clone(),
            extensions: extensions.clone(),
            pipeline,
            until: caller.until,
        }
    }

    /// What the stream reads, where only its request said that.
    pub(in crate::grpc) fn about(self, pipeline: Option<String>) -> Self {
        Self { pipeline: pipeline.or(self.pipeline), ..self }
    }

    /// Why the stream has to end, as soon as it has to.
    pub(in crate::grpc) async fn ended(mut self) -> Status {
        loop {
            let left = self.until.map_or(EVERY, |until| until.duration_since(SystemTime::now()).unwrap_or_default());
            tokio::time::sleep(left.min(EVERY)).await;
            if let Err(status) = self.look().await {
                return status;
            }
        }
    }

    async fn look(&mut self) -> Result<(), Status> {
        match self.access.caller(&self.headers, &self.extensions).await {
            Ok(caller) => {
                if let Some(pipeline) = &self.pipeline {
                    caller.may_read(pipeline)?;
                }
                self.until = caller.until;
            }
            Err(status) if status.code() == Code::Unauthenticated => return Err(status),
            // What cannot be said now is no refusal, as long as the last word counts.
            Err(_) => {}
        }
        match self.until {
            Some(until) if until <= SystemTime::now() => {
                Err(Reason::TOKEN_EXPIRED.status("the token has expired; ask again with a new one"))
            }
            _ => Ok(()),
        }
    }
}

/// Why a stream has to end, where somebody has to be known for it; never otherwise.
pub(in crate::grpc) fn ended(standing: Option<Standing>) -> BoxFuture<'static, Status> {
    match standing {
        Some(standing) => standing.ended().boxed(),
        None => std::future::pending().boxed(),
    }
}
