//! The smallest hashes of a set.

/// How many hashes are kept.
pub(super) const K: usize = 1 << 12;
/// What is above all hashes: they have 63 bits.
pub(super) const MAX_THETA: u64 = i64::MAX as u64;

/// All hashes of a set that are below `theta`.
#[derive(Clone, Debug)]
pub(super) struct Sketch {
    pub(super) theta: u64,
    /// In order, none twice.
    pub(super) hashes: Vec<u64>,
    /// Further ones below `theta`, in any order and as often as they came: sorted in many at a time.
    fresh: Vec<u64>,
}

impl Default for Sketch {
    fn default() -> Self {
        Self::of(MAX_THETA, Vec::new())
    }
}

impl Sketch {
    /// Of hashes in order, all below `theta`.
    pub(super) fn of(theta: u64, hashes: Vec<u64>) -> Self {
        let mut sketch = Self { theta, hashes, fresh: Vec::new() };
        sketch.trim();
        sketch
    }

    /// Whether it is that of no elements: one without hashes but a theta stands for a few.
    pub(super) fn is_empty(&self) -> bool {
        self.hashes.is_empty() && self.fresh.is_empty() && self.theta == MAX_THETA
    }

    #[inline]
    pub(super) fn insert(&mut self, hash: u64) {
        if hash < self.theta {
            self.fresh.push(hash);
            if self.fresh.len() > 32 + self.hashes.len() / 4 {
                self.settle();
            }
        }
    }

    pub(super) fn merge(&mut self, mut later: Self) {
        self.settle();
        later.settle();
        self.theta = self.theta.min(later.theta);
        self.take(&later.hashes);
    }

    /// Take in what is fresh.
    pub(super) fn settle(&mut self) {
        if !self.fresh.is_empty() {
            let mut fresh = std::mem::take(&mut self.fresh);
            fresh.sort_unstable();
            fresh.dedup();
            self.take(&fresh);
            fresh.clear();
            self.fresh = fresh;
        }
    }

    /// Take in hashes in order, none twice.
    fn take(&mut self, later: &[u64]) {
        let mut all = Vec::with_capacity((self.hashes.len() + later.len()).min(K + 1));
        let (mut ours, mut theirs) = (0, 0);
        // One more than is kept, which becomes theta.
        while all.len() <= K
            && let (Some(&left), Some(&right)) = (self.hashes.get(ours), later.get(theirs))
        {
            // Without branches: which of two hashes is smaller cannot be guessed.
            let next = left.min(right);
            ours += usize::from(left == next);
            theirs += usize::from(right == next);
            all.push(next);
        }
        let room = |all: &Vec<u64>| K + 1 - all.len();
        all.extend(self.hashes[ours..].iter().take(room(&all)));
        all.extend(later[theirs..].iter().take(room(&all)));
        self.hashes = all;
        self.trim();
    }

    /// Keep the smallest. The smallest that is left out becomes theta: the same whichever were left out before.
    fn trim(&mut self) {
        if let Some(&theta) = self.hashes.get(K) {
            self.theta = self.theta.min(theta);
        }
        let theta = self.theta;
        self.hashes.truncate(self.hashes.partition_point(|hash| *hash < theta));
    }

    /// The hashes that are in the other too, or those that are not; both settled. Below the smaller theta, both know
    /// all hashes of their sets.
    pub(super) fn both(&self, other: &Self, inside: bool) -> Self {
        // The empty set, which has no error, has none to give.
        if self.is_empty() || inside && other.is_empty() {
            return Self::default();
        }
        let theta = self.theta.min(other.theta);
        let below = self.hashes.iter().take_while(|hash| **hash < theta);
        let hashes = below.filter(|hash| other.hashes.binary_search(hash).is_ok() == inside);
        Self::of(theta, hashes.copied().collect())
    }
}
