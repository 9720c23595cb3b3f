//! Messages, as they arrive.

use super::held::{Along, Stage, Taken};
use super::queue::Position;
use super::source::KafkaSource;
use crate::Result;

impl KafkaSource {
    /// Take what has arrived, and cut it into batches of one partition each; how many there were.
    pub(super) fn take(&mut self) -> usize {
        let Self { config, traces, consumer, held, slots, failures, ready, spare, .. } = self;
        let along = Along { metadata: config.metadata, traces: *traces };
        let mut touched: Vec<usize> = Vec::new();
        // Messages of one partition come in runs.
        let mut run = None;
        let taken = consumer.take(slots, |message| {
            let key = (message.topic_token(), message.partition());
            let at = match run {
                Some((last, at)) if last == key => at,
                _ => {
                    let topic = message.topic();
                    let at = held.iter().position(|held| held.partition == key.1 && *held.c_topic == *topic);
                    run = Some((key, at));
                    at
                }
            };
            let taken = match (message.failure(), at) {
                (None, Some(at)) => held[at].take(message, along, spare),
                // Of a partition that is not ours any more.
                (None, None) => Taken::Left,
                // The group's own have no topic, and 0 for a partition.
                (Some(failure), None) if !message.has_topic() => {
                    failures.push_back((None, failure));
                    Taken::Left
                }
                (Some(_), None) if message.partition() >= 0 => Taken::Left,
                (Some(failure), Some(at)) if failure.is_end_of_log() => held[at].pass(message.offset(), spare),
                (Some(failure), _) => {
                    if let Some(at) = at {
                        held[at].refetch();
                    }
                    let topic = message.topic().to_string_lossy().into_owned();
                    let offset = Some(message.offset()).filter(|offset| *offset >= 0);
                    failures.push_back((Some(Position { topic, partition: message.partition(), offset }), failure));
                    Taken::Left
                }
            };
            if let (Taken::Kept, Some(at)) = (taken, at)
                && touched.last() != Some(&at)
                && !touched.contains(&at)
            {
                touched.push(at);
                // One of a batch will do, and costs nothing.
                held[at].stamp(message.failure().is_none().then(|| message.stamped()).flatten());
            }
        });
        for at in touched {
            let end = consumer.known_end(&held[at].c_topic, held[at].partition);
            ready.extend(held[at].finish(end));
        }
        taken
    }

    /// Nothing more has arrived: look where transaction markers have moved the positions to, which are not delivered.
    /// Where reading ends at the end, the end is reported, and makes the positions wrong.
    pub(super) fn pass_markers(&mut self) -> Result<bool> {
        if self.config.until_end {
            return Ok(false);
        }
        let Self { consumer, held, ready, spare, .. } = self;
        let asked: Vec<Position> =
            held.iter().filter(|held| held.stage == Stage::Fetching).map(|held| held.at(None)).collect();
        if asked.is_empty() {
            return Ok(false);
        }
        let mut passed = false;
        for position in consumer.position(&asked)? {
            let Some(held) = held.iter_mut().find(|held| held.is(&position)) else { continue };
            if let Some(offset) = position.offset
                && held.pass(offset, spare) == Taken::Kept
            {
                ready.extend(held.finish(consumer.known_end(&held.c_topic, held.partition)));
                passed = true;
            }
        }
        Ok(passed)
    }
}
