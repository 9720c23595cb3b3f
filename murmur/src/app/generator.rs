use std::io::{self, BufWriter, Write};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::cli::GenerateArgs;
use super::exit::Exit;
use super::{App, print};
use crate::engine::{Clock, SystemClock};
use crate::source::{Assignment, Batch, Offset, PartitionId, Payload, Poll, Source, Start};
use crate::time::{Span, Timestamp};
use crate::{Error, ErrorKind, Result};

/// Writes the JSON line (without its end) of the event with this index, counted from 0, into an empty `line`.
///
/// A pure function of its arguments, so that any stretch of the stream can be made again: that is what lets a worker
/// that failed take up in the middle.
pub type Line = fn(&Generate, index: u64, line: &mut Vec<u8>);

/// What decides a made-up stream of events. The same values give the same events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Generate {
    /// Where the random choices start.
    pub seed: u64,
    /// How many keys there are.
    pub keys: u64,
    /// Time of the first event.
    pub start: Timestamp,
    /// Time from one event to the next, before any are made late.
    pub step: Span,
}

impl Generate {
    /// Time of the event with this index, if it is on time.
    pub fn time(&self, index: u64) -> Timestamp {
        self.start.saturating_add(Span::from_micros((self.step.as_micros() as u64).saturating_mul(index)))
    }

    /// A random number that depends on the seed, the index and `purpose` alone (SplitMix64's finalizer).
    pub fn random(&self, index: u64, purpose: u64) -> u64 {
        let mut x = self.seed ^ index.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ purpose.wrapping_mul(0xd1b5_4a32_d192_ed03);
        for _ in 0..2 {
            x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
            x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            x ^= x >> 31;
        }
        x
    }

    /// As [`random`](Self::random), in `[0, 1)`.
    pub fn fraction(&self, index: u64, purpose: u64) -> f64 {
        (self.random(index, purpose) >> 11) as f64 / (1u64 << 53) as f64
    }

    /// One of `count` things, the first ones often: rank `k` (from 0) has the probability
    /// `ln((k + 2) / (k + 1)) / ln(count + 1)`, which is Zipf's law with exponent 1 but for the first few.
    pub fn zipf(&self, index: u64, purpose: u64, count: u64) -> u64 {
        let rank = ((count as f64 + 1.0).ln() * self.fraction(index, purpose)).exp() as u64;
        rank.clamp(1, count.max(1)) - 1
    }
}

/// A made-up stream as it happens: each event is there from its time on.
#[derive(Debug)]
pub(super) struct Generator {
    what: Generate,
    line: Line,
    /// Named by its start: every run makes another stream.
    partition: PartitionId,
    assigned: bool,
    /// The next event; `None` until the engine has said where to start.
    next: Option<u64>,
}

/// Events of one batch.
const BATCH: u64 = 4_096;

/// How long to wait for the next event.
const WAIT: Duration = Duration::from_millis(50);

impl Generator {
    pub(super) fn new(what: Generate, line: Line) -> Self {
        let partition = PartitionId::new(format!("generator@{}", what.start));
        Self { what, line, partition, assigned: false, next: None }
    }

    /// Events whose time has come.
    fn due(&self) -> u64 {
        let since = SystemClock.now().since(self.what.start);
        1 + since.as_micros() as u64 / self.what.step.as_micros().max(1) as u64
    }

    fn batch(&mut self) -> Option<Batch> {
        let next = self.next?;
        let due = self.due();
        let end = due.min(next + BATCH);
        if end <= next {
            return None;
        }
        let mut batch = Batch { partition: Some(self.partition.clone()), lag: Some(due - end), ..Batch::default() };
        // Of its own: what a generator does to its line must not reach the lines before it.
        let mut line = Vec::with_capacity(512);
        for index in next..end {
            line.clear();
            (self.line)(&self.what, index, &mut line);
            let start = batch.buffer.len();
            batch.buffer.extend_from_slice(&line);
            let bytes = start..batch.buffer.len();
            batch.payloads.push(Payload { offset: Offset::from_u64(index), bytes, broken: None });
        }
        self.next = Some(end);
        Some(batch)
    }
}

