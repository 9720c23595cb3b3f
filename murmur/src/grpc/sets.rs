//! `CombineSets`: from its message to set algebra, and back.

use tonic::Status;

use super::handler::Handler;
use super::interval::{self, set};
use super::messages::{CombineSetsRequest, CombineSetsResponse, SetOperand};
use super::protocol::rpc::Reply;
use super::refusal::{Reason, within};
use super::status;
use super::truth::Truths;
use crate::pipeline::Pipeline;
use crate::query::{Ask, Presence, SetOperation, operand};
use crate::wire::types;

/// What one of the sets is of.
fn asked<K>(SetOperand { key, window, start, end, calendar }: SetOperand<K>) -> Result<(K, Ask), Status> {
    Ok((set(key, "key")?, interval::any(window, calendar, start, end)?))
}

impl<P: Pipeline> Handler<P> {
    pub(super) async fn combine_sets(&self, request: CombineSetsRequest<P::Key>) -> Result<Reply, Status> {
        let CombineSetsRequest { sets, operation, field, options } = request;
        let (reader, consistency) = self.how(options)?;
        let operation = match operation {
            types::SetOperation::Union => SetOperation::Union,
            types::SetOperation::Intersection => SetOperation::Intersection,
            types::SetOperation::Difference => SetOperation::Difference,
            types::SetOperation::Unspecified => {
                return Err(Reason::FIELD_MISSING.of_field(
                    "operation",
                    "`operation` is not set; set it to SET_OPERATION_UNION, SET_OPERATION_INTERSECTION or \
                     SET_OPERATION_DIFFERENCE",
                ));
            }
        };
        let asked = sets.into_iter().enumerate().map(|(at, set)| asked(set).map_err(|e| within(e, &operand(at))));
        let asked = asked.collect::<Result<Vec<_>, Status>>()?;
        let made = reader.combine_sets(&asked, operation, &field, consistency).await.map_err(|e| status::of(&e))?;
        let present = made.sets.iter().any(|set| set.presence == Presence::Present);
        let mut truths = Truths::default();
        let said = made.sets.into_iter().map(|set| {
            let answer = truths.next(set.presence, set.interval, set.as_of, set.explanation);
            (set.value, answer)
        });
        let (sets, answers) = said.unzip();
        Reply::of(&CombineSetsResponse { estimate: Some(made.estimate), present, sets, answers })
    }
}
