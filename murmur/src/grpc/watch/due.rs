//! What is due to be looked at, and whose turn it is.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::Hash;

use bytes::Bytes;

use super::Who;

/// Keys that wait for a look: by who watches them, and how they are asked about, as one call has one question.
///
/// ```text
/// turns of callers -> turns of their questions -> keys, in the order in which they came
/// ```
///
/// Turns go round between callers, so that whoever has many keys or questions does not keep others waiting. A call that has room
/// takes keys of other callers along that are asked about alike.
pub(super) struct Due<T> {
    /// The number of the last turn that was given.
    turn: u64,
    callers: Turns<Who, Turns<Bytes, Keys<T>>>,
    /// Who waits for a look by each question.
    asking: HashMap<Bytes, BTreeSet<Who>>,
}

/// By their turns.
type Keys<T> = BTreeMap<u64, T>;

impl<T> Default for Due<T> {
    fn default() -> Self {
        Self { turn: 0, callers: Turns::default(), asking: HashMap::new() }
    }
}

impl<T> Due<T> {
    /// One more, after all others of its caller and question. What it is [removed](Self::remove) by.
    pub(super) fn push(&mut self, who: &Who, question: &Bytes, key: T) -> u64 {
        self.turn += 1;
        let questions = self.callers.group(who, self.turn);
        let keys = questions.group(question, self.turn);
        if keys.is_empty() {
            self.asking.entry(question.clone()).or_default().insert(who.clone());
        }
        keys.insert(self.turn, key);
        self.turn
    }

    /// How many there are.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.callers
            .groups
            .values()
            .flat_map(|(_, questions)| questions.groups.values())
            .map(|(_, keys)| keys.len())
            .sum()
    }

    /// It need not be looked at any more.
    pub(super) fn remove(&mut self, who: &Who, question: &Bytes, turn: u64) {
        if let Some(keys) = self.keys(who, question) {
            keys.remove(&turn);
            self.tidy(who, question);
        }
    }

    /// Whose turn it is: keys of one question, at most as many as `most` says of the first of them.
    pub(super) fn take(&mut self, most: impl FnOnce(&T) -> usize) -> Option<Vec<T>> {
        let who = self.callers.first()?.clone();
        let question = self.callers.get_mut(&who)?.first()?.clone();
        let most = most(self.keys(&who, &question)?.values().next()?).max(1);
        let mut taken = Vec::new();
        let others = self.asking.get(&question).into_iter().flatten().filter(|other| **other != who);
        // No more than there can be keys of.
        let others: Vec<Who> = others.take(most).cloned().collect();
        for who in std::iter::once(&who).chain(&others) {
            while taken.len() < most
                && let Some((_, key)) = self.keys(who, &question).and_then(Keys::pop_first)
            {
                taken.push(key);
            }
            self.tidy(who, &question);
        }
        self.turn += 1;
        if let Some(questions) = self.callers.get_mut(&who) {
            questions.put_last(&question, self.turn);
        }
        self.callers.put_last(&who, self.turn);
        Some(taken)
    }

    fn keys(&mut self, who: &Who, question: &Bytes) -> Option<&mut Keys<T>> {
        self.callers.get_mut(who)?.get_mut(question)
    }

    /// Keep no group without keys.
    fn tidy(&mut self, who: &Who, question: &Bytes) {
        let Some(questions) = self.callers.get_mut(who) else { return };
        if questions.get_mut(question).is_some_and(|keys| !keys.is_empty()) {
            return;
        }
        questions.remove(question);
        if questions.first().is_none() {
            self.callers.remove(who);
        }
        if let Some(asking) = self.asking.get_mut(question) {
            asking.remove(who);
            if asking.is_empty() {
                self.asking.remove(question);
            }
        }
    }
}

/// Groups that take turns.
struct Turns<K, G> {
    order: BTreeMap<u64, K>,
    /// Each with its turn.
    groups: HashMap<K, (u64, G)>,
}

impl<K, G> Default for Turns<K, G> {
    fn default() -> Self {
        Self { order: BTreeMap::new(), groups: HashMap::new() }
    }
}

impl<K: Clone + Eq + Hash, G: Default> Turns<K, G> {
    /// The group of this name, which has this turn if it is new.
    fn group(&mut self, name: &K, turn: u64) -> &mut G {
        let Self { order, groups } = self;
        let new = || {
            order.insert(turn, name.clone());
            (turn, G::default())
        };
        &mut groups.entry(name.clone()).or_insert_with(new).1
    }

    fn get_mut(&mut self, name: &K) -> Option<&mut G> {
        self.groups.get_mut(name).map(|(_, group)| group)
    }

    fn first(&self) -> Option<&K> {
        self.order.values().next()
    }

    fn put_last(&mut self, name: &K, turn: u64) {
        if let Some((before, _)) = self.groups.get_mut(name) {
            self.order.remove(before);
            *before = turn;
            self.order.insert(turn, name.clone());
        }
    }

    fn remove(&mut self, name: &K) {
        if let Some((turn, _)) = self.groups.remove(name) {
            self.order.remove(&turn);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn who(name: &str) -> Who {
        Some(name.into())
    }

    fn question(name: &'static str) -> Bytes {
        Bytes::from_static(name.as_bytes())
    }

    #[test]
    fn who_has_few_questions_does_not_wait_for_who_has_many() {
        let mut due = Due::default();
        for name in ["q1", "q2", "q3"] {
            due.push(&who("busy"), &question(name), name);
        }
        due.push(&who("other"), &question("o"), "o1");
        due.push(&None, &question("s"), "s1");
        let turns: Vec<_> = std::iter::from_fn(|| due.take(|_| 1_000)).flatten().collect();
        assert_eq!(turns, ["q1", "o1", "s1", "q2", "q3"]);
    }

    #[test]
    fn many_keys_of_one_question_take_turns_with_others() {
        let mut due = Due::default();
        for key in ["a", "b", "c"] {
            due.push(&who("busy"), &question("q"), key);
        }
        due.push(&who("busy"), &question("r"), "d");
        due.push(&who("other"), &question("o"), "e");
        let turns: Vec<_> = std::iter::from_fn(|| due.take(|_| 2)).collect();
        assert_eq!(turns, [vec!["a", "b"], vec!["e"], vec!["d"], vec!["c"]]);
    }

    #[test]
    fn a_call_with_room_takes_along_what_others_ask_alike() {
        let mut due = Due::default();
        for (name, key) in [("a", 1), ("b", 2), ("c", 3), ("b", 4)] {
            due.push(&who(name), &question("q"), key);
        }
        assert_eq!(due.take(|_| 3), Some(vec![1, 2, 4]));
        assert_eq!(due.take(|_| 3), Some(vec![3]));
        assert_eq!(due.take(|_| 3), None);
    }

    #[test]
    fn nothing_is_kept_of_what_is_removed() {
        let mut due = Due::default();
        for _ in 0..1_000 {
            let turns = ["a", "b"].map(|name| due.push(&who(name), &question("q"), name));
            due.remove(&who("a"), &question("q"), turns[0]);
            due.remove(&who("b"), &question("q"), turns[1]);
        }
        let Due { callers, asking, .. } = &due;
        assert_eq!((callers.order.len(), callers.groups.len(), asking.len()), (0, 0, 0));
        assert_eq!(due.take(|_| 1), None);
    }
}
