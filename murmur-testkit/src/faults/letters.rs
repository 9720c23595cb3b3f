//! Whether the dead letters are those that must be there.

use std::collections::{BTreeMap, BTreeSet};

use murmur::source::PartitionId;
use rdkafka::message::{Message, OwnedMessage};

use super::kafka::{place, whole};
use crate::oracle::{Verdict, number};

/// What cannot be counted, once for each pipeline: partition, offset, and which.
pub(super) type Lacking = BTreeSet<(i32, u64, String)>;

/// A message of the topic.
pub(super) struct Letter {
    payload: Vec<u8>,
    has_key: bool,
    headers: BTreeMap<String, String>,
}

impl From<&OwnedMessage> for Letter {
    fn from(message: &OwnedMessage) -> Self {
        let (payload, headers) = whole(message);
        Self { payload, has_key: message.key().is_some(), headers }
    }
}

/// What was found of them.
#[derive(Debug)]
pub(super) struct Judged {
    /// How many there are, each once for each pipeline, however many copies of it there are.
    pub(super) letters: u64,
    /// [`Exact`](Verdict::Exact), [`Under`](Verdict::Under) by so many that are missing, or [`Corrupt`](Verdict::Corrupt).
    pub(super) verdict: Verdict,
    /// The first one that is missing.
    pub(super) missing: Option<String>,
}

/// Compare what was found with what must be there, by what was sent: payloads, without a key or headers.
///
/// A worker that died sends again what it had not committed, so there may be copies: then they are alike in everything,
/// and have the same `murmur-id`, by which a reader drops them. No two letters share one: what stood elsewhere, or is
/// lacking in other pipelines, has another id.
pub(super) fn judge<'a>(
    lacking: &Lacking,
    sent: impl Fn(i32, u64) -> Option<&'a Vec<u8>>,
    letters: impl IntoIterator<Item = Letter>,
) -> Judged {
    match read(sent, letters) {
        Err(what) => Judged { letters: 0, verdict: Verdict::Corrupt(what), missing: None },
        Ok(found) => {
            let missing = lacking.difference(&found).count() as u64;
            let verdict = match found.difference(lacking).next() {
                Some(extra) => Verdict::Corrupt(format!("a dead letter that could be counted: {extra:?}")),
                None if missing > 0 => Verdict::Under(missing),
                None => Verdict::Exact,
            };
            let first = lacking.difference(&found).next().map(|missing| format!("no dead letter for {missing:?}"));
            Judged { letters: found.len() as u64, verdict, missing: first }
        }
    }
}

/// What lacks what, by these letters; or which of them is none, or not what was sent.
fn read<'a>(
    sent: impl Fn(i32, u64) -> Option<&'a Vec<u8>>,
    letters: impl IntoIterator<Item = Letter>,
) -> Result<Lacking, String> {
    let mut found = Lacking::new();
    let (mut by_id, mut ids) = (BTreeMap::new(), BTreeMap::new());
    for Letter { payload, has_key, headers } in letters {
        let (at, offset) = coordinates(&headers)?;
        if sent(at, offset) != Some(&payload) || has_key || headers.keys().any(|name| !name.starts_with("murmur-")) {
            return Err(format!("the dead letter {at}@{offset} is not what was sent: {headers:?}"));
        }
        let header = |name: &str| headers.get(name).filter(|text| !text.is_empty()).cloned();
        let said = header("murmur-id").zip(header("murmur-pipelines")).filter(|_| header("murmur-reason").is_some());
        let Some((id, pipelines)) = said else {
            return Err(format!("the dead letter {at}@{offset} lacks its id, pipelines or reason: {headers:?}"));
        };
        found.extend(pipelines.split(',').map(|pipeline| (at, offset, pipeline.to_owned())));
        let known = ids.entry((at, offset, pipelines)).or_insert_with(|| id.clone());
        if *known != id {
            return Err(format!("copies of the dead letter {at}@{offset} have the ids `{known}` and `{id}`"));
        }
        match by_id.get(&id) {
            Some(known) if !are_alike(known, &headers) => {
                return Err(format!("dead letters of the id `{id}` differ: {known:?} and {headers:?}"));
            }
            _ => by_id.insert(id, headers),
        };
    }
    Ok(found)
}

/// Whether these are headers of copies. Of an event in two tiles that were full, the worker that died may have found one to be
/// closed, and the next one both: then one reason contains the other.
fn are_alike(one: &BTreeMap<String, String>, other: &BTreeMap<String, String>) -> bool {
    let (a, b) = (&one["murmur-reason"], &other["murmur-reason"]);
    let differ = |(name, value): &(&String, &String)| *name != "murmur-reason" && other.get(*name) != Some(*value);
    one.len() == other.len() && !one.iter().any(|header| differ(&header)) && (a.contains(&**b) || b.contains(&**a))
}

