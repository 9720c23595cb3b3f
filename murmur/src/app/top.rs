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
    if let Some(by) = by.filter(|by| !service.value.has(by)) {
        let context = format!("the values of `{}` have no field `{by}` to order by", entry.spec.name);
        return Err(Error::new(ErrorKind::InvalidArgument, context));
    }
    let table = Table::new(entry.spec.name, GENERATION);
    let mut best = Best { rows: Vec::new(), count };
    let mut seen: HashSet<Arc<str>> = HashSet::new();
    let (mut keys, mut after, mut left_out) = (Vec::new(), None, false);
    while !left_out {
        let page = store.scan(&table, after.as_ref(), PAGE).await?;
        let Some((last, _)) = page.last() else { break };
        after = Some(last.clone());
        for (id, _) in page {
            if seen.contains(&id.key) {
                continue;
            }
            left_out = seen.len() == KEYS;
            if left_out {
                print::note(format_args!("there are more than {KEYS} keys; only these are ranked"));
                break;
            }
            let key = (entry.decode_key)(&id.key);
            keys.push(key.map_err(|error| Error::new(ErrorKind::Corrupt, format!("{id}: {error}")))?);
            seen.insert(id.key);
            if keys.len() == CALL {
                best.take(ask_many(service, ask, &keys).await?, |row| service.size(row, by));
                keys.clear();
            }
        }
    }
    best.take(ask_many(service, ask, &keys).await?, |row| service.size(row, by));
    Ok(best.rows.into_iter().map(|(_, row)| row).collect())
}

/// The largest of all rows so far, and no others.
struct Best {
    rows: Vec<(Option<f64>, Json)>,
    count: usize,
}

impl Best {
    /// Look at further ones.
    fn take(&mut self, rows: Vec<Json>, size: impl Fn(&Json) -> Option<f64>) {
        for row in rows {
            let problem = row.pointer("/answer/problem").and_then(Json::as_str);
            if let Some(problem) = problem.filter(|text| !text.is_empty()) {
                print::note(format_args!("left out: {}: {problem}", row.get("key").unwrap_or(&Json::Null)));
            }
            if row.get("present").and_then(Json::as_bool) == Some(true) {
                self.rows.push((size(&row), row));
            }
        }
        self.rows.sort_by(|(a, _), (b, _)| b.partial_cmp(a).unwrap_or(Ordering::Equal));
        self.rows.truncate(self.count);
    }
}

/// A Many call; when it is too large for the server, two half as large.
fn ask_many<'a>(service: &'a Service, ask: &'a Ask, keys: &'a [Vec<u8>]) -> LocalBoxFuture<'a, Result<Vec<Json>>> {
    async move {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn of_many_rows_only_the_largest_are_kept() {
        let row = |n: u64| json!({ "present": n != 13, "value": n * 7_919 % 1_000 });
        let size = |row: &Json| row.get("value").and_then(Json::as_f64);
        let mut best = Best { rows: Vec::new(), count: 3 };
        for call in 0..10 {
            best.take((call * 100..call * 100 + 100).map(row).collect(), size);
            assert!(best.rows.len() <= 3 && best.rows.capacity() <= 256);
        }
        best.take(vec![json!({ "present": true, "value": null })], size);
        let sizes: Vec<_> = best.rows.iter().map(|(size, _)| *size).collect();
        assert_eq!(sizes, [Some(999.0), Some(998.0), Some(997.0)]);
    }
}
