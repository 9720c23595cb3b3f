//! Partitions without an owner.
//!
//! The cooperative protocol moves a partition in two steps: its owner gives it up and joins again, and that second
//! rebalance gives it to another. An owner with a name that dies between the two and comes back takes up what the first
//! step has left it, without any rebalance, as names are for, and nobody asks for the second one. The group is at rest
//! then, and its partitions wait until a member comes or goes. So members with names look, and one of them goes and
//! comes.

use std::time::Duration;

use tokio::time::Instant;

use super::queue::{Member, Position};
use super::source::KafkaSource;
use super::topics::{Topics, all_partitions};
use crate::Result;

/// How long a partition may be without an owner in a group at rest: its last one may still be flushing.
const REST: Duration = Duration::from_secs(9);

/// What was seen of a group.
#[derive(Debug, Default)]
pub(super) struct Orphans {
    /// Members with what they own, at rest and with partitions left over, and since when.
    seen: Option<(Vec<Member>, Instant)>,
}

impl Orphans {
    /// How many partitions have had no owner for too long, if it is up to the member of this name to leave and come
    /// back. That is the one which loses least by it.
    pub(super) fn look(
        &mut self,
        name: &str,
        members: Option<Vec<Member>>,
        partitions: impl Iterator<Item = Position>,
        now: Instant,
    ) -> Option<usize> {
        let members = members.unwrap_or_default();
        let is_owned = |at: &Position| {
            let mut owned = members.iter().flat_map(|member| &member.partitions);
            owned.any(|own| own.partition == at.partition && own.topic == at.topic)
        };
        let orphans = partitions.filter(|at| !is_owned(at)).count();
        if members.is_empty() || orphans == 0 {
            self.seen = None;
            return None;
        }
        let since = match &self.seen {
            Some((same, since)) if *same == members => *since,
            _ => now,
        };
        let named = members.iter().filter_map(|member| Some((member.partitions.len(), member.name.as_deref()?)));
        let is_ours = named.min().is_some_and(|(_, chosen)| chosen == name);
        if now.duration_since(since) < REST || !is_ours {
            self.seen = Some((members, since));
            return None;
        }
        self.seen = None;
        Some(orphans)
    }
}

impl KafkaSource {
    /// Leave the group and come back when that helps partitions which nobody has.
    pub(super) fn check_owners(&mut self, topics: &Topics, members: Option<Vec<Member>>) -> Result<()> {
        let Some(name) = self.config.member() else { return Ok(()) };
        let orphans = self.orphans.look(&name, members, all_partitions(topics), Instant::now());
        if let Some(partitions) = orphans.filter(|_| self.assigned && !self.answering) {
            tracing::warn!(partitions, member = name, "partitions have no owner; joining the group anew");
            self.consumer.unsubscribe()?;
            self.consumer.subscribe(&self.config.topics)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn partitions(range: std::ops::Range<i32>) -> Vec<Position> {
        range.map(|partition| Position { topic: "t".to_owned(), partition, offset: None }).collect()
    }

    fn group(members: &[(&str, std::ops::Range<i32>)]) -> Option<Vec<Member>> {
        let member = |(name, owned): &(&str, std::ops::Range<i32>)| Member {
            name: Some((*name).to_owned()).filter(|name| !name.is_empty()),
            partitions: partitions(owned.clone()),
        };
        Some(members.iter().map(member).collect())
    }

    #[test]
    fn the_member_with_least_moves_when_partitions_stay_without_an_owner() {
        let begin = Instant::now();
        let at = |seconds| begin + Duration::from_secs(seconds);
        let half = || group(&[("blue-0", 0..4), ("blue-1", 4..4), ("", 0..0)]);
        let mut other = Orphans::default();
        let mut look = |members, now| {
            assert_eq!(other.look("blue-0", members, partitions(0..8).into_iter(), now), None, "the other one moves");
        };
        for now in [0, 30] {
            look(half(), at(now));
        }
        let mut orphans = Orphans::default();
        let mut look = |members, now| orphans.look("blue-1", members, partitions(0..8).into_iter(), now);
        assert_eq!(look(half(), at(0)), None);
        assert_eq!(look(half(), at(5)), None, "the last owner may be flushing");
        assert_eq!(look(half(), at(10)), Some(4));
        assert_eq!(look(half(), at(11)), None, "once");
        assert_eq!(look(None, at(15)), None);
        assert_eq!(look(half(), at(22)), None, "it was not at rest in between");
        assert_eq!(look(group(&[("blue-0", 0..4), ("blue-1", 4..6)]), at(33)), None, "it has moved");
        assert_eq!(look(group(&[("blue-0", 0..4), ("blue-1", 4..8)]), at(50)), None);
        assert_eq!(look(half(), at(51)), None);
    }
}
