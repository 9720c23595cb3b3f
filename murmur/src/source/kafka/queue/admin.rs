//! What the cluster knows of topics and groups. The rules for `unsafe` are those of the module above.

use std::ptr::{self, NonNull};
use std::time::Duration;

use rdkafka::types::RDKafkaErrorCode as Code;
use rdkafka_sys as sys;
use rdkafka_sys::rd_kafka_admin_op_t as Op;

use super::position::{List, c_string, entries};
use super::{Consumer, Position, failed_with, millis, text_of};
use crate::source::kafka::failure::Failure;

/// What a broker says of a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::source::kafka) struct Described {
    /// Most significant byte first; `None` from a broker that gives none.
    pub(in crate::source::kafka) id: Option<[u8; 16]>,
    /// How many partitions it has: they are numbered from 0 on.
    pub(in crate::source::kafka) partitions: i32,
}

/// A member of the group, as its coordinator sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::source::kafka) struct Member {
    /// Its `group.instance.id`.
    pub(in crate::source::kafka) name: Option<String>,
    /// What the last assignment gave it.
    pub(in crate::source::kafka) partitions: Vec<Position>,
}

impl Consumer {
    /// What these topics are; one that does not exist is an error.
    pub(in crate::source::kafka) fn describe(
        &self,
        topics: &[String],
        patience: Duration,
    ) -> Result<Vec<Described>, Failure> {
        topics.iter().map(|topic| self.describe_topic(topic, patience)).collect()
    }

    fn describe_topic(&self, topic: &str, patience: Duration) -> Result<Described, Failure> {
        let name = c_string(topic)?;
        let mut names = [name.as_ptr()];
        let answer = self.ask_admin(Op::RD_KAFKA_ADMIN_OP_DESCRIBETOPICS, patience, |options, queue| {
            // SAFETY: all handles are valid; the names live through the call, which copies them.
            unsafe {
                let topics = sys::rd_kafka_TopicCollection_of_topic_names(names.as_mut_ptr(), names.len());
                sys::rd_kafka_DescribeTopics(self.rk.as_ptr(), topics, options, queue);
                sys::rd_kafka_TopicCollection_destroy(topics);
            }
        });
        answer.and_then(|answer| answer.topic()).map_err(|failure| failure.while_doing(format!("topic `{topic}`")))
    }

    /// The offset after the newest message of a partition, whether it is certain or of an open transaction.
    pub(in crate::source::kafka) fn end(&self, at: &Position, patience: Duration) -> Result<i64, Failure> {
        let newest = i64::from(sys::rd_kafka_OffsetSpec_t::RD_KAFKA_OFFSET_SPEC_LATEST as i32);
        let list = List::of([(at.topic.as_str(), at.partition, Some(newest))])?;
        let answer = self.ask_admin(Op::RD_KAFKA_ADMIN_OP_LISTOFFSETS, patience, |options, queue| {
            // SAFETY: all handles are valid; the list lives through the call, which copies it. Without an isolation level
            // all messages are asked for.
            unsafe { sys::rd_kafka_ListOffsets(self.rk.as_ptr(), list.as_ptr(), options, queue) };
        });
        answer.and_then(|answer| answer.offset()).map_err(|failure| failure.while_doing(format!("partition `{at}`")))
    }

    /// The members of a group that is not rebalancing; `None` of one that is, or of one without members.
    pub(in crate::source::kafka) fn members(
        &self,
        group: &str,
        patience: Duration,
    ) -> Result<Option<Vec<Member>>, Failure> {
        let name = c_string(group)?;
        let mut names = [name.as_ptr()];
        let answer = self.ask_admin(Op::RD_KAFKA_ADMIN_OP_DESCRIBECONSUMERGROUPS, patience, |options, queue| {
            // SAFETY: all handles are valid; the names live through the call, which copies them.
            unsafe {
                sys::rd_kafka_DescribeConsumerGroups(self.rk.as_ptr(), names.as_mut_ptr(), names.len(), options, queue);
            }
        });
        answer.and_then(|answer| answer.members()).map_err(|failure| failure.while_doing(format!("group `{group}`")))
    }

    /// The id of the cluster, where the broker has one.
    pub(in crate::source::kafka) fn cluster_id(&self, patience: Duration) -> Option<String> {
        // SAFETY: the handle is valid; the string is ours.
        let id = unsafe { sys::rd_kafka_clusterid(self.rk.as_ptr(), millis(patience)) };
        if id.is_null() {
            return None;
        }
        let text = text_of(id);
        // SAFETY: as its documentation says, the string is to be freed by this call; it is not used again.
        unsafe { sys::rd_kafka_mem_free(self.rk.as_ptr(), id.cast()) };
        Some(text)
    }

