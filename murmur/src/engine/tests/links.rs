//! Whose spans a flush is linked to.

use opentelemetry_sdk::trace::SpanData;

use super::*;
use crate::metrics::tests::spans::Spans;
use crate::source::{Trace, Traced};

/// A list whose payloads were made in spans of these numbers, and of how many it is to say so.
struct Spanned {
    list: Box<List>,
    spans: Vec<u64>,
    at_most: usize,
}

impl Spanned {
    fn new(spans: &[u64]) -> Box<Self> {
        Box::new(Self { list: List::new(&vec!["a@860000"; spans.len()]), spans: spans.to_vec(), at_most: 0 })
    }
}

impl Source for Spanned {
    fn poll(&mut self) -> BoxFuture<'_, Result<Poll>> {
        Box::pin(async {
            Ok(match self.list.poll().await? {
                Poll::Batch(batch) if self.at_most > 0 => {
                    let span = self.spans[self.list.next - 1];
                    let state = if span == 3 { "not well-formed" } else { "shop=42" };
                    let traced = Traced { payload: 0, trace: Trace { trace: 7, span, state: state.into() } };
                    Poll::Batch(Batch { traces: vec![traced], ..batch })
                }
                poll => poll,
            })
        })
    }

    fn seek<'a>(&'a mut self, partition: &'a PartitionId, after: Option<Offset>) -> BoxFuture<'a, Result<()>> {
        self.list.seek(partition, after)
    }

    fn commit<'a>(&'a mut self, commits: &'a [(PartitionId, Offset)]) -> BoxFuture<'a, Result<()>> {
        self.list.commit(commits)
    }

    fn carry_traces(&mut self, at_most: usize) {
        self.at_most = at_most;
    }
}

/// At the end only, but for `hours`, which flushes whenever it can; linked to so many spans at most.
fn at_the_end(span_links: usize) -> Options {
    let pipeline_intervals = [("hours".to_owned(), Span::ZERO)].into();
    Options { span_links, flush_interval: Span::from_seconds(3_600), pipeline_intervals, ..Options::default() }
}

fn linking(store: &Arc<MemoryStore>, spans: &[u64], at_most: usize) -> WorkerBuilder<Word> {
    worker_of(store, Spanned::new(spans), &Letters::default()).options(at_the_end(at_most))
}

fn flushes(spans: &Spans) -> Vec<SpanData> {
    spans.taken().into_iter().filter(|span| span.name == "flush").collect()
}

/// The spans that a flush is linked to, and what their systems add.
fn links(flush: &SpanData) -> Vec<(u64, String)> {
    let of = |link: &opentelemetry::trace::Link| {
        let context = &link.span_context;
        assert!(context.is_sampled() && context.is_remote() && context.trace_id() == 7.into(), "{context:?}");
        (u64::from_be_bytes(context.span_id().to_bytes()), context.trace_state().header())
    };
    flush.links.iter().map(of).collect()
}

fn of_shop(spans: &[u64]) -> Vec<(u64, String)> {
    spans.iter().map(|span| (*span, "shop=42".to_owned())).collect()
}

#[tokio::test]
async fn a_flush_is_linked_to_a_few_spans_of_its_events_each_once() {
    let spans = Spans::keep();
    for (at_most, linked) in [(0, &[][..]), (2, &[1, 2]), (16, &[1, 2, 4, 5])] {
        let store = Arc::new(MemoryStore::new());
        to_the_end(linking(&store, &[1, 2, 1, 4, 5, 5], at_most).pipeline::<Words>()).await;
        let flushes = flushes(&spans);
        assert_eq!((flushes.len(), links(&flushes[0])), (1, of_shop(linked)));
    }
}

#[tokio::test]
async fn a_flush_is_linked_to_what_its_pipelines_lacked() {
    let spans = Spans::keep();
    let store = Arc::new(MemoryStore::new());
    to_the_end(linking(&store, &[1, 2], 16).pipeline::<Words>()).await;
    spans.taken();
    // The one that joins reads everything again, and flushes by itself.
    to_the_end(linking(&store, &[1, 2, 3], 16).pipeline::<Words>().pipeline::<Hours>()).await;
    let mut linked: Vec<_> = flushes(&spans).iter().map(links).collect();
    assert_eq!(linked.pop().unwrap(), [(3, String::new())], "a state that is not well-formed is not passed on");
    assert_eq!(linked.concat(), [of_shop(&[1, 2]), vec![(3, String::new())]].concat());
}

#[tokio::test(start_paused = true)]
async fn what_is_read_again_after_a_conflict_is_linked_to_the_flush_that_has_it() {
    let spans = Spans::keep();
    let store = Arc::new(MemoryStore::new());
    written_by_someone_else(&store).await;
    to_the_end(linking(&store, &[1, 2], 16).pipeline::<Words>()).await;
    let linked: Vec<_> = flushes(&spans).iter().map(links).collect();
    assert_eq!(linked, [of_shop(&[1, 2]), of_shop(&[1, 2])], "the first one is refused");
}
