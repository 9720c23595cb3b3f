use std::borrow::Cow;
use std::marker::PhantomData;
use std::sync::{Arc, OnceLock};

use hashbrown::HashMap;
use metrics::Histogram;

use super::budget::{Budget, RANGE};
use super::coalesce::{Coalesce, Read};
use super::fold::Folded;
use super::gather::at_once;
use super::held::Watch;
use super::limits::Of;
use super::plan;
use super::points::Points;
use super::progress::{Progress, Seen};
use super::roll::Rolls;
use super::room::Room;
use super::sealed::{Keeping, TileCache};
use super::tally::Tally;
use super::{Answer, Ask, Edges, Every, Limits, Plan, Point, Presence, Series};
use crate::aggregate::{Monoid, Question};
use crate::engine::{Clock, SystemClock};
use crate::key::{Key, KeyBuf, Mark};
use crate::metrics::catalogue::QUERY_ITEMS;
use crate::metrics::measured;
use crate::pipeline::Pipeline;
use crate::store::{Consistency, Store, Table, TileId};
use crate::time::{Level, Span, TimeRange, Timestamp};
use crate::{Error, ErrorKind, Result};

/// What a pipeline answers.
type Reply<P> = <<P as Pipeline>::Aggregate as Monoid>::Reply;

/// Answers questions about one pipeline from its store. Clones are cheap and share the reads under way.
///
/// Errors: [`InvalidArgument`](ErrorKind::InvalidArgument) names the field of the request;
/// [`ResourceExhausted`](ErrorKind::ResourceExhausted) says which limit; [`Corrupt`](ErrorKind::Corrupt) names the
/// tile; [`Overflow`](ErrorKind::Overflow) names the field whose value does not fit its reply. Keys are named by their
/// [marks](Mark).
pub struct Reader<P> {
    pub(super) inner: Arc<Inner>,
    pub(super) how: How,
    pipeline: PhantomData<fn() -> P>,
}

/// How a reader answers.
#[derive(Debug, Clone, Default)]
pub(super) struct How {
    question: Arc<Question>,
    pub(super) edges: Edges,
    explains: bool,
    /// Bytes of one answer.
    room: Room,
    pub(super) is_rolling: bool,
    pub(super) keeps: Option<Keeping>,
}

pub(super) struct Inner {
    pub(super) store: Arc<dyn Store>,
    pub(super) table: Table,
    pub(super) coalesce: Coalesce,
    pub(super) progress: Progress,
    clock: Arc<dyn Clock>,
    pub(super) limits: Limits,
    pub(super) rolls: Rolls,
    /// Items that requests have read.
    items: OnceLock<Histogram>,
}

impl<P> Clone for Reader<P> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), how: self.how.clone(), pipeline: PhantomData }
    }
}

impl<P: Pipeline> Reader<P> {
    /// A reader of a generation of the pipeline's table.
    pub fn new(store: Arc<dyn Store>, generation: u32) -> Self {
        Self::over(measured(store), generation)
    }

    /// The same over a store whose calls are measured already.
    pub(crate) fn over(store: Arc<dyn Store>, generation: u32) -> Self {
        let table = Table::new(P::SPEC.name, generation);
        Self::with(store, table, Arc::new(SystemClock), Limits::default(), How::default())
    }

    fn with(store: Arc<dyn Store>, table: Table, clock: Arc<dyn Clock>, limits: Limits, how: How) -> Self {
        let coalesce = Coalesce::new(store.clone(), table.clone());
        let watch = (!P::tiling().parents().is_empty()).then(|| Watch::new(P::SPEC.name));
        let progress = Progress::new(store.clone(), &table, watch, coalesce.order());
        let (rolls, items) = (Rolls::default(), OnceLock::new());
        let inner = Inner { store, table, coalesce, progress, clock, limits, rolls, items };
        Self { inner: Arc::new(inner), how, pipeline: PhantomData }
    }

