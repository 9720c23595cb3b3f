//! Tables as the build step describes them in `schema/dynamodb/<table>.json`; a test compares the two.

use std::time::Duration;

use aws_sdk_dynamodb::config::http::HttpResponse;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::operation::create_table::builders::CreateTableFluentBuilder;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, AttributeValue, BillingMode, ContinuousBackupsStatus, KeySchemaElement, KeyType,
    PointInTimeRecoverySpecification, PointInTimeRecoveryStatus, ScalarAttributeType, TableDescription, TableStatus,
    Tag, TimeToLiveSpecification, TimeToLiveStatus,
};

use super::failure::{Intent, failure, foreign, strange};
use super::format::{EXPIRES, PARTITION_KEY, RECORD, SORT_KEY};
use super::store::Inner;
use crate::store::{Ensured, Unset};
use crate::{Error, ErrorKind, Result};

/// Between two looks at a table that is being made.
const PAUSE: Duration = Duration::from_millis(200);
/// Looks until it is given up: two minutes. Tables take seconds.
const LOOKS: u32 = 600;

/// The keys of every table: name, kind and type.
const KEYS: [(&str, KeyType); 2] = [(PARTITION_KEY, KeyType::Hash), (SORT_KEY, KeyType::Range)];

impl Inner {
    /// See [`Store::ensure`](crate::store::Store::ensure).
    pub(super) async fn ensure_table(&self, table: &str, tags: &[(String, String)]) -> Result<Ensured> {
        let mut ensured = Ensured::default();
        let description = match self.describe(table).await? {
            Some(description) => description,
            None => {
                ensured.created = self.create(table, tags).await?;
                self.active(table).await?
            }
        };
        check_keys(table, &self.place, &description)?;
        if !ensured.created {
            self.check_items(table).await?;
        }
        let mut note = |what: &str, done: Result<(), String>| {
            if let Err(why) = done {
                ensured.unset.push(Unset { what: what.to_owned(), why });
            }
        };
        note("time to live", self.ensure_ttl(table).await);
        note("point-in-time recovery", self.ensure_recovery(table).await);
        note("deletion protection", self.ensure_protection(table, &description).await);
        note("tags", self.ensure_tags(&description, tags).await);
        Ok(ensured)
    }

    async fn describe(&self, table: &str) -> Result<Option<TableDescription>> {
        match self.clients.reads.describe_table().table_name(table).send().await {
            Ok(answer) => Ok(answer.table),
            Err(error) if error.code() == Some("ResourceNotFoundException") => Ok(None),
            Err(error) => Err(failure(error, Intent::Read, table, &self.place)),
        }
    }

    /// A table with the keys of ours that holds something, and no record, is not ours: whoever writes tiles has said before
    /// whose they are.
    async fn check_items(&self, table: &str) -> Result<()> {
        let failed = |error| failure(error, Intent::Read, table, &self.place);
        let found = self.clients.reads.scan().table_name(table).limit(1).send().await.map_err(failed)?;
        if found.items().is_empty() {
            return Ok(());
        }
        let records = self.clients.reads.query().table_name(table).limit(1).consistent_read(true);
        let records = records
            .key_condition_expression("#pk = :record")
            .expression_attribute_names("#pk", PARTITION_KEY)
            .expression_attribute_values(":record", AttributeValue::S(RECORD.to_owned()));
        let records = records.send().await.map_err(|error| failure(error, Intent::Read, table, &self.place))?;
        if records.items().is_empty() { Err(strange(table, &self.place)) } else { Ok(()) }
    }

    /// The request that makes a table.
    pub(super) fn creation(&self, table: &str, tags: &[(String, String)]) -> Result<CreateTableFluentBuilder> {
        let impossible =
            |error| Error::new(ErrorKind::Internal, "the definition of a table is incomplete").with_source(error);
        let mut request = self.clients.once.create_table().table_name(table).billing_mode(BillingMode::PayPerRequest);
        for (name, kind) in KEYS {
            let attribute = AttributeDefinition::builder().attribute_name(name).attribute_type(ScalarAttributeType::S);
            let key = KeySchemaElement::builder().attribute_name(name).key_type(kind);
            request = request
                .attribute_definitions(attribute.build().map_err(impossible)?)
                .key_schema(key.build().map_err(impossible)?);
        }
        for tag in tags {
            request = request.tags(make_tag(tag).map_err(impossible)?);
        }
        Ok(request.deletion_protection_enabled(true))
    }

    /// Make a table. `false` when someone else was faster.
    async fn create(&self, table: &str, tags: &[(String, String)]) -> Result<bool> {
        match self.creation(table, tags)?.send().await {
            Ok(_) => Ok(true),
            Err(error) if error.code() == Some("ResourceInUseException") => Ok(false),
            Err(error) => Err(failure(error, Intent::Write, table, &self.place).while_doing("making a table")),
        }
    }

