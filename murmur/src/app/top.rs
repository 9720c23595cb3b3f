//! The largest keys of a pipeline. No index is kept for it: the whole table is looked through.

use std::cmp::Ordering;
use std::collections::HashSet;
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;

use super::ask::Ask;
use super::call::{Json, Service};
use super::entry::Entry;
use super::{GENERATION, print};
use crate::store::{Store, Table};
use crate::{Error, ErrorKind, Result};

/// Keys that are ranked at most; further ones are left out, and it is said.
const KEYS: usize = 100_000;

/// Items of one page of the scan.
const PAGE: usize = 4_096;

/// Keys of one call.
const CALL: usize = 200;

/// The `count` keys whose field `by` (the first number, when `None`) is largest, as entries of a Many reply.
pub(super) async fn top(
    store: &dyn Store,
    entry: &Entry,
    service: &Service,
    ask: &Ask,
    count: usize,
    by: Option<&str>,
) -> Result<Vec<Json>> {
    let keys = keys(store, entry).await?;
    let mut rows = Vec::new();
    for keys in keys.chunks(CALL) {
        rows.extend(ask_many(service, ask, keys).await?);
    }
    for row in &rows {
        if let Some(problem) = row.pointer("/answer/problem").and_then(Json::as_str).filter(|text| !text.is_empty()) {
            print::note(format_args!("left out: {}: {problem}", row.get("key").unwrap_or(&Json::Null)));
        }
    }
    rows.retain(|row| row.get("present").and_then(Json::as_bool) == Some(true));
    if let Some(by) = by.filter(|by| !service.value_fields.iter().any(|name| name == by)) {
        let context = format!("the values of `{}` have no field `{by}` to order by", entry.spec.name);
        return Err(Error::new(ErrorKind::InvalidArgument, context));
    }
    let size = |row: &Json| service.size(row, by);
    rows.sort_by(|a, b| size(b).partial_cmp(&size(a)).unwrap_or(Ordering::Equal));
    rows.truncate(count);
    Ok(rows)
}

/// The keys of the table, as messages.
async fn keys(store: &dyn Store, entry: &Entry) -> Result<Vec<Vec<u8>>> {
    let table = Table::new(entry.spec.name, GENERATION);
    let mut seen: HashSet<Arc<str>> = HashSet::new();
    let mut keys = Vec::new();
    let mut after = None;
    loop {
        let page = store.scan(&table, after.as_ref(), PAGE).await?;
        let Some((last, _)) = page.last() else { return Ok(keys) };
        after = Some(last.clone());
        for (id, _) in page {
            if keys.len() == KEYS {
                print::note(format_args!("there are more than {KEYS} keys; only these are ranked"));
                return Ok(keys);
            }
            if seen.insert(id.key.clone()) {
                let key = (entry.decode_key)(&id.key);
                keys.push(key.map_err(|error| Error::new(ErrorKind::Corrupt, format!("key `{:?}`: {error}", id.key)))?);
            }
        }
    }
}

/// A Many call; when it is too large for the server, two half as large.
fn ask_many<'a>(service: &'a Service, ask: &'a Ask, keys: &'a [Vec<u8>]) -> LocalBoxFuture<'a, Result<Vec<Json>>> {
    async move {
        let (method, request) = ask.call(true);
        match service.ask_many(method, keys, request).await {
            Ok(mut reply) => match reply.get_mut("entries").map(Json::take) {
                Some(Json::Array(entries)) => Ok(entries),
                _ => Ok(Vec::new()),
            },
            Err(error) if keys.len() > 1 && error.kind() == ErrorKind::ResourceExhausted => {
                let (left, right) = keys.split_at(keys.len() / 2);
                let mut entries = ask_many(service, ask, left).await?;
                entries.extend(ask_many(service, ask, right).await?);
                Ok(entries)
            }
            Err(error) => Err(error),
        }
    }
    .boxed_local()
}