    /// The same with another clock, for tests and simulations.
    #[must_use]
    pub fn clock(self, clock: Arc<dyn Clock>) -> Self {
        let Inner { store, table, limits, .. } = &*self.inner;
        Self::with(store.clone(), table.clone(), clock, *limits, self.how)
    }

    /// The same with other limits.
    #[must_use]
    pub fn limits(self, limits: Limits) -> Self {
        let Inner { store, table, clock, .. } = &*self.inner;
        Self::with(store.clone(), table.clone(), clock.clone(), limits, self.how)
    }

    /// The same, which has finished tiles rolled where its reads gain by it, in the background, on the runtime that it is
    /// called on. It needs the right to write to the table; without it, it says so once and reads on.
    #[must_use]
    pub fn rolling(mut self) -> Self {
        self.how.is_rolling = true;
        self
    }

    /// The same, which keeps the tiles that cannot change any more, as many as `cache` has room for. Answers are the same
    /// as without; [strong](Consistency::Strong) ones are made without it.
    #[must_use]
    pub fn caching(mut self, cache: &TileCache) -> Self {
        self.how.keeps = Some(Keeping::new(cache, P::SPEC.name));
        self
    }

    /// The same with intervals cut at these edges.
    #[must_use]
    pub fn edges(mut self, edges: Edges) -> Self {
        self.how.edges = edges;
        self
    }

    /// The same with an [explanation](super::Explanation) of what was read in its answers. It shares no reads with other
    /// requests, so that what it tells is its own.
    #[must_use]
    pub fn explaining(mut self) -> Self {
        self.how.explains = true;
        self
    }

    /// The same with a question to the estimates in its answers, sharing the reads under way. The instant of the
    /// question is set anew for each answer: to the end of the interval asked about, or to now where that is earlier.
    /// [`InvalidArgument`](ErrorKind::InvalidArgument) for a question without an answer.
    pub fn asking(&self, question: Question) -> Result<Self> {
        question.check()?;
        let mut asking = self.clone();
        asking.how.question = Arc::new(question);
        Ok(asking)
    }

    /// The same for one message of so many bytes: partitions and values that do not fit into it are [`Oversize`](ErrorKind::Oversize), as soon as
    /// that is seen.
    #[cfg(feature = "grpc")]
    pub(crate) fn within(mut self, bytes: usize) -> Self {
        self.how.room = Room::of(bytes);
        self
    }

    /// The value as it stands now, see [`Ask::Retention`].
    pub async fn get(&self, key: &P::Key, consistency: Consistency) -> Result<Answer<Reply<P>>> {
        self.ask(key, Ask::Retention, consistency).await
    }

    /// As [`get`](Self::get), for many keys; answers come in the order of the keys.
    pub async fn get_many(&self, keys: &[P::Key], consistency: Consistency) -> Result<Vec<Answer<Reply<P>>>> {
        self.ask_many(keys, Ask::Retention, consistency).await
    }

    /// The value over the last `span` before `end`, which is now when `None`.
    pub async fn window(
        &self,
        key: &P::Key,
        span: Span,
        end: Option<Timestamp>,
        consistency: Consistency,
    ) -> Result<Answer<Reply<P>>> {
        self.ask(key, Ask::Window { span, end }, consistency).await
    }

    /// As [`window`](Self::window), for many keys; answers come in the order of the keys.
    pub async fn window_many(
        &self,
        keys: &[P::Key],
        span: Span,
        end: Option<Timestamp>,
        consistency: Consistency,
    ) -> Result<Vec<Answer<Reply<P>>>> {
        self.ask_many(keys, Ask::Window { span, end }, consistency).await
    }

    /// The value over `range`.
    pub async fn range(&self, key: &P::Key, range: TimeRange, consistency: Consistency) -> Result<Answer<Reply<P>>> {
        self.ask(key, Ask::Range(range), consistency).await
    }

    /// As [`range`](Self::range), for many keys; answers come in the order of the keys.
    pub async fn range_many(
        &self,
        keys: &[P::Key],
        range: TimeRange,
        consistency: Consistency,
    ) -> Result<Vec<Answer<Reply<P>>>> {
        self.ask_many(keys, Ask::Range(range), consistency).await
    }

