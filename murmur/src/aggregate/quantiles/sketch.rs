//! Levels of numbers: one of level `n` stands for `2^n`. When there are too many, the lowest level that is full is
//! sorted and every other number of it moves one level up.

/// Numbers on the highest level before anything is compacted; decides the error.
pub(super) const K: u16 = 200;
/// The least room of a level.
pub(super) const M: u8 = 8;
/// How far a rank may be off, as a share of all numbers, with 99 % confidence: `2.296 / K^0.9723`, fitted by
/// DataSketches (`KllHelper.getNormalizedRankError`).
pub(super) const RANK_ERROR: f64 = 0.013_294_757_464_848_584;
/// The most levels that DataSketches know.
pub(super) const MOST_LEVELS: usize = 61;
/// The most numbers of one sketch: more than any stream has, and few enough that nothing can overflow. Each level's
/// weight is at most this, so that there are 57 of them at most.
const MOST: u64 = 1 << 56;
/// The count of a sketch that came to more.
pub(super) const OVERFLOWN: u64 = u64::MAX;

/// The numbers a sketch holds, and what they stand for.
#[derive(Clone, Debug)]
pub(super) struct Sketch {
    /// How many were given; `OVERFLOWN` with empty levels when there were too many.
    pub(super) count: u64,
    pub(super) min: f64,
    pub(super) max: f64,
    /// The first in no order, the others sorted. At least one; of several the last is not empty.
    pub(super) levels: Vec<Vec<f64>>,
    /// Numbers held on all levels.
    held: usize,
}

impl Default for Sketch {
    fn default() -> Self {
        Self { count: 0, min: f64::INFINITY, max: f64::NEG_INFINITY, levels: vec![Vec::new()], held: 0 }
    }
}

/// The room of a level, so many levels below the highest: `K (2/3)^depth` rounded to the nearest, but at least `M`.
const fn room(depth: usize) -> usize {
    let (mut over, mut under, mut at) = (2 * K as u64, 1u64, 0);
    // Farther down it is `M`.
    while at < depth && at < 9 {
        (over, under, at) = (over * 2, under * 3, at + 1);
    }
    let room = (over / under).div_ceil(2) as usize;
    if room < M as usize { M as usize } else { room }
}

/// The room of all of so many levels together.
pub(super) const fn rooms(levels: usize) -> usize {
    let (mut all, mut depth) = (0, 0);
    while depth < levels {
        all += room(depth);
        depth += 1;
    }
    all
}

/// [`rooms`] by the number of levels.
const ROOMS: [usize; MOST_LEVELS + 1] = {
    let mut all = [0; MOST_LEVELS + 1];
    let mut levels = 0;
    while levels < all.len() {
        all[levels] = rooms(levels);
        levels += 1;
    }
    all
};

impl Sketch {
    /// Of parts that were read; `None` when they do not belong together.
    pub(super) fn of(count: u64, min: f64, max: f64, levels: Vec<Vec<f64>>) -> Option<Self> {
        let weight = levels.iter().enumerate().map(|(level, numbers)| (numbers.len() as u128) << level).sum::<u128>();
        let held = levels.iter().map(Vec::len).sum();
        let fits = (1..=MOST_LEVELS).contains(&levels.len())
            && (weight == u128::from(count) && count <= MOST || weight == 0 && count == OVERFLOWN)
            && (levels.len() == 1 || levels.last().is_some_and(|last| !last.is_empty()));
        fits.then_some(Self { count, min, max, levels, held })
    }

    pub(super) fn count(&self) -> u64 {
        self.count
    }

    pub(super) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Whether every number that was given is held.
    pub(super) fn is_exact(&self) -> bool {
        self.levels.len() == 1
    }

    pub(super) fn insert(&mut self, number: f64) {
        if self.gained(1) {
            // One zero: the sign of a zero would be one more order.
            let number = number + 0.0;
            self.min = self.min.min(number);
            self.max = self.max.max(number);
            self.levels[0].push(number);
            self.held += 1;
            self.compact();
        }
    }

    pub(super) fn merge(&mut self, later: Self) {
        self.min = self.min.min(later.min);
        self.max = self.max.max(later.max);
        if self.gained(later.count) {
            self.held += later.held;
            for (level, numbers) in later.levels.into_iter().enumerate() {
                match self.levels.get_mut(level) {
                    None => self.levels.push(numbers),
                    Some(present) if level == 0 => present.extend(numbers),
                    Some(present) => *present = merged(present, &numbers),
                }
            }
            self.compact();
        }
    }

