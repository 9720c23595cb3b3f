use super::Element;
use crate::time::Timestamp;
use crate::{Error, ErrorKind, Result};

/// What a request asks of the estimates in its answer, beside the answer itself.
///
/// Every aggregate takes from it what it understands and passes over the rest, so that one question serves all fields
/// of a struct. With none of it asked, each answers what it answers by itself.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Question {
    /// The instant that values which fade with time are told for. [`Reader`](crate::query::Reader) sets it to the end
    /// of the interval asked about, or to now where that is earlier; 1970 in a question of your own without it.
    pub as_of: Timestamp,
    /// Which quantiles, each a share from 0 to 1: of 0.99, the value that 99 % of all values do not exceed.
    pub quantiles: Vec<f64>,
    /// Of which values to tell the rank: the share of all values that do not exceed it.
    pub ranks: Vec<f64>,
    /// Which elements to look up.
    pub elements: Vec<Probe>,
}

/// An element to look up: what an event would have given, a text or a whole number.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Probe {
    /// A text.
    Text(String),
    /// A whole number, of any width.
    Integer(i64),
}

impl From<&str> for Probe {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<i64> for Probe {
    fn from(number: i64) -> Self {
        Self::Integer(number)
    }
}

impl Element for Probe {
    fn hashed<H>(&self, hash: impl FnOnce(&[u8]) -> H) -> Option<H> {
        match self {
            Self::Text(text) => text.hashed(hash),
            Self::Integer(number) => number.hashed(hash),
        }
    }
}

impl Question {
    /// The most quantiles, ranks or elements that one request may ask for, each.
    pub const MOST: usize = 100;

    /// The most bytes of a text to look up: every answer says it again, once for each key or step.
    pub const LONGEST: usize = 1 << 10;

    /// Nothing but the instant.
    pub fn at(as_of: Timestamp) -> Self {
        Self { as_of, ..Self::default() }
    }

    /// Refuse what has no answer; the error names the field of the request.
    pub fn check(&self) -> Result<()> {
        let Self { as_of: _, quantiles, ranks, elements } = self;
        let counted = [
            ("`quantiles`", QUANTILES, quantiles.len()),
            ("`ranks`", RANKS, ranks.len()),
            ("`texts` and `integers`", "options.question", elements.len()),
        ];
        if let Some((field, path, asked)) = counted.into_iter().find(|(_, _, asked)| *asked > Self::MOST) {
            let most = Self::MOST;
            let why = format!("{field}: {asked} are asked for, {most} at most are possible; split the request");
            return Err(refused(path, why));
        }
        let lengths = elements.iter().map(|element| match element {
            Probe::Text(text) => text.len(),
            Probe::Integer(_) => 0,
        });
        if let Some(length) = lengths.into_iter().find(|length| *length > Self::LONGEST) {
            let most = Self::LONGEST;
            let why = format!(
                "`texts` has one of {length} bytes, {most} at most can be looked up; count a short form of what is long, \
                 such as a hash, and ask for that"
            );
            return Err(refused("options.question.texts", why));
        }
        if let Some(share) = quantiles.iter().find(|share| !(0.0..=1.0).contains(*share)) {
            let why = format!("`quantiles` has {share}; a quantile is a share from 0 to 1, such as 0.99");
            return Err(refused(QUANTILES, why));
        }
        if ranks.iter().any(|value| value.is_nan()) {
            return Err(refused(RANKS, "`ranks` has NaN, which has no place in an order".into()));
        }
        Ok(())
    }
}

/// Where the requests of the service have them.
const QUANTILES: &str = "options.question.quantiles";
const RANKS: &str = "options.question.ranks";

fn refused(field: &'static str, why: String) -> Error {
    Error::new(ErrorKind::InvalidArgument, why).of_field(field)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_no_answer_is_refused_by_the_name_of_its_field() {
        let quantiles = |quantiles: Vec<f64>| Question { quantiles, ..Question::default() }.check();
        assert!(quantiles(vec![0.0, -0.0, 0.5, 1.0]).is_ok());
        for share in [-0.1, 1.000_001, f64::NAN, f64::INFINITY] {
            let error = quantiles(vec![0.5, share]).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidArgument);
            assert!(error.to_string().contains(&format!("`quantiles` has {share}")), "{error}");
        }
        let ranks = |ranks: Vec<f64>| Question { ranks, ..Question::default() }.check();
        assert!(ranks(vec![f64::NEG_INFINITY, 0.0, f64::INFINITY]).is_ok());
        assert!(ranks(vec![f64::NAN]).unwrap_err().to_string().contains("`ranks`"));
        let elements = |count| Question { elements: vec![Probe::from(7); count], ..Question::default() }.check();
        assert!(elements(Question::MOST).is_ok());
        assert!(elements(Question::MOST + 1).unwrap_err().to_string().contains("`texts` and `integers`: 101 are"));
        assert!(quantiles(vec![0.5; 101]).unwrap_err().to_string().contains("`quantiles`: 101 are"));
        assert!(ranks(vec![0.5; 101]).unwrap_err().to_string().contains("`ranks`: 101 are"));
        let text = |bytes| {
            let elements = vec![Probe::from(7), Probe::from(&*"x".repeat(bytes))];
            Question { elements, ..Question::default() }.check()
        };
        assert!(text(Question::LONGEST).is_ok());
        let error = text(Question::LONGEST + 1).unwrap_err();
        assert_eq!((error.kind(), error.field()), (ErrorKind::InvalidArgument, Some("options.question.texts")));
        assert!(error.to_string().contains("one of 1025 bytes, 1024 at most"), "{error}");
    }

    #[test]
    fn an_element_that_is_looked_up_is_the_one_that_was_counted() {
        assert_eq!(Probe::from("abc").coupon(), "abc".coupon());
        assert_eq!(Probe::from(7).coupon(), 7u8.coupon());
        assert_ne!(Probe::from("7").coupon(), Probe::from(7).coupon());
    }
}