    /// One value per `step` (a multiple of the slot; the slot when `None`) over `[start, end)`; `end` is now when
    /// `None`.
    pub async fn series(
        &self,
        key: &P::Key,
        start: Timestamp,
        end: Option<Timestamp>,
        step: Option<Span>,
        consistency: Consistency,
    ) -> Result<Series<Reply<P>>> {
        let end = end.unwrap_or_else(|| self.now());
        let every = step.map_or(Every::Slot, Every::Span);
        self.series_of(key, Ask::Range(TimeRange::new(start, end)), every, consistency).await
    }

    /// One value per step over the time that is asked about.
    pub async fn series_of(
        &self,
        key: &P::Key,
        ask: Ask,
        every: Every,
        consistency: Consistency,
    ) -> Result<Series<Reply<P>>> {
        let now = self.now();
        let plan = Plan::make(&P::SPEC.window, &P::tiling(), ask, self.how.edges, now)?;
        let points = Points::new(&plan, &P::tiling(), every, &self.inner.limits)?;
        let budget = self.budget(Of::Keys(1));
        let seen = self.inner.progress.as_of(now, consistency, budget.tally.as_ref()).await?;
        let mut room = self.how.room;
        room.take_partitions(seen.partition_bytes)?;
        let text = encode(key)?;
        let keys = std::slice::from_ref(&text);
        let folded = self.folds(keys, &plan, &seen, Some(&points), &budget).await?.pop();
        let folded = folded.ok_or_else(|| Error::new(ErrorKind::Internal, "a key without a fold"))?;
        let presence = self.presences(keys, &plan, std::slice::from_ref(&folded), (now, &seen), &budget).await?.pop();
        let presence = presence.unwrap_or(Presence::Absent);
        let mut question = Question::clone(&self.how.question);
        let mut made = Vec::with_capacity(folded.values.len());
        for (range, value) in points.ranges().zip(folded.values) {
            let present = value.is_some();
            question.as_of = range.end.min(now);
            let value = reply::<P>(value, &question)
                .map_err(|error| error.while_doing(format_args!("{}, {}", Mark::of(&*text), range.start)))?;
            room.take(&value, 1)?;
            made.push(Point { range, value, present });
            budget.pace(usize::from(present)).await;
        }
        let explanation = budget.tally.as_ref().map(Tally::explain);
        let (points, Seen { as_of, .. }) = (made, seen);
        Ok(Series { points, presence, interval: plan.interval, as_of, explanation })
    }

    /// The table that is read.
    #[cfg(feature = "grpc")]
    pub(crate) fn table(&self) -> &Table {
        &self.inner.table
    }

    /// How much one request may ask for.
    #[cfg(feature = "grpc")]
    pub(crate) fn bounds(&self) -> &Limits {
        &self.inner.limits
    }

    /// What is now, by the reader's clock.
    pub(crate) fn now(&self) -> Timestamp {
        self.inner.clock.now()
    }

    /// Whether the store can be reached.
    pub async fn check(&self) -> Result<()> {
        // The key of no fields: a read costs the same whether it is there or not.
        let id = TileId { key: "=".into(), tile: P::tiling().locate(Timestamp::EPOCH).0, part: None };
        self.inner.store.get(&self.inner.table, &[id], Consistency::Eventual).await.map(drop)
    }

    /// The value over the time that is asked about.
    pub async fn ask(&self, key: &P::Key, ask: Ask, consistency: Consistency) -> Result<Answer<Reply<P>>> {
        let mut answers = self.ask_all(std::slice::from_ref(key), ask, consistency, only).await?;
        let answer = answers.pop().ok_or_else(|| Error::new(ErrorKind::Internal, "a key without an answer"))?;
        match &answer.problem {
            Some(problem) => Err(unfit(&encode(key)?, problem)),
            None => Ok(answer),
        }
    }