    /// Count so many more; `false` when that makes too many, and the levels are given up.
    fn gained(&mut self, more: u64) -> bool {
        self.count = self.count.saturating_add(more);
        let fits = self.count <= MOST;
        if !fits {
            *self = Self { count: OVERFLOWN, min: self.min, max: self.max, ..Self::default() };
        }
        fits
    }

    /// Move numbers up until all have room.
    fn compact(&mut self) {
        while self.held > ROOMS[self.levels.len()] {
            let highest = self.levels.len() - 1;
            // There is one: otherwise there was room.
            let full = |level: usize| self.levels[level].len() > room(highest - level);
            let level = (0..highest).find(|&level| full(level)).unwrap_or(highest);
            self.compact_level(level);
        }
    }

    fn compact_level(&mut self, level: usize) {
        if level + 1 == self.levels.len() {
            self.levels.push(Vec::new());
        }
        let mut numbers = std::mem::take(&mut self.levels[level]);
        if level == 0 {
            numbers.sort_unstable_by(f64::total_cmp);
        }
        // Of an odd number the smallest stays where it is.
        let stays = numbers.len() % 2;
        let moving = &numbers[stays..];
        let second = coin(moving, level, self.count);
        let up: Vec<f64> = moving.iter().skip(usize::from(second)).step_by(2).copied().collect();
        self.held -= moving.len() - up.len();
        let above = &mut self.levels[level + 1];
        *above = merged(above, &up);
        numbers.truncate(stays);
        self.levels[level] = numbers;
    }
}

/// Whether the second of each pair moves up: a bit that looks random, and depends on nothing but what the state is made
/// of. Sketches of equal counts but other numbers do not share their errors.
fn coin(moving: &[f64], level: usize, count: u64) -> bool {
    // The multiplier is that of Steele and Vigna for linear congruential generators of 64 bits.
    let mix = |hash: u64, word: u64| (hash ^ word).wrapping_mul(0xd134_2543_de82_ef95).rotate_left(29);
    let hash = moving.iter().fold(mix(count, level as u64), |hash, number| mix(hash, number.to_bits()));
    mix(mix(hash, hash >> 32), 0) >> 63 == 1
}

fn merged(a: &[f64], b: &[f64]) -> Vec<f64> {
    let mut all = Vec::with_capacity(a.len() + b.len());
    let (mut a, mut b) = (a.iter().peekable(), b.iter().peekable());
    while let (Some(&&left), Some(&&right)) = (a.peek(), b.peek()) {
        let next = if left <= right { a.next() } else { b.next() };
        all.extend(next);
    }
    all.extend(a);
    all.extend(b);
    all
}

/// The numbers of all levels in order, each with the weight up to and with it.
pub(super) struct View {
    pub(super) min: f64,
    pub(super) max: f64,
    numbers: Vec<(f64, u64)>,
    count: u64,
}

impl View {
    /// `None` when nothing is held.
    pub(super) fn of(sketch: &Sketch) -> Option<Self> {
        let levels = sketch.levels.iter().enumerate();
        let mut numbers: Vec<(f64, u64)> =
            levels.flat_map(|(level, numbers)| numbers.iter().map(move |number| (*number, 1 << level))).collect();
        numbers.sort_unstable_by(|(a, _), (b, _)| a.total_cmp(b));
        let mut before = 0;
        for (_, weight) in &mut numbers {
            before += *weight;
            *weight = before;
        }
        let Sketch { min, max, count, .. } = *sketch;
        (!numbers.is_empty()).then_some(Self { min, max, numbers, count })
    }

    /// The smallest number that so large a share of all does not exceed; the extremes for shares beyond 0 and 1.
    pub(super) fn quantile(&self, share: f64) -> f64 {
        if share <= 0.0 {
            return self.min;
        }
        if share >= 1.0 {
            return self.max;
        }
        let weight = (share * self.count as f64).ceil() as u64;
        let at = self.numbers.partition_point(|(_, upto)| *upto < weight);
        self.numbers.get(at).map_or(self.max, |(number, _)| *number)
    }

    /// The share of all numbers that do not exceed this one.
    pub(super) fn rank(&self, value: f64) -> f64 {
        let upto = self.numbers.partition_point(|(number, _)| *number <= value);
        let below = upto.checked_sub(1).map_or(0, |at| self.numbers[at].1);
        // The largest may not be held.
        if value >= self.max { 1.0 } else { below as f64 / self.count as f64 }
    }
}
