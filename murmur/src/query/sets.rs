//! Set algebra: the sets of a `DistinctSet` of several keys and stretches of time, united, intersected or subtracted.

use super::budget::Budget;
use super::limits::Of;
use super::progress::Seen;
use super::reader::encode;
use super::tally::Tally;
use super::{Answer, Ask, Plan, Reader};
use crate::aggregate::{DistinctSet, Monoid, Question};
use crate::pipeline::Pipeline;
use crate::store::Consistency;
use crate::time::Timestamp;
use crate::wire::types::Estimate;
use crate::{Error, ErrorKind, Result};

/// What to make of several sets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SetOperation {
    /// The elements of any of them.
    Union,
    /// The elements of all of them.
    Intersection,
    /// The elements of the first that are in none of the others.
    Difference,
}

/// What came of set algebra.
#[derive(Debug, Clone, PartialEq)]
pub struct Combined {
    /// How many elements it has.
    pub estimate: Estimate,
    /// What each of the sets is by itself, in the order they were given; of what time, and how fresh.
    pub sets: Vec<Answer<Estimate>>,
}

/// What the sets of a request have in common.
struct Together<'a> {
    now: Timestamp,
    seen: &'a Seen,
    budget: &'a Budget,
}

impl<P: Pipeline> Reader<P> {
    /// Combine the sets of several keys and stretches of time. `field` is the field of the aggregate that is a
    /// [`DistinctSet`]; it may be empty where the aggregate is one itself, or has one such field only. The
    /// [limits](super::Limits) hold for all of the sets together, and now is the same for all.
    ///
    /// [`InvalidArgument`](ErrorKind::InvalidArgument) where the field is no `DistinctSet`, or there are fewer than two
    /// sets.
    pub async fn combine_sets(
        &self,
        sets: &[(P::Key, Ask)],
        operation: SetOperation,
        field: &str,
        consistency: Consistency,
    ) -> Result<Combined> {
        let field = chosen::<P>(field)?;
        if sets.len() < 2 {
            let context = format!("`sets` has {}; two at least can be combined", sets.len());
            return Err(Error::new(ErrorKind::InvalidArgument, context).of_field("sets"));
        }
        self.inner.limits.check_sets(sets.len())?;
        let (now, mut budget) = (self.now(), self.budget(Of::Sets(sets.len())));
        // Before the tiles: the answer then contains at least this.
        let seen = self.inner.progress.as_of(now, consistency, budget.tally.as_ref()).await?;
        let (mut made, mut answers): (Option<DistinctSet>, Vec<_>) = (None, Vec::with_capacity(sets.len()));
        for (at, (key, ask)) in sets.iter().enumerate() {
            let made_of = self.set(key, *ask, field, Together { now, seen: &seen, budget: &budget }).await;
            let (set, answer) = made_of.map_err(|error| error.within(&operand(at)))?;
            // What each of them took is told apart.
            budget.tally = self.tally();
            budget.pace(1).await;
            answers.push(answer);
            made = Some(match (made, operation) {
                (None, _) => set,
                (Some(before), SetOperation::Union) => before.union(&set),
                (Some(before), SetOperation::Intersection) => before.intersection(&set),
                (Some(before), SetOperation::Difference) => before.difference(&set),
            });
        }
        let estimate = made.unwrap_or_else(DistinctSet::identity).reply(&Question::default())?;
        Ok(Combined { estimate, sets: answers })
    }

    /// One of the sets, and what is to be said of it.
    async fn set(
        &self,
        key: &P::Key,
        ask: Ask,
        field: &str,
        Together { now, seen, budget }: Together<'_>,
    ) -> Result<(DistinctSet, Answer<Estimate>)> {
        let plan = Plan::make(&P::SPEC.window, &P::tiling(), ask, self.how.edges, now)?;
        let keys = [encode(key)?];
        let folded = self.folds(&keys, &plan, seen, None, budget).await?;
        let presences = self.presences(&keys, &plan, &folded, (now, seen), budget).await?;
        let ([folded], [presence]) = (&folded[..], &presences[..]) else {
            return Err(Error::new(ErrorKind::Internal, "a key without an answer"));
        };
        let mut set = DistinctSet::identity();
        if let Some(Some(value)) = folded.values.first() {
            value.sets(&mut |name, found| {
                if name == field {
                    set = found.clone();
                }
            });
        }
        let value = set.reply(&Question::default())?;
        let explanation = budget.tally.as_ref().map(Tally::explain);
        let as_of = seen.as_of.clone();
        Ok((set, Answer { value, problem: None, presence: *presence, interval: plan.interval, as_of, explanation }))
    }
}

/// What one of the sets is called in a request.
pub(crate) fn operand(at: usize) -> String {
    format!("sets[{at}]")
}

/// The field that is meant, by its name; an error that names those that could be.
fn chosen<P: Pipeline>(field: &str) -> Result<&'static str> {
    let mut names = Vec::new();
    P::Aggregate::identity().sets(&mut |name, _| names.push(name));
    let refused = |why: String| Err(Error::new(ErrorKind::InvalidArgument, why).of_field("field"));
    let pipeline = P::SPEC.name;
    match (names.as_slice(), field) {
        ([], "") => refused(format!("`{pipeline}` has no `DistinctSet`, and other values are no sets")),
        ([], field) => {
            refused(format!("`field`: `{field}` of `{pipeline}` is no `DistinctSet`, and no other field is"))
        }
        ([only], "") => Ok(only),
        (_, "") => refused(format!("`field` is not set; of `{pipeline}` it can be {}", listed(&names))),
        (names, field) => match names.iter().find(|name| **name == field) {
            Some(name) => Ok(name),
            None => refused(format!(
                "`field`: `{field}` of `{pipeline}` is no `DistinctSet`; {} {}",
                listed(names),
                if names.len() == 1 { "is" } else { "are" }
            )),
        },
    }
}

fn listed(names: &[&str]) -> String {
    let named = names.iter().map(|name| if name.is_empty() { "the value itself".into() } else { format!("`{name}`") });
    named.collect::<Vec<String>>().join(", ")
}
