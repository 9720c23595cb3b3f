use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_dynamodb::types::ReturnConsumedCapacity::Total;
use aws_sdk_dynamodb::types::ReturnValuesOnConditionCheckFailure::AllOld;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::expression::Expression;
use super::failure::{Intent, failure, is_throttle};
use super::format;
use super::limiter::Overload;
use super::meter::units;
use super::read::Range;
use super::store::DynamoStore;
use crate::Result;
use crate::source::{Record, RecordOutcome, Records, Shelf, Version};
use crate::store::Consistency;

impl Records for DynamoStore {
    fn record<'a>(&'a self, shelf: &'a Shelf, name: &'a str) -> BoxFuture<'a, Result<Option<Record>>> {
        async move {
            let found = self.0.read_one(&self.0.shelf_name(shelf), format::record_key(name)).await?;
            Ok(found.map(format::decode_record).transpose()?.map(|(_, record)| record))
        }
        .boxed()
    }

    fn put_record<'a>(
        &'a self,
        shelf: &'a Shelf,
        name: &'a str,
        bytes: Vec<u8>,
        expected: Option<Version>,
    ) -> BoxFuture<'a, Result<RecordOutcome>> {
        async move {
            let inner = &*self.0;
            let table = inner.shelf_name(shelf);
            let version = Version(expected.map_or(0, |version| version.0) + 1);
            let condition = Expression::unchanged(expected.map(|version| version.0));
            let sent = inner
                .clients
                .once
                .put_item()
                .table_name(&table)
                .set_item(Some(format::encode_record(name, bytes, version)))
                .condition_expression(condition.condition)
                .set_expression_attribute_values(Some(condition.values).filter(|values| !values.is_empty()))
                .return_values_on_condition_check_failure(AllOld)
                .return_consumed_capacity(Total)
                .send()
                .await;
            match sent {
                Ok(done) => {
                    inner.meter.wrote(units(done.consumed_capacity()));
                    Ok(RecordOutcome::Written(version))
                }
                Err(SdkError::ServiceError(service))
                    if matches!(service.err(), PutItemError::ConditionalCheckFailedException(_)) =>
                {
                    let PutItemError::ConditionalCheckFailedException(refusal) = service.into_err() else {
                        return Ok(RecordOutcome::Refused(None));
                    };
                    let stands = refusal.item.map(format::decode_record).transpose()?;
                    Ok(RecordOutcome::Refused(stands.map(|(_, record)| record)))
                }
                Err(error) => {
                    if is_throttle(&error) {
                        inner.limiter.throttled(Overload::Table);
                    }
                    Err(failure(error, Intent::Write, &table, &inner.place))
                }
            }
        }
        .boxed()
    }

    fn records<'a>(&'a self, shelf: &'a Shelf, prefix: &'a str) -> BoxFuture<'a, Result<Vec<(String, Record)>>> {
        async move {
            let range = Range {
                partition: format::RECORD.to_owned(),
                condition: "pk = :p AND begins_with(sk, :a)",
                values: vec![(":a", AttributeValue::S(format::record_place(prefix)))],
            };
            let found = self.0.query(&self.0.shelf_name(shelf), range, usize::MAX, Consistency::Strong).await?;
            found.into_iter().map(format::decode_record).collect()
        }
        .boxed()
    }
}