    /// As [`ask`](Self::ask), for many keys; answers come in the order of the keys. A value that does not fit its reply
    /// is the [`problem`](Answer::problem) of its own answer.
    pub async fn ask_many(&self, keys: &[P::Key], ask: Ask, consistency: Consistency) -> Result<Vec<Answer<Reply<P>>>> {
        self.ask_all(keys, ask, consistency, nth).await
    }

    /// The same, of keys that have these names in the request.
    async fn ask_all(
        &self,
        keys: &[P::Key],
        ask: Ask,
        consistency: Consistency,
        name: impl Fn(usize) -> Cow<'static, str>,
    ) -> Result<Vec<Answer<Reply<P>>>> {
        self.inner.limits.check_keys(keys.len())?;
        let now = self.now();
        let plan = Plan::make(&P::SPEC.window, &P::tiling(), ask, self.how.edges, now)?;
        let (keys, asked) = distinct(keys, name)?;
        // Before the tiles: the answer then contains at least this.
        let budget = self.budget(Of::Keys(keys.len()));
        let seen = self.inner.progress.as_of(now, consistency, budget.tally.as_ref()).await?;
        let mut room = self.how.room;
        room.take_partitions(seen.partition_bytes)?;
        let folded = self.folds(&keys, &plan, &seen, None, &budget).await?;
        let presences = self.presences(&keys, &plan, &folded, (now, &seen), &budget).await?;
        let question = Question { as_of: ask.end(&plan, now).min(now), ..Question::clone(&self.how.question) };
        let mut times = vec![0; keys.len()];
        asked.iter().for_each(|at| times[*at] += 1);
        let mut answers = Vec::with_capacity(keys.len());
        for (((key, folded), presence), times) in keys.iter().zip(folded).zip(presences).zip(times) {
            let (value, problem) = match reply::<P>(folded.values.into_iter().next().flatten(), &question) {
                Ok(value) => (value, None),
                Err(error) if error.kind() == ErrorKind::Overflow => {
                    (reply::<P>(None, &question)?, Some(error.to_string()))
                }
                Err(error) => return Err(error.while_doing(Mark::of(&**key))),
            };
            room.take(&value, times)?;
            let as_of = seen.as_of.clone();
            answers.push(Answer { value, problem, presence, interval: plan.interval, as_of, explanation: None });
            budget.pace(1).await;
        }
        if asked.len() != answers.len() {
            answers = asked.into_iter().map(|at| answers[at].clone()).collect();
        }
        if let Some(first) = answers.first_mut() {
            first.explanation = budget.tally.as_ref().map(Tally::explain);
        }
        Ok(answers)
    }

    /// What a request may read.
    pub(super) fn budget(&self, of: Of) -> Budget {
        let measured = self.inner.items.get_or_init(|| QUERY_ITEMS.histogram([P::SPEC.name])).clone();
        Budget::new(of, self.inner.limits, self.tally(), measured)
    }

    /// Where it is told what was read.
    pub(super) fn tally(&self) -> Option<Tally> {
        self.how.explains.then(Tally::default)
    }

