//! Streams of elements to measure aggregates with: the same ones for the same seed, with what is true of them.

use std::fmt;

/// How often the elements of a stream occur beside each other.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Shape {
    /// Equally often.
    Uniform,
    /// By Zipf's law with exponent 1: the second half as often as the first, the third a third as often.
    Zipf,
}

impl Shape {
    pub(crate) const ALL: [Self; 2] = [Self::Uniform, Self::Zipf];
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Uniform => "uniform",
            Self::Zipf => "zipf",
        })
    }
}

/// Elements by their numbers, in the order they come.
pub(crate) struct Draws {
    pub(crate) order: Vec<u32>,
    /// The text of each element that there could be, all of one length.
    pub(crate) names: Vec<String>,
    /// How often each of them came.
    pub(crate) counts: Vec<u64>,
}

/// Elements by their numbers, in the order they come: so many draws from so many.
pub(crate) fn order(shape: Shape, events: u64, elements: u32, seed: u64) -> Vec<u32> {
    let mut rng = fastrand::Rng::with_seed(seed);
    match shape {
        Shape::Uniform => (0..events).map(|_| rng.u32(..elements)).collect(),
        Shape::Zipf => {
            let mut sum = 0.0;
            let upto: Vec<f64> = (1..=elements)
                .map(|rank| {
                    sum += 1.0 / f64::from(rank);
                    sum
                })
                .collect();
            let last = upto.len() - 1;
            let mut draw = || {
                let at = rng.f64() * sum;
                upto.partition_point(|upto| *upto <= at).min(last) as u32
            };
            (0..events).map(|_| draw()).collect()
        }
    }
}

/// How often each of so many elements comes.
pub(crate) fn counts(order: &[u32], elements: u32) -> Vec<u64> {
    let mut counts = vec![0; elements as usize];
    order.iter().for_each(|element| counts[*element as usize] += 1);
    counts
}

impl Draws {
    /// So many draws from so many elements.
    pub(crate) fn new(shape: Shape, events: u64, elements: u32, seed: u64) -> Self {
        let order = order(shape, events, elements, seed);
        let counts = counts(&order, elements);
        Self { order, names: (0..elements).map(|n| format!("element-{n:012}")).collect(), counts }
    }

    pub(crate) fn events(&self) -> u64 {
        self.order.len() as u64
    }

    /// How many different elements came.
    pub(crate) fn distinct(&self) -> u64 {
        self.counts.iter().filter(|count| **count > 0).count() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_the_same_stream_and_its_counts() {
        for shape in Shape::ALL {
            let [one, two] = [5, 5].map(|seed| Draws::new(shape, 10_000, 100, seed));
            assert_eq!(one.order, two.order);
            assert_ne!(one.order, Draws::new(shape, 10_000, 100, 6).order);
            assert_eq!(one.counts.iter().sum::<u64>(), 10_000);
            assert_eq!(one.distinct(), 100);
        }
    }

    #[test]
    fn zipf_is_twice_as_often_the_first_as_the_second() {
        let draws = Draws::new(Shape::Zipf, 1_000_000, 1_000, 1);
        let share = |at: usize| draws.counts[at] as f64 / draws.counts[0] as f64;
        assert!((share(1) - 0.5).abs() < 0.01, "{}", share(1));
        assert!((share(9) - 0.1).abs() < 0.01, "{}", share(9));
    }
}
