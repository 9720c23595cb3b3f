//! Whose a group is: programs that keep other tables must not share its partitions.
//!
//! Every commit has a text beside it, in which a worker names its tables. Whoever is given a partition looks at those of
//! all partitions. Two programs that have a table in common are one program, or versions of it; two that have none would
//! each count a part of the messages, and show that as the whole.

use super::config::KafkaConfig;
use super::queue::Committed;
use crate::{Error, ErrorKind, Result};

/// What a text of ours begins with; other consumers may have their own.
const MARK: &str = "murmur:";
/// The brokers take 4,096 bytes (`offset.metadata.max.bytes`). What does not fit is left out: one name in common is
/// enough.
const MOST: usize = 4_000;

/// The tables of this program, as they stand beside its commits.
#[derive(Debug, Default)]
pub(super) struct Binding {
    /// Empty when nobody has said for what is read; then there is nothing to be told apart.
    pub(super) note: String,
}

impl Binding {
    /// Of these tables.
    pub(super) fn of(tables: &[String]) -> Self {
        let mut tables: Vec<&str> = tables.iter().map(String::as_str).collect();
        tables.sort_unstable();
        let mut note = String::new();
        for table in tables {
            let separator = if note.is_empty() { MARK } else { "," };
            if note.len() + separator.len() + table.len() <= MOST {
                note.extend([separator, table]);
            }
        }
        Self { note }
    }

    /// Whether the commit says so already.
    pub(super) fn is_said(&self, committed: &Committed) -> bool {
        self.note == committed.note
    }

    /// An error when one of these commits is of a program with other tables.
    pub(super) fn check(&self, config: &KafkaConfig, committed: &[Committed]) -> Result<()> {
        let Some(other) = committed.iter().find(|committed| self.is_foreign(&committed.note)) else { return Ok(()) };
        let (Committed { at, note }, group) = (other, &config.group);
        let (theirs, ours) = (names(note).collect::<Vec<_>>(), names(&self.note).collect::<Vec<_>>());
        let context = format!(
            "group `{group}` belongs to a program that keeps other tables: the commit in `{at}` is of `{}`, and this \
             program keeps `{}`. Each of them would be given a part of the partitions, and count only that. Give this one \
             another `group=`, which leaves nothing out, as the tables have the positions; or, when the other program is \
             gone for good, delete the group (`kafka-consumer-groups.sh --delete --group {group}`)",
            theirs.join("`, `"),
            ours.join("`, `")
        );
        Err(Error::new(ErrorKind::Foreign, context))
    }

    fn is_foreign(&self, note: &str) -> bool {
        note.starts_with(MARK)
            && !self.note.is_empty()
            && !names(note).any(|theirs| names(&self.note).any(|n| n == theirs))
    }
}

fn names(note: &str) -> impl Iterator<Item = &str> {
    note.strip_prefix(MARK).into_iter().flat_map(|names| names.split(','))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::kafka::queue::Position;

    fn committed(note: &str) -> Vec<Committed> {
        let at = |partition| Position { topic: "views".to_owned(), partition, offset: Some(7) };
        vec![Committed { at: at(0), note: String::new() }, Committed { at: at(3), note: note.to_owned() }]
    }

    #[test]
    fn programs_of_one_group_have_a_table_in_common() {
        let config = KafkaConfig::new("b:9092", &["views"], "counts");
        let tables = |tables: &[&str]| Binding::of(&tables.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>());
        let mine = tables(&["likes_v1=2a", "fans_v1=2b"]);
        for known in ["", "of another consumer", &mine.note, "murmur:likes_v1=2a", "murmur:likes_v1=2a,more_v1=2c"] {
            mine.check(&config, &committed(known)).unwrap();
        }
        let error = mine.check(&config, &committed("murmur:likes_v1=77,fans_v2=2b")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Foreign);
        for part in ["`counts`", "`views[3]`", "`likes_v1=77`, `fans_v2=2b`", "`fans_v1=2b`, `likes_v1=2a`", "`group=`"]
        {
            assert!(error.to_string().contains(part), "`{part}` is missing in: {error}");
        }
        Binding::default().check(&config, &committed("murmur:likes_v1=77")).unwrap();
    }

    #[test]
    fn what_is_said_beside_a_commit_is_no_longer_than_brokers_take() {
        let many: Vec<String> = (0..300).map(|n| format!("pipeline_{n}_v1=0123456789abcdef")).collect();
        let note = Binding::of(&many).note;
        assert!(note.len() <= MOST && note.len() > MOST - 100);
        assert!(names(&note).all(|name| many.iter().any(|known| known == name)));
    }
}
