//! The laws of an aggregate, checked on values of your choice.
//!
//! ```
//! use murmur::aggregate::{Max, laws};
//!
//! # // In a test of yours:
//! laws::check(&[Max::of(3u64), Max::of(None::<u64>), Max::of(8u64)]);
//! ```
//!
//! The more different the values, the better: include the extremes, and enough of them that every representation inside
//! is met (thousands of elements for a sketch). Groupings and orders are tried by a fixed pseudo-random sequence, so
//! that a failure repeats.

use super::{Column, Form, Monoid, Probe, Question};
use crate::time::Timestamp;

/// How many times each law is tried with values chosen at random.
const ROUNDS: usize = 100;
/// Where the fixed sequence begins.
const SEED: u64 = 0x9e37_79b9_7f4a_7c15;

/// Check all laws on these values, single ones as an event gives them; two results are the same when their bytes are.
///
/// # Panics
///
/// When a law does not hold, saying which and on what values.
#[track_caller]
pub fn check<M: Monoid>(values: &[M]) {
    check_by(values, |a, b| bytes(a) == bytes(b));
}

/// As [`check`], for an aggregate whose results may differ a little between groupings: `same` says whether two results
/// of the same events are as equal as promised.
///
/// # Panics
///
/// When a law does not hold, saying which and on what values.
#[track_caller]
pub fn check_by<M: Monoid>(values: &[M], same: impl Fn(&M, &M) -> bool) {
    if let Err(broken) = verify(values, &same) {
        panic!("{} breaks a law of aggregates: {broken}", std::any::type_name::<M>());
    }
}

/// As [`check_by`], with the broken law as the error.
pub fn verify<M: Monoid>(values: &[M], same: &dyn Fn(&M, &M) -> bool) -> Result<(), String> {
    let mut random = Random(SEED);
    let rounds = ROUNDS.min(values.len() * 10);
    verify_for(values, same, &mut random, rounds)?;
    Laws { values, same }.garbage(&mut random)
}

/// The laws but for bytes of no origin, for so many rounds, whose choices begin at this seed.
#[cfg(test)]
pub(super) fn verify_from<M: Monoid>(
    values: &[M],
    same: &dyn Fn(&M, &M) -> bool,
    seed: u64,
    rounds: usize,
) -> Result<(), String> {
    verify_for(values, same, &mut Random(seed), rounds)
}

fn verify_for<M: Monoid>(
    values: &[M],
    same: &dyn Fn(&M, &M) -> bool,
    random: &mut Random,
    rounds: usize,
) -> Result<(), String> {
    if let Some((value, reason)) = values.iter().find_map(|value| Some((value, value.refusal()?))) {
        return Err(format!("a sample value is refused ({reason}): {}", shown(value)));
    }
    let starts = |value: &&M| M::identity().refuses(value).is_none();
    if let Some(value) = values.iter().find(|value| !starts(value)) {
        return Err(format!("the identity refuses what may be counted: {}", shown(value)));
    }
    let laws = Laws { values, same };
    for round in 0..rounds {
        // Single values first, then what they add up to.
        let largest = if round < values.len().min(rounds / 2) { 1 } else { values.len() };
        let [a, b, c] = [(); 3].map(|()| fold(&laws.pick(random, largest)));
        laws.identity(&a)?;
        laws.associative(&a, &b, &c)?;
        laws.order(&a, &b)?;
        laws.encoding(&a)?;
        laws.numbers(&a, &b)?;
        laws.decoding(&a, random)?;
        laws.grouping(random)?;
        laws.answered(random)?;
    }
    Ok(())
}

struct Laws<'a, M> {
    values: &'a [M],
    same: &'a dyn Fn(&M, &M) -> bool,
}

