//! The number of distinct elements: HyperLogLog, in the format of Apache DataSketches.

use datasketches::common::NumStdDev;
use datasketches::hll::HllSketch;
use smallvec::SmallVec;

use super::{DecodeError, Form, Monoid, Question};
use crate::wire::types::Estimate;
use crate::{Error, ErrorKind};

mod element;
mod image;
#[cfg(test)]
mod tests;

pub use element::{Coupon, Element};

/// log2 of the number of registers: 4,096 of one byte, a standard error of 1.6 %.
const LG_K: u8 = 12;
const K: usize = 1 << LG_K;
/// As many coupons are kept as they are; one more, and registers take their place. DataSketches changes over at three
/// quarters of a table of K / 8.
const MAX_COUPONS: usize = K / 8 * 3 / 4;

/// How many different elements, as an estimate with bounds.
///
/// A HyperLogLog sketch with 4,096 registers (Flajolet, Fusy, Gandouet, Meunier, "HyperLogLog: the analysis of a
/// near-optimal cardinality estimation algorithm", AofA 2007): up to a few hundred elements it is practically exact,
/// above that the standard error is 1.6 % (`1.04 / sqrt(4096)`, theorem 1). Estimate and bounds are computed as in the
/// DataSketches. What is stored is an `HLL_8` sketch of Apache DataSketches with `lgK` 12, which Spark
/// (`hll_sketch_agg`), Druid, Trino and BigQuery's and Postgres' extensions read and write.
///
/// The state depends on nothing but the set of the elements, neither on their order nor on how they were split: bytes
/// can be compared. For that, the estimate comes from the registers alone; the in-order (HIP) estimator of the
/// DataSketches, good for 1.3 % as long as nothing is ever merged, is not used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Distinct(State);

#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    /// Few elements: their coupons, in order, none twice. One coupon needs no allocation.
    Coupons(SmallVec<[u32; 4]>),
    /// Many elements: for each slot the highest value seen.
    Registers(Box<[u8; K]>),
}

impl Distinct {
    /// One element; nothing when it is `None` or an empty text.
    ///
    /// Texts are told apart by their bytes, and whole numbers of any type by their value: the `u8` 7 and the `i64` 7
    /// are one element, the text `7` is another.
    pub fn of(element: impl Element) -> Self {
        let (coupon, count) = element.coupon().map_or((0, 0), |coupon| (coupon.raw(), 1));
        Self(State::Coupons(SmallVec::from_buf_and_len([coupon, 0, 0, 0], count)))
    }
}

impl State {
    /// How much work it is to take it in.
    fn weight(&self) -> usize {
        match self {
            Self::Coupons(coupons) => coupons.len(),
            Self::Registers(_) => K,
        }
    }

    fn insert(&mut self, coupon: u32) {
        match self {
            Self::Coupons(coupons) => {
                let Err(at) = coupons.binary_search(&coupon) else { return };
                coupons.insert(at, coupon);
                if coupons.len() > MAX_COUPONS {
                    let mut registers = Box::new([0; K]);
                    for &coupon in coupons.iter() {
                        raise(&mut registers, coupon);
                    }
                    *self = Self::Registers(registers);
                }
            }
            Self::Registers(registers) => raise(registers, coupon),
        }
    }

    /// Put another state after this one, which comes to the same as before it: the smaller one is taken into the larger.
    fn take_in(&mut self, mut later: Self) {
        if later.weight() > self.weight() {
            std::mem::swap(self, &mut later);
        }
        match (self, later) {
            (present, Self::Coupons(coupons)) => {
                for coupon in coupons {
                    present.insert(coupon);
                }
            }
            (Self::Registers(registers), Self::Registers(later)) => {
                for (register, later) in registers.iter_mut().zip(*later) {
                    *register = (*register).max(later);
                }
            }
            (Self::Coupons(_), Self::Registers(_)) => unreachable!("registers weigh more than coupons"),
        }
    }
}

/// Take a coupon into the registers: 6 bits of value above 26 bits of address.
///
/// Few coupons raise anything, and what is not written leaves the processor's cache as it is.
#[inline]
fn raise(registers: &mut [u8; K], coupon: u32) {
    let (register, value) = (&mut registers[coupon as usize % K], (coupon >> 26) as u8);
    if *register < value {
        *register = value;
    }
}

impl Monoid for Distinct {
    const FORM: Form = Form::Put;
    const MAX_BYTES: usize = image::MAX_BYTES;
    const COMMUTATIVE: bool = true;
    const IDEMPOTENT: bool = true;
    type Reply = Estimate;

    fn identity() -> Self {
        Self(State::Coupons(SmallVec::new()))
    }

    #[inline]
    fn combine(&mut self, later: Self) {
        // What nearly every call is: one event, into a sketch of many. The rest stands elsewhere, so that this is put where it
        // is called.
        if let State::Registers(registers) = &mut self.0
            && let State::Coupons(coupons) = &later.0
            && let [coupon] = **coupons
        {
            return raise(registers, coupon);
        }
        self.0.take_in(later.0);
    }

    fn encode(&self, out: &mut Vec<u8>) {
        image::write(&self.0, out);
    }

    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        image::read(bytes).map(Self)
    }

    fn kept(field: u32, visit: &mut dyn FnMut(u32, Option<String>)) {
        visit(field, Some(format!("Distinct<2^{LG_K}>")));
    }

    fn reply(&self, _: &Question) -> Result<Estimate, Error> {
        let mut bytes = Vec::with_capacity(Self::MAX_BYTES);
        self.encode(&mut bytes);
        let sketch = HllSketch::deserialize(&bytes).map_err(|error| {
            Error::new(ErrorKind::Internal, "a sketch of our own is not readable").with_source(error)
        })?;
        Ok(Estimate {
            value: sketch.estimate(),
            lower: sketch.lower_bound(NumStdDev::Two),
            upper: sketch.upper_bound(NumStdDev::Two),
        })
    }
}