    /// Send a request with these options, whose answer comes to that queue, and wait for it.
    fn ask_admin(
        &self,
        op: Op,
        patience: Duration,
        send: impl FnOnce(*const sys::rd_kafka_AdminOptions_t, *mut sys::rd_kafka_queue_t),
    ) -> Result<Answer, Failure> {
        let mut why = [0; 256];
        // SAFETY: queue and options are ours and are destroyed here; the request keeps what it needs of them.
        let event = unsafe {
            let queue = sys::rd_kafka_queue_new(self.rk.as_ptr());
            let options = sys::rd_kafka_AdminOptions_new(self.rk.as_ptr(), op);
            sys::rd_kafka_AdminOptions_set_request_timeout(options, millis(patience), why.as_mut_ptr(), why.len());
            send(options, queue);
            // A little longer than the request, which ends by itself.
            let event = sys::rd_kafka_queue_poll(queue, millis(patience + Duration::from_secs(1)));
            sys::rd_kafka_AdminOptions_destroy(options);
            sys::rd_kafka_queue_destroy(queue);
            event
        };
        let Some(event) = NonNull::new(event) else {
            return Err(Failure::new(Code::OperationTimedOut, "the broker does not answer".to_owned()));
        };
        let answer = Answer(event);
        // SAFETY: the event is valid, and its text belongs to it.
        let (raw, text) = unsafe {
            (sys::rd_kafka_event_error(event.as_ptr()), text_of(sys::rd_kafka_event_error_string(event.as_ptr())))
        };
        failed_with(raw, &text).map(|()| answer)
    }
}

/// An answer of the cluster.
struct Answer(NonNull<sys::rd_kafka_event_t>);

impl Answer {
    fn topic(&self) -> Result<Described, Failure> {
        // SAFETY: the event is valid, and everything read here belongs to it.
        unsafe {
            let result = sys::rd_kafka_event_DescribeTopics_result(self.0.as_ptr());
            let mut count = 0;
            let topics = if result.is_null() {
                ptr::null_mut()
            } else {
                sys::rd_kafka_DescribeTopics_result_topics(result, &mut count)
            };
            if topics.is_null() || count == 0 {
                return Err(Failure::new(Code::UnknownTopicOrPartition, "the broker does not describe it".to_owned()));
            }
            let topic = *topics;
            error(sys::rd_kafka_TopicDescription_error(topic))?;
            let mut partitions = 0;
            sys::rd_kafka_TopicDescription_partitions(topic, &mut partitions);
            let id = sys::rd_kafka_TopicDescription_topic_id(topic);
            let id = if id.is_null() {
                None
            } else {
                let mut bytes = [0; 16];
                bytes[..8].copy_from_slice(&sys::rd_kafka_Uuid_most_significant_bits(id).to_be_bytes());
                bytes[8..].copy_from_slice(&sys::rd_kafka_Uuid_least_significant_bits(id).to_be_bytes());
                Some(bytes).filter(|bytes| *bytes != [0; 16])
            };
            Ok(Described { id, partitions: i32::try_from(partitions).unwrap_or(i32::MAX) })
        }
    }

    fn offset(&self) -> Result<i64, Failure> {
        // SAFETY: the event is valid, and everything read here belongs to it.
        unsafe {
            let result = sys::rd_kafka_event_ListOffsets_result(self.0.as_ptr());
            let mut count = 0;
            let infos = if result.is_null() {
                ptr::null_mut()
            } else {
                sys::rd_kafka_ListOffsets_result_infos(result, &mut count)
            };
            let at = if infos.is_null() || count == 0 {
                ptr::null()
            } else {
                sys::rd_kafka_ListOffsetsResultInfo_topic_partition(*infos)
            };
            let Some(at) = at.as_ref() else {
                return Err(Failure::new(Code::UnknownPartition, "the broker does not say where it ends".to_owned()));
            };
            failed_with(at.err, "cannot read the end").map(|()| at.offset)
        }
    }

    fn members(&self) -> Result<Option<Vec<Member>>, Failure> {
        // SAFETY: the event is valid, and everything read here belongs to it.
        unsafe {
            let result = sys::rd_kafka_event_DescribeConsumerGroups_result(self.0.as_ptr());
            let mut count = 0;
            let groups = if result.is_null() {
                ptr::null_mut()
            } else {
                sys::rd_kafka_DescribeConsumerGroups_result_groups(result, &mut count)
            };
            if groups.is_null() || count == 0 {
                return Ok(None);
            }
            let group = *groups;
            error(sys::rd_kafka_ConsumerGroupDescription_error(group))?;
            let stable = sys::rd_kafka_consumer_group_state_t::RD_KAFKA_CONSUMER_GROUP_STATE_STABLE;
            if sys::rd_kafka_ConsumerGroupDescription_state(group) != stable {
                return Ok(None);
            }
            let members = (0..sys::rd_kafka_ConsumerGroupDescription_member_count(group)).map(|at| {
                let member = sys::rd_kafka_ConsumerGroupDescription_member(group, at);
                let name = text_of(sys::rd_kafka_MemberDescription_group_instance_id(member));
                let assignment = sys::rd_kafka_MemberDescription_assignment(member);
                let partitions = if assignment.is_null() {
                    Vec::new()
                } else {
                    entries(sys::rd_kafka_MemberAssignment_partitions(assignment))
                };
                Member {
                    name: Some(name).filter(|name| !name.is_empty()),
                    partitions: partitions.into_iter().map(|(position, _)| position).collect(),
                }
            });
            Ok(Some(members.collect()))
        }
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        // SAFETY: the event is ours and not used again.
        unsafe { sys::rd_kafka_event_destroy(self.0.as_ptr()) };
    }
}

/// What an error that belongs to an answer says, if there is one.
///
/// # Safety
/// `error` is null or valid.
unsafe fn error(error: *const sys::rd_kafka_error_t) -> Result<(), Failure> {
    if error.is_null() {
        return Ok(());
    }
    // SAFETY: the caller's promise.
    unsafe { failed_with(sys::rd_kafka_error_code(error), &text_of(sys::rd_kafka_error_string(error))) }
}