impl<M: Monoid> Laws<'_, M> {
    /// Up to `largest` values.
    fn pick(&self, random: &mut Random, largest: usize) -> Vec<M> {
        if self.values.is_empty() {
            return Vec::new();
        }
        let count = 1 + random.below(largest);
        (0..count).map(|_| self.values[random.below(self.values.len())].clone()).collect()
    }

    fn expect(&self, law: &str, left: &M, right: &M) -> Result<(), String> {
        if (self.same)(left, right) {
            return Ok(());
        }
        Err(format!("{law}: {} is not the same as {}", shown(left), shown(right)))
    }

    fn identity(&self, a: &M) -> Result<(), String> {
        self.expect("the identity in front changes nothing", &joined(&M::identity(), a), a)?;
        self.expect("the identity behind changes nothing", &joined(a, &M::identity()), a)
    }

    fn associative(&self, a: &M, b: &M, c: &M) -> Result<(), String> {
        self.expect("(a b) c = a (b c)", &joined(&joined(a, b), c), &joined(a, &joined(b, c)))
    }

    fn order(&self, a: &M, b: &M) -> Result<(), String> {
        if M::COMMUTATIVE {
            self.expect("COMMUTATIVE: a b = b a", &joined(a, b), &joined(b, a))?;
        }
        if M::IDEMPOTENT {
            self.expect("IDEMPOTENT: a a = a", &joined(a, a), a)?;
        }
        Ok(())
    }

    fn encoding(&self, a: &M) -> Result<(), String> {
        let encoded = bytes(a);
        // Form A is stored as numbers; its bound counts those.
        if M::FORM == Form::Put && encoded.len() > M::MAX_BYTES {
            return Err(format!(
                "it has {} bytes, more than MAX_BYTES = {}: {}",
                encoded.len(),
                M::MAX_BYTES,
                shown(a)
            ));
        }
        let decoded =
            M::decode(&encoded).map_err(|error| format!("its own bytes are refused ({error}): {}", shown(a)))?;
        if bytes(&decoded) != encoded {
            return Err(format!("encode(decode(bytes)) = bytes: {} became {}", shown(a), shown(&decoded)));
        }
        self.expect("decode(encode(a)) = a", &decoded, a)?;
        let mut behind = vec![7];
        a.encode(&mut behind);
        if behind[1..] != encoded {
            return Err(format!("encode appends, and leaves what is there: {}", shown(a)));
        }
        Ok(())
    }

    /// Form A: what the store adds up is what combining gives, under any field number.
    fn numbers(&self, a: &M, b: &M) -> Result<(), String> {
        if M::FORM == Form::Put {
            return Ok(());
        }
        let mut count = 0;
        let mut stored = M::identity();
        for part in [a, b] {
            let mut refused = None;
            count = 0;
            part.numbers(5, &mut |column, number| {
                count += 1;
                for stranger in [Column { field: 6_000, ..column }, Column { part: column.part + 100, ..column }] {
                    refused = stored.add_number(5, stranger, number).err().or(refused.take());
                }
                refused = stored.add_number(5, column, number).err().or(refused.take());
            });
            if let Some(error) = refused {
                return Err(format!("its own numbers are refused ({error}): {}", shown(part)));
            }
        }
        if count * 16 > M::MAX_BYTES {
            return Err(format!("it has {count} numbers of 16 bytes, more than MAX_BYTES = {}", M::MAX_BYTES));
        }
        self.expect("the numbers of a and b, added, are those of (a b)", &stored, &joined(a, b))
    }

    /// Whatever is taken event by event has an answer.
    fn answered(&self, random: &mut Random) -> Result<(), String> {
        let mut held = M::identity();
        for value in self.pick(random, self.values.len()) {
            if held.refuses(&value).is_none() {
                held.combine(value);
            }
        }
        match held.reply(&asked()) {
            Ok(_) => Ok(()),
            Err(error) => Err(format!("`refuses` takes what has no answer ({error}): {}", shown(&held))),
        }
    }

    /// Truncated and damaged bytes are refused or read, never more.
    fn decoding(&self, a: &M, random: &mut Random) -> Result<(), String> {
        let encoded = bytes(a);
        let mut damaged = encoded.clone();
        damaged.truncate(random.below(encoded.len() + 1));
        self.read(&damaged)?;
        damaged = encoded;
        for _ in 0..1 + random.below(3) {
            let at = random.below(damaged.len().max(1));
            if let Some(byte) = damaged.get_mut(at) {
                *byte = random.next() as u8;
            }
        }
        self.read(&damaged)
    }

    fn garbage(&self, random: &mut Random) -> Result<(), String> {
        for length in 0..64 {
            self.read(&(0..length).map(|_| random.next() as u8).collect::<Vec<_>>())?;
        }
        self.read(&vec![0xff; 1 << 16])
    }

    /// Bytes of any origin: when they are read, the value is one to work with.
    fn read(&self, bytes: &[u8]) -> Result<(), String> {
        if let Ok(read) = M::decode(bytes) {
            // May be out of range, but must not panic.
            let question = asked();
            drop(read.reply(&question));
            drop(joined(&read, &read).reply(&question));
            self.encoding(&read)?;
        }
        Ok(())
    }

    /// However events are split over partitions and tiles, the whole is the same.
    fn grouping(&self, random: &mut Random) -> Result<(), String> {
        let mut events = self.pick(random, self.values.len() * 2);
        let whole = fold(&events);
        if M::COMMUTATIVE {
            for at in (1..events.len()).rev() {
                events.swap(at, random.below(at + 1));
            }
        }
        let mut parts: Vec<M> = Vec::new();
        let mut rest = events.as_slice();
        while !rest.is_empty() {
            let (part, after) = rest.split_at(1 + random.below(rest.len()));
            parts.push(fold(part));
            rest = after;
        }
        while parts.len() > 1 {
            let at = random.below(parts.len() - 1);
            let later = parts.remove(at + 1);
            parts[at].combine(later);
        }
        let law =
            if M::COMMUTATIVE { "any order and grouping of events is the whole" } else { "any grouping is the whole" };
        self.expect(law, &parts.pop().unwrap_or_else(M::identity), &whole)
    }
}

fn fold<M: Monoid>(values: &[M]) -> M {
    let mut values = values.iter().cloned();
    let mut whole = values.next().unwrap_or_else(M::identity);
    values.for_each(|value| whole.combine(value));
    whole
}

fn joined<M: Monoid>(a: &M, b: &M) -> M {
    let mut joined = a.clone();
    joined.combine(b.clone());
    joined
}

fn bytes<M: Monoid>(value: &M) -> Vec<u8> {
    let mut out = Vec::new();
    value.encode(&mut out);
    out
}

/// A bit of everything that can be asked.
fn asked() -> Question {
    Question {
        as_of: Timestamp::from_seconds(1_700_000_000),
        quantiles: vec![0.0, 0.5, 1.0],
        ranks: vec![f64::NEG_INFINITY, 0.0, f64::MAX],
        elements: vec![Probe::from("a"), Probe::from(7)],
    }
}

/// A value for a message: sketches are long.
fn shown(value: &impl std::fmt::Debug) -> String {
    let mut text = format!("{value:?}");
    if let Some((at, _)) = text.char_indices().nth(400) {
        text.truncate(at);
        text.push_str("...");
    }
    format!("`{text}`")
}

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `limit`, which is not 0.
    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }
}
