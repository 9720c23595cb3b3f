//! What a broker has to be made to do.

use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::TopicPartitionList;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::mocking::MockCluster;
use rdkafka::producer::{BaseProducer, BaseRecord, DefaultProducerContext, Producer};
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};

use super::{KafkaConfig, open};
use crate::source::{Assignment, Offset, PartitionId, Poll, Source};

const PATIENCE: Duration = Duration::from_secs(30);

/// What the group has committed of its one partition.
fn committed(consumer: &BaseConsumer) -> i64 {
    let mut partitions = TopicPartitionList::new();
    partitions.add_partition("views", 0);
    let committed = consumer.committed_offsets(partitions, PATIENCE).unwrap();
    committed.elements()[0].offset().to_raw().unwrap()
}

async fn first_batch(source: &mut dyn Source) -> (PartitionId, Offset) {
    loop {
        match source.poll().await.unwrap() {
            Poll::Assigned(assigned) => {
                for Assignment { partition, .. } in assigned {
                    source.seek(&partition, None).await.unwrap();
                }
            }
            Poll::Batch(batch) => return (batch.partition.unwrap(), batch.payloads.last().unwrap().offset),
            _ => {}
        }
    }
}

#[tokio::test]
async fn a_group_commit_that_was_refused_is_made_again_though_nothing_new_comes() {
    let cluster = MockCluster::<DefaultProducerContext>::new(1).unwrap();
    cluster.create_topic("views", 1, 1).unwrap();
    let mut client = ClientConfig::new();
    client.set("bootstrap.servers", cluster.bootstrap_servers()).set("group.id", "counters");
    let producer: BaseProducer = client.create().unwrap();
    producer.send(BaseRecord::<(), _>::to("views").partition(0).payload("{}")).unwrap();
    producer.flush(PATIENCE).unwrap();
    let onlooker: BaseConsumer = client.create().unwrap();

    let mut source = open(KafkaConfig::new(cluster.bootstrap_servers(), &["views"], "counters")).unwrap();
    let (partition, offset) = tokio::time::timeout(PATIENCE, first_batch(&mut *source)).await.unwrap();
    assert_eq!(committed(&onlooker), 0, "where it began");
    cluster.request_errors(
        RDKafkaApiKey::OffsetCommit,
        &[RDKafkaRespErr::RD_KAFKA_RESP_ERR_REBALANCE_IN_PROGRESS],
    );
    source.commit(&[(partition, offset)]).await.unwrap();
    let again = async {
        while committed(&onlooker) < 1 {
            assert!(matches!(source.poll().await.unwrap(), Poll::Idle));
        }
    };
    tokio::time::timeout(PATIENCE, again).await.expect("the commit is made again");
}