impl Source for Generator {
    fn poll(&mut self) -> BoxFuture<'_, Result<Poll>> {
        async {
            if !self.assigned {
                self.assigned = true;
                let partition = self.partition.clone();
                return Ok(Poll::Assigned(vec![Assignment { partition, start: Start::Beginning, among: None }]));
            }
            if let Some(batch) = self.batch() {
                return Ok(Poll::Batch(batch));
            }
            tokio::time::sleep(WAIT).await;
            Ok(self.batch().map_or(Poll::Idle, Poll::Batch))
        }
        .boxed()
    }

    fn seek<'a>(&'a mut self, _: &'a PartitionId, after: Option<Offset>) -> BoxFuture<'a, Result<()>> {
        let [.., last] = after.map_or([0; 4], |offset| offset.words());
        self.next = Some(if after.is_some() { last + 1 } else { 0 });
        async { Ok(()) }.boxed()
    }

    fn commit<'a>(&'a mut self, _: &'a [(PartitionId, Offset)]) -> BoxFuture<'a, Result<()>> {
        // The commit lies in the engine's partition record; a made-up stream has nowhere else to keep it.
        async { Ok(()) }.boxed()
    }
}

/// `generate`: the lines to standard output.
pub(super) fn generate(app: &App, args: &GenerateArgs) -> Result<Exit> {
    let Some(line) = app.generator else {
        let context = format!("`{}` has no generator; give `murmur::main!` one with `generator = ...`", app.name);
        return Err(Error::new(ErrorKind::InvalidArgument, context));
    };
    let what = args.stream();
    print::note(format_args!(
        "{} events; for the same again: --seed {} --keys {} --start {}",
        args.events, what.seed, what.keys, what.start
    ));
    let mut out = BufWriter::with_capacity(1 << 16, io::stdout().lock());
    let mut buffer = Vec::with_capacity(512);
    for index in 0..args.events {
        buffer.clear();
        line(&what, index, &mut buffer);
        buffer.push(b'\n');
        out.write_all(&buffer)?;
    }
    out.flush()?;
    Ok(Exit::Done)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream() -> Generate {
        let start = SystemClock.now().saturating_sub(Span::from_seconds(3_600));
        Generate { seed: 7, keys: 10, start, step: Span::from_millis(100) }
    }

    fn line(what: &Generate, index: u64, line: &mut Vec<u8>) {
        line.extend_from_slice(format!("{index} {}", what.zipf(index, 1, what.keys)).as_bytes());
    }

    async fn batch(generator: &mut Generator) -> Vec<(Offset, String)> {
        loop {
            if let Poll::Batch(batch) = generator.poll().await.unwrap() {
                let text = |bytes: &std::ops::Range<usize>| String::from_utf8(batch.buffer[bytes.clone()].to_vec());
                return batch.payloads.iter().map(|p| (p.offset, text(&p.bytes).unwrap())).collect();
            }
        }
    }

    #[tokio::test]
    async fn any_stretch_can_be_made_again() {
        let mut generator = Generator::new(stream(), line);
        let Poll::Assigned(assigned) = generator.poll().await.unwrap() else { panic!("nothing was assigned") };
        let partition = &assigned[0].partition;
        generator.seek(partition, None).await.unwrap();
        let first = batch(&mut generator).await;
        assert_eq!(first[0].0, Offset::from_u64(0));
        let second = batch(&mut generator).await;
        generator.seek(partition, first.last().map(|(offset, _)| *offset)).await.unwrap();
        assert_eq!(batch(&mut generator).await, second);
        generator.seek(partition, None).await.unwrap();
        assert_eq!(batch(&mut generator).await, first);
    }

    #[tokio::test]
    async fn a_generator_that_rewrites_its_line_leaves_the_others_alone() {
        let rewriting: Line = |_, index, line| {
            line.extend_from_slice(b"replaced below");
            *line = index.to_string().into_bytes();
        };
        let mut generator = Generator::new(stream(), rewriting);
        let Poll::Assigned(assigned) = generator.poll().await.unwrap() else { panic!("nothing was assigned") };
        generator.seek(&assigned[0].partition, None).await.unwrap();
        let lines = batch(&mut generator).await;
        assert_eq!(lines.len(), BATCH as usize);
        assert!(lines.iter().enumerate().all(|(index, (_, line))| *line == index.to_string()));
    }

    #[test]
    fn the_first_ranks_are_frequent_and_all_are_there() {
        let what = stream();
        let mut counts = [0u32; 10];
        (0..10_000).for_each(|index| counts[what.zipf(index, 3, 10) as usize] += 1);
        assert!(counts[0] > 2_000 && counts.windows(2).all(|pair| pair[0] > pair[1] / 2), "{counts:?}");
        assert!(counts.iter().all(|count| *count > 200), "{counts:?}");
    }

    #[test]
    fn an_event_is_due_at_its_time() {
        let generator = Generator::new(Generate { start: SystemClock.now(), ..stream() }, line);
        assert!((1..=2).contains(&generator.due()));
    }
}
