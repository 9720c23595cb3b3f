//! What a trial sends, and how far it may go.

use std::ops::Range;
use std::time::Instant;

use super::Trial;
use crate::faults::Failure;
use crate::faults::feed::Feed;
use crate::pipelines::decode;

impl Trial {
    /// Begin to send.
    pub(in crate::faults) fn feed(&mut self) -> Result<(), Failure> {
        self.send_to(0..self.present)
    }

    /// Give the topic so many partitions more, and begin to send to them.
    pub(in crate::faults) async fn grow(&mut self, by: i32) -> Result<(), Failure> {
        let before = self.present;
        self.present += by;
        self.cluster.grow(&self.topic, self.present).await?;
        self.send_to(before..self.present)
    }

    fn send_to(&mut self, partitions: Range<i32>) -> Result<(), Failure> {
        let gate = self.gate.clone();
        self.feeds.push(Feed::start(&self.cluster, &self.topic, &self.load, &self.log, partitions, gate)?);
        Ok(())
    }

    /// Send no more than so many events until [`let_feed`](Self::let_feed) says so: what is to happen under load finds some,
    /// however long it takes.
    pub(in crate::faults) fn hold_feed(&self, events: usize) {
        self.gate.set(events.div_ceil(self.load.partitions as usize));
    }

    /// Send no more than what is on its way by now.
    pub(super) fn hold_feed_here(&self) {
        // The feed does not stand still meanwhile: it has a fifth of a second to notice.
        let margin = self.load.rate / 5;
        loop {
            self.hold_feed(self.sent_so_far() as usize + margin);
            if self.sent_so_far() <= self.let_so_far() {
                return;
            }
        }
    }

    /// Send so many events more.
    pub(in crate::faults) fn let_feed(&self, events: usize) {
        self.gate.set(self.gate.get().saturating_add(events.div_ceil(self.load.partitions as usize)));
    }

    /// How many events may be sent by now.
    pub(in crate::faults) fn let_so_far(&self) -> u64 {
        self.log.iter().map(|log| log.len().min(self.gate.get()) as u64).sum()
    }

    /// How many of them have this key.
    pub(in crate::faults) fn sent_of(&self, key: &str) -> u64 {
        let so_far = self.log.iter().flat_map(|log| log.iter().take(self.gate.get()));
        so_far.filter(|payload| decode(payload).is_ok_and(|tick| tick.key == key)).count() as u64
    }

    /// How many were sent by now.
    pub(in crate::faults) fn sent_so_far(&self) -> u64 {
        self.feeds.iter().map(Feed::sent).sum()
    }

    /// When this message was sent, if it was.
    pub(in crate::faults) fn sent_at(&self, partition: i32, offset: u64) -> Option<Instant> {
        self.feeds.iter().find_map(|feed| feed.sent_at(partition, offset))
    }

    /// Whether everything was sent.
    pub(in crate::faults) fn is_fed(&self) -> bool {
        !self.feeds.is_empty() && self.feeds.iter().all(Feed::has_ended)
    }

    /// Whether the fault is to go on: until it has happened often `enough`, and, where a length was given, as long as events
    /// are sent.
    pub(in crate::faults) fn goes_on(&self, enough: bool) -> bool {
        !enough || self.settings.length.is_some() && !self.is_fed()
    }
}