/// Partition and offset, which are said in Murmur's words and in Kafka's.
fn coordinates(headers: &BTreeMap<String, String>) -> Result<(i32, u64), String> {
    let own = |name: &str| headers.get(name).map(String::as_str).unwrap_or_default();
    let (partition, offset) = (number(&PartitionId::new(own("murmur-partition"))), own("murmur-offset"));
    place(headers)
        .filter(|(at, place)| *at == partition && place.to_string() == offset)
        .ok_or_else(|| format!("a dead letter does not say where it was: {headers:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SENT: [&str; 3] = ["good", "bad", "worse"];

    /// The letter of an offset, with these headers in place of its own.
    fn letter(offset: u64, pipelines: &str, changed: &[(&str, &str)]) -> Letter {
        let own = [
            ("murmur-id", format!("k:topic:2@{offset}/{pipelines}")),
            ("murmur-pipelines", pipelines.to_owned()),
            ("murmur-partition", "k:topic:2".to_owned()),
            ("murmur-offset", offset.to_string()),
            ("murmur-source-partition", "2".to_owned()),
            ("murmur-source-offset", offset.to_string()),
            ("murmur-reason", "cut off".to_owned()),
        ];
        let changed = changed.iter().map(|(name, value)| (*name, (*value).to_owned()));
        let headers = own.into_iter().chain(changed).map(|(name, value)| (name.to_owned(), value)).collect();
        Letter { payload: SENT[offset as usize].as_bytes().to_vec(), has_key: false, headers }
    }

    fn judged(letters: Vec<Letter>) -> Judged {
        let sent = SENT.map(|payload| payload.as_bytes().to_vec());
        let lacking = [(1, "a"), (1, "b"), (2, "b")].map(|(offset, pipeline)| (2, offset, pipeline.to_owned()));
        judge(&lacking.into(), |at, offset| sent.get(offset as usize).filter(|_| at == 2), letters)
    }

    fn is_corrupt(letters: Vec<Letter>) -> bool {
        matches!(judged(letters).verdict, Verdict::Corrupt(_))
    }

    #[test]
    fn copies_are_alike_and_count_once() {
        let all = || vec![letter(1, "a,b", &[]), letter(2, "b", &[])];
        assert_eq!((judged(all()).verdict, judged(all()).letters), (Verdict::Exact, 3));
        let twice = || all().into_iter().chain(all()).collect::<Vec<_>>();
        assert_eq!((judged(twice()).verdict, judged(twice()).letters), (Verdict::Exact, 3));
        // A second tile was full when it was sent again.
        let more = letter(2, "b", &[("murmur-reason", "cut off; and also full")]);
        assert_eq!(judged(all().into_iter().chain([more]).collect()).verdict, Verdict::Exact);
        // One pipeline had committed when the worker died: the letter is another one.
        let split = all().into_iter().chain([letter(1, "b", &[])]).collect();
        assert_eq!(judged(split).verdict, Verdict::Exact);
    }

    #[test]
    fn a_letter_that_is_missing_is_one_event_too_few_in_its_pipeline() {
        let judged = judged(vec![letter(1, "a", &[])]);
        assert_eq!((judged.verdict, judged.letters), (Verdict::Under(2), 1));
        assert_eq!(judged.missing.as_deref(), Some("no dead letter for (2, 1, \"b\")"));
    }

    #[test]
    fn an_id_is_that_of_one_letter_and_its_copies() {
        for other in
            [letter(1, "a,b", &[("murmur-id", "another")]), letter(2, "b", &[("murmur-id", "k:topic:2@1/a,b")])]
        {
            assert!(is_corrupt(vec![letter(1, "a,b", &[]), letter(2, "b", &[]), other]));
        }
    }

    #[test]
    fn a_letter_that_is_not_as_it_came_is_corrupt() {
        let changes = [
            ("murmur-reason", "another"),
            ("murmur-reason", ""),
            ("murmur-id", ""),
            ("murmur-offset", "0"),
            ("murmur-partition", "k:topic:1"),
            ("murmur-source-offset", "2"),
            ("murmur-stamped", "1970-01-01T00:00:00Z"),
            ("trace", "7"),
        ];
        for changed in changes {
            let copy = letter(1, "a,b", &[changed]);
            assert!(is_corrupt(vec![letter(1, "a,b", &[]), letter(2, "b", &[]), copy]), "{changed:?}");
        }
        let whole = || vec![letter(1, "a,b", &[]), letter(2, "b", &[])];
        let mut cut = whole();
        cut[1].payload.pop();
        let mut keyed = whole();
        keyed[1].has_key = true;
        let countable = whole().into_iter().chain([letter(0, "a", &[])]).collect();
        for letters in [cut, keyed, countable] {
            assert!(is_corrupt(letters));
        }
    }
}
