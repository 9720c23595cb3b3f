use std::io::{self, Read};
use std::sync::Arc;
use std::thread;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::config::JsonlConfig;
use super::head::Head;
use super::lines::Lines;
use super::manifest::record_name;
use crate::source::{Assignment, Batch, Offset, PartitionId, Poll, RecordOutcome, Records, Shelf, Source, Start};
use crate::time::Span;
use crate::{Error, ErrorKind, Result};

/// Lines of an input that can be read only once: one partition, which ends with the input.
pub(super) struct StdinSource {
    record: String,
    partition: PartitionId,
    records: Arc<dyn Records>,
    chunks: mpsc::Receiver<io::Result<Vec<u8>>>,
    /// What came first, until it is enough to know the input by. Then it was checked.
    beginning: Option<Vec<u8>>,
    lines: Lines,
    state: State,
    wait: Span,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    New,
    /// Assigned, and the engine has not yet said from where.
    Assigned,
    Reading,
    Ended,
}

const CHUNK: usize = 256 << 10;

impl StdinSource {
    /// Read `input`, from a thread of its own: it may block for as long as it likes.
    pub(super) fn new(config: &JsonlConfig, records: Arc<dyn Records>, input: impl Read + Send + 'static) -> Self {
        let id = config.id.as_deref().unwrap_or("stdin");
        let (sender, chunks) = mpsc::channel(4);
        thread::spawn(move || read_chunks(input, &sender));
        Self {
            record: record_name(id),
            partition: PartitionId::new(format!("f:{id}:1")),
            records,
            chunks,
            beginning: Some(Vec::new()),
            lines: Lines::new(1, 0, config.max_line.0),
            state: State::New,
            wait: config.every,
        }
    }

    async fn next(&mut self) -> Result<Poll> {
        match self.state {
            State::New => {
                self.state = State::Assigned;
                let partition = self.partition.clone();
                return Ok(Poll::Assigned(vec![Assignment { partition, start: Start::Beginning, among: None }]));
            }
            State::Assigned => {
                tokio::time::sleep(self.wait.to_std()).await;
                return Ok(Poll::Idle);
            }
            State::Ended => return Ok(Poll::End),
            State::Reading => {}
        }
        let Ok(received) = timeout(self.wait.to_std(), self.chunks.recv()).await else { return Ok(Poll::Idle) };
        let chunk = received
            .transpose()
            .map_err(|error| Error::new(ErrorKind::Io, "cannot read standard input").with_source(error))?;
        let end = chunk.is_none();
        let Some(bytes) = self.admit(chunk.unwrap_or_default(), end).await? else { return Ok(Poll::Idle) };
        let mut buffer = self.lines.begin(bytes.len());
        buffer.extend_from_slice(&bytes);
        let cut = self.lines.cut(buffer, end);
        if end {
            self.state = State::Ended;
            if self.lines.missing() > 0 {
                return Err(self.other(&format!("it ends {} lines too early", self.lines.missing())));
            }
        }
        Ok(Poll::Batch(Batch {
            partition: Some(self.partition.clone()),
            buffer: cut.buffer,
            payloads: cut.payloads,
            lag: end.then_some(0),
            reached: Some(self.lines.position()),
            ..Batch::default()
        }))
    }

    /// Hold bytes back until it is sure that they begin the input that was read before, or a new one.
    async fn admit(&mut self, bytes: Vec<u8>, end: bool) -> Result<Option<Vec<u8>>> {
        let Some(beginning) = &mut self.beginning else { return Ok(Some(bytes)) };
        beginning.extend_from_slice(&bytes);
        let stands = self.records.record(&Shelf::Sources, &self.record).await?;
        let known: Option<Head> = match &stands {
            None => None,
            Some(record) => Some(serde_json::from_slice(&record.bytes).map_err(|error| {
                let context = format!("record `{}` does not say how standard input began", self.record);
                Error::new(ErrorKind::Corrupt, context).with_source(error)
            })?),
        };
        match known {
            Some(head) if beginning.len() < head.length && !end => return Ok(None),
            Some(head) if !head.fits(beginning) => return Err(self.other("it begins with other bytes")),
            Some(_) => {}
            None if beginning.is_empty() => {}
            None => {
                let bytes = serde_json::to_vec(&Head::of(beginning)).map_err(|error| {
                    Error::new(ErrorKind::Internal, "cannot write how standard input began").with_source(error)
                })?;
                let put = self.records.put_record(&Shelf::Sources, &self.record, bytes, None).await?;
                if let RecordOutcome::Refused(_) = put {
                    let context = format!("another process reads the input `{}` just now", self.record);
                    return Err(Error::new(ErrorKind::Conflict, context));
                }
            }
        }
        Ok(self.beginning.take())
    }

    fn other(&self, what: &str) -> Error {
        let context = format!(
            "this standard input is not the one that was read before as `{}`: {what}; give the same one from its \
             start, or give this one a name of its own (`-?id=NAME`)",
            self.partition
        );
        Error::new(ErrorKind::OutOfRange, context)
    }
}

fn read_chunks(mut input: impl Read, sender: &mpsc::Sender<io::Result<Vec<u8>>>) {
    let mut buffer = vec![0; CHUNK];
    loop {
        let chunk = match input.read(&mut buffer) {
            Ok(0) => return,
            Ok(length) => Ok(buffer[..length].to_vec()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => Err(error),
        };
        let failed = chunk.is_err();
        if sender.blocking_send(chunk).is_err() || failed {
            return;
        }
    }
}

impl Source for StdinSource {
    fn poll(&mut self) -> BoxFuture<'_, Result<Poll>> {
        self.next().boxed()
    }

    fn seek<'a>(&'a mut self, _: &'a PartitionId, after: Option<Offset>) -> BoxFuture<'a, Result<()>> {
        async move {
            let line = match after.map(|offset| offset.words()) {
                None => 0,
                Some([0, 0, 1, line]) => line,
                Some(_) => return Err(self.other("its position means something else")),
            };
            if line < self.lines.line() {
                let context = "standard input cannot be read again from an earlier line; start again with the same \
                               input from its start";
                return Err(Error::new(ErrorKind::OutOfRange, context));
            }
            if self.state == State::Assigned {
                self.state = State::Reading;
            }
            self.lines.skip_to(line);
            Ok(())
        }
        .boxed()
    }

    /// Positions lie in the engine's own records.
    fn commit<'a>(&'a mut self, _: &'a [(PartitionId, Offset)]) -> BoxFuture<'a, Result<()>> {
        async { Ok(()) }.boxed()
    }

    fn place(&self, _: &PartitionId, offset: Offset) -> Option<String> {
        Some(format!("standard input:{}", offset.words()[3]))
    }
}