    /// Wait until a table can be used.
    async fn active(&self, table: &str) -> Result<TableDescription> {
        for _ in 0..LOOKS {
            let description = self.describe(table).await?;
            let active = |table: &TableDescription| table.table_status == Some(TableStatus::Active);
            if let Some(description) = description.filter(active) {
                return Ok(description);
            }
            tokio::time::sleep(PAUSE).await;
        }
        let context =
            format!("table `{table}` at {} was made, but has not become active; look at it there", self.place);
        Err(Error::new(ErrorKind::Unavailable, context))
    }

    async fn ensure_ttl(&self, table: &str) -> Result<(), String> {
        let answer = self.clients.reads.describe_time_to_live().table_name(table).send().await.map_err(|e| why(&e))?;
        if let Some(present) = answer.time_to_live_description
            && matches!(present.time_to_live_status, Some(TimeToLiveStatus::Enabled | TimeToLiveStatus::Enabling))
        {
            let name = present.attribute_name.unwrap_or_default();
            let other = format!("it is set to the attribute `{name}`, not `{EXPIRES}`; switch it off first");
            return if name == EXPIRES { Ok(()) } else { Err(other) };
        }
        let wanted = TimeToLiveSpecification::builder().attribute_name(EXPIRES).enabled(true).build();
        let wanted = wanted.map_err(|error| error.to_string())?;
        let set = self.clients.once.update_time_to_live().table_name(table).time_to_live_specification(wanted);
        set.send().await.map(drop).map_err(|error| why(&error))
    }

    async fn ensure_recovery(&self, table: &str) -> Result<(), String> {
        let answer = self.clients.reads.describe_continuous_backups().table_name(table).send().await;
        let present = answer.map_err(|error| why(&error))?.continuous_backups_description;
        if let Some(present) = present
            && present.continuous_backups_status == ContinuousBackupsStatus::Enabled
            && present.point_in_time_recovery_description.and_then(|recovery| recovery.point_in_time_recovery_status)
                == Some(PointInTimeRecoveryStatus::Enabled)
        {
            return Ok(());
        }
        let wanted = PointInTimeRecoverySpecification::builder().point_in_time_recovery_enabled(true).build();
        let wanted = wanted.map_err(|error| error.to_string())?;
        let set = self.clients.once.update_continuous_backups().table_name(table);
        let set = set.point_in_time_recovery_specification(wanted);
        for _ in 0..LOOKS {
            match set.clone().send().await {
                // A table that was just made has no backups yet.
                Err(error) if error.code() == Some("ContinuousBackupsUnavailableException") => {
                    tokio::time::sleep(PAUSE).await;
                }
                done => return done.map(drop).map_err(|error| why(&error)),
            }
        }
        Err("its backups have not become available; ensure it again later".to_owned())
    }

    async fn ensure_protection(&self, table: &str, description: &TableDescription) -> Result<(), String> {
        if description.deletion_protection_enabled == Some(true) {
            return Ok(());
        }
        let set = self.clients.once.update_table().table_name(table).deletion_protection_enabled(true);
        set.send().await.map(drop).map_err(|error| why(&error))
    }

    async fn ensure_tags(&self, description: &TableDescription, tags: &[(String, String)]) -> Result<(), String> {
        if tags.is_empty() {
            return Ok(());
        }
        let arn = description.table_arn.clone().unwrap_or_default();
        let answer = self.clients.reads.list_tags_of_resource().resource_arn(&arn).send().await;
        let present = answer.map_err(|error| why(&error))?.tags.unwrap_or_default();
        let is_set =
            |(key, value): &&(String, String)| present.iter().any(|tag| tag.key == *key && tag.value == *value);
        let missing: Vec<_> = tags.iter().filter(|tag| !is_set(tag)).map(make_tag).collect();
        if missing.is_empty() {
            return Ok(());
        }
        let missing = missing.into_iter().collect::<Result<_, _>>().map_err(|error| error.to_string())?;
        let set = self.clients.once.tag_resource().resource_arn(&arn).set_tags(Some(missing));
        set.send().await.map(drop).map_err(|error| why(&error))
    }
}

fn make_tag((key, value): &(String, String)) -> Result<Tag, aws_sdk_dynamodb::error::BuildError> {
    Tag::builder().key(key).value(value).build()
}

/// A table of that name that is no table of ours must not be written to.
fn check_keys(table: &str, place: &str, description: &TableDescription) -> Result<()> {
    let keys = description.key_schema.iter().flatten().map(|key| (key.attribute_name.as_str(), key.key_type.clone()));
    let texts = description.attribute_definitions.iter().flatten();
    let texts = texts.filter(|attribute| attribute.attribute_type == ScalarAttributeType::S);
    let texts: Vec<&str> = texts.map(|attribute| attribute.attribute_name.as_str()).collect();
    if keys.eq(KEYS) && KEYS.iter().all(|(name, _)| texts.contains(name)) {
        return Ok(());
    }
    Err(foreign(table, place))
}

/// What a server says about something it cannot do.
fn why<E: ProvideErrorMetadata + std::error::Error + 'static>(error: &SdkError<E, HttpResponse>) -> String {
    match (error.code(), error.message()) {
        (Some(code), Some(message)) => format!("{code}: {message}"),
        (Some(code), None) => code.to_owned(),
        _ => super::failure::cause(error),
    }
}
