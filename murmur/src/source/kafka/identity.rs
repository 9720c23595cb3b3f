//! What a partition is called: in tiles, and for people.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::source::PartitionId;

/// Characters of a topic's id that stand in every tile; 60 bits tell topics of one name apart.
const LENGTH: usize = 10;

/// What makes a topic that was deleted and created again another one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TopicId(String);

impl TopicId {
    /// From the id that the cluster gave it.
    pub(super) fn of(id: [u8; 16]) -> Self {
        Self(URL_SAFE_NO_PAD.encode(id)[..LENGTH].to_owned())
    }

    /// For a broker that gives no ids (older than Kafka 2.8, and some that speak its protocol): the cluster and the
    /// name, which stay the same when the topic is created again.
    pub(super) fn of_name(cluster: &str, topic: &str) -> Self {
        let named = |seed: &str| crate::event::field_hash(&format!("{seed}\0{cluster}\0{topic}")).to_be_bytes();
        let mut id = [0; 16];
        id[..8].copy_from_slice(&named("a"));
        id[8..].copy_from_slice(&named("b"));
        Self::of(id)
    }

    /// `k:<topic id>`.
    pub(super) fn whole(&self) -> Box<str> {
        format!("k:{}", self.0).into()
    }

    /// `k:<topic id>:<partition>`.
    pub(super) fn partition(&self, partition: i32) -> PartitionId {
        PartitionId::new(format!("k:{}:{partition}", self.0))
    }
}

/// Where a person finds a message: `topic[partition]@offset`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::source) struct Place {
    pub(in crate::source) topic: String,
    pub(in crate::source) partition: i32,
    pub(in crate::source) offset: u64,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}[{}]@{}", self.topic, self.partition, self.offset)
    }
}

impl FromStr for Place {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (topic, rest) = text.split_once('[').ok_or(())?;
        let (partition, offset) = rest.split_once("]@").ok_or(())?;
        let (partition, offset) = (partition.parse().map_err(drop)?, offset.parse().map_err(drop)?);
        Ok(Self { topic: topic.to_owned(), partition, offset })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partition_is_named_by_the_id_of_its_topic() {
        let id = std::array::from_fn(|n| n as u8 * 16 + 15);
        assert_eq!(TopicId::of(id).partition(7).as_str(), "k:Dx8vP09fb3:7");
        let other = TopicId::of_name("cluster", "views");
        assert_eq!(other, TopicId::of_name("cluster", "views"));
        assert_eq!(other.partition(0).as_str().len(), "k:0123456789:0".len());
        assert_ne!(other, TopicId::of_name("cluster", "views2"));
        assert_ne!(other, TopicId::of_name("cluste", "rviews"));
    }

    #[test]
    fn places_read_back() {
        let place = Place { topic: "shop.views-1".into(), partition: 3, offset: 17 };
        assert_eq!(place.to_string(), "shop.views-1[3]@17");
        assert_eq!(place.to_string().parse(), Ok(place));
        for other in ["/data/a.jsonl:17", "a[b]@1", "a[1]", "standard input:3"] {
            assert!(other.parse::<Place>().is_err(), "{other}");
        }
    }
}