    /// What the answers are about. Only one without a value costs another read: whether the key is known at all.
    pub(super) async fn presences(
        &self,
        keys: &[Arc<str>],
        plan: &Plan,
        folded: &[Folded<P::Aggregate>],
        (now, seen): (Timestamp, &Seen),
        budget: &Budget,
    ) -> Result<Vec<Presence>> {
        let known = |folded: &Folded<P::Aggregate>| match () {
            () if folded.values.iter().any(Option::is_some) => Some(Presence::Present),
            () if plan.finest.is_none() => Some(Presence::OutOfRetention),
            () if folded.known => Some(Presence::Empty),
            () if plan.whole => Some(Presence::Absent),
            () => None,
        };
        if let Some(known) = folded.iter().map(known).collect() {
            return Ok(known);
        }
        let tiling = P::tiling();
        let starts = plan::kept(&P::SPEC.window, &tiling, now);
        let looks =
            keys.iter().zip(folded).map(|(key, folded)| (key.clone(), known(folded))).map(|(key, known)| async move {
                if let Some(presence) = known {
                    return Ok((presence, 0));
                }
                for (reads, level) in (1..).zip([tiling.finest(), Level::Late]) {
                    budget.look(1)?;
                    budget.work(RANGE);
                    let read = Read::Tiles { key: key.clone(), level, starts, limit: 1 };
                    let found = self.inner.coalesce.one(read, seen.after, budget.tally.as_ref()).await?;
                    if let Some((id, _)) = found.first() {
                        // What lies in the interval was written since that was read, and is not in the answer either.
                        let is_newer = plan.interval.has(id.tile.start);
                        return Ok((if is_newer { Presence::Absent } else { Presence::Empty }, reads));
                    }
                }
                Ok::<_, Error>((Presence::Absent, 2))
            });
        // Collected first, as in `gather`.
        let looks = at_once(looks.collect(), budget).await?;
        budget.wait(looks.iter().map(|(_, reads)| *reads).max().unwrap_or(0));
        Ok(looks.into_iter().map(|(presence, _)| presence).collect())
    }
}

/// A value of a key that does not fit its reply is an error where it is asked about alone.
pub(crate) fn unfit(key: &str, problem: &str) -> Error {
    Error::new(ErrorKind::Overflow, problem).while_doing(Mark::of(key))
}

/// Keys as the store has them, each once, and for each key that was asked for its place among these.
fn distinct<K: Key>(keys: &[K], name: impl Fn(usize) -> Cow<'static, str>) -> Result<(Vec<Arc<str>>, Vec<usize>)> {
    let mut buffer = KeyBuf::default();
    if let [key] = keys {
        return Ok((vec![written(key, &mut buffer, || name(0))?], vec![0]));
    }
    let mut places = HashMap::with_capacity(keys.len());
    let mut distinct = Vec::with_capacity(keys.len());
    let mut asked = Vec::with_capacity(keys.len());
    for (at, key) in keys.iter().enumerate() {
        let key = written(key, &mut buffer, || name(at))?;
        asked.push(*places.entry(key).or_insert_with_key(|key| {
            distinct.push(key.clone());
            distinct.len() - 1
        }));
    }
    Ok((distinct, asked))
}

/// What the key of a request is called that has one.
pub(crate) fn only(_: usize) -> Cow<'static, str> {
    "key".into()
}

/// What each key of a request is called that has many.
pub(crate) fn nth(at: usize) -> Cow<'static, str> {
    format!("keys[{at}]").into()
}

/// A key as the store has it.
pub(crate) fn encode<K: Key>(key: &K) -> Result<Arc<str>> {
    written(key, &mut KeyBuf::default(), || only(0))
}

/// The same of keys that have these names in the request, each where it was asked for.
#[cfg(feature = "grpc")]
pub(crate) fn encode_all<K: Key>(keys: &[K], name: impl Fn(usize) -> Cow<'static, str>) -> Result<Vec<Arc<str>>> {
    let mut buffer = KeyBuf::default();
    keys.iter().enumerate().map(|(at, key)| written(key, &mut buffer, || name(at))).collect()
}

/// The same of a key with this name, by way of a buffer, which has room then for the next one.
fn written<K: Key>(key: &K, buffer: &mut KeyBuf, name: impl FnOnce() -> Cow<'static, str>) -> Result<Arc<str>> {
    buffer.clear();
    match Key::encode(key, buffer) {
        Ok(range) => Ok(buffer.slice(range).into()),
        Err(why) => {
            let name = name();
            Err(Error::new(ErrorKind::InvalidArgument, format!("`{name}`: {why}")).of_field(name))
        }
    }
}

fn reply<P: Pipeline>(value: Option<P::Aggregate>, question: &Question) -> Result<Reply<P>> {
    value.unwrap_or_else(P::Aggregate::identity).reply(question)
}
