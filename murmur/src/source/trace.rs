/// A span that someone else has recorded, by its names of [Trace Context](https://www.w3.org/TR/trace-context/): the one
/// that a payload was made in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trace {
    /// The trace; not 0.
    pub trace: u128,
    /// The span in it; not 0.
    pub span: u64,
    /// What tracing systems add, as it came (`tracestate`); empty without. It may not be well-formed.
    pub state: Box<str>,
}

/// A payload of a [`Batch`](super::Batch), and whose it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Traced {
    /// The payload, by its place in the batch.
    pub payload: usize,
    /// The span that it was made in.
    pub trace: Trace,
}

/// Longest state that is kept, in bytes; the standard asks for so many to be passed on.
const LONGEST_STATE: usize = 512;

impl Trace {
    /// What `traceparent` and `tracestate` name, if its caller has recorded that span. What is not well-formed names none.
    #[cfg_attr(not(feature = "kafka"), allow(dead_code, reason = "no other source has headers"))]
    pub(crate) fn recorded(parent: &[u8], state: Option<&[u8]>) -> Option<Self> {
        // version "-" trace-id "-" parent-id "-" flags; later versions may add to it behind one more dash.
        let (known, rest) = parent.split_at_checked(55)?;
        let [version, trace, span, flags] = [0..2, 3..35, 36..52, 53..55].map(|field| hex(&known[field]));
        let (version, trace, flags) = (version?, trace?, flags?);
        let span = u64::try_from(span?).ok()?;
        let is_whole = match version {
            0 => rest.is_empty(),
            0xff => false,
            _ => rest.first().is_none_or(|next| *next == b'-'),
        };
        let is_well_formed = is_whole && [2, 35, 52].iter().all(|at| known[*at] == b'-') && trace != 0 && span != 0;
        let is_recorded = flags & 1 == 1;
        let state = state.filter(|state| state.len() <= LONGEST_STATE).and_then(|state| str::from_utf8(state).ok());
        (is_well_formed && is_recorded).then(|| Self { trace, span, state: state.unwrap_or_default().into() })
    }

    /// Whether it is the same span.
    pub(crate) fn is_of(&self, other: &Self) -> bool {
        (self.trace, self.span) == (other.trace, other.span)
    }
}

/// Digits of base 16, none of them in upper case, of which there are at most 32.
fn hex(digits: &[u8]) -> Option<u128> {
    digits.iter().try_fold(0, |number, digit| {
        let value = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        Some(number << 4 | u128::from(value))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMED: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn a_span_that_was_recorded_is_named_by_its_header() {
        let trace = Trace {
            trace: 0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c,
            span: 0xb7ad_6b71_6920_3331,
            state: "shop=42".into(),
        };
        let read = |parent: &str| Trace::recorded(parent.as_bytes(), Some(b"shop=42"));
        for parent in
            [NAMED, &NAMED.replace("-01", "-03"), &NAMED.replacen("00-", "cc-", 1), &format!("cc{}-more", &NAMED[2..])]
        {
            assert_eq!(read(parent), Some(trace.clone()), "{parent}");
        }
        assert_eq!(read(&NAMED.replace("-01", "-02")), None, "not recorded");
    }

    #[test]
    fn a_header_that_is_not_well_formed_names_none() {
        for parent in [
            String::new(),
            "nonsense".to_owned(),
            "x".repeat(55),
            NAMED[..54].to_owned(),
            format!("{NAMED}-more"),
            format!("cc{}more", &NAMED[2..]),
            NAMED.replacen("00-", "ff-", 1),
            NAMED.replace('a', "A"),
            NAMED.replacen('-', "_", 1),
            NAMED.replace("-01", "_01"),
            NAMED.replace("-01", "-0g"),
            NAMED.replace("0af7651916cd43dd8448eb211c80319c", &"0".repeat(32)),
            NAMED.replace("b7ad6b7169203331", &"0".repeat(16)),
            NAMED.replace("b7ad6b7169203331", "b7ad6b716920333é"),
        ] {
            assert_eq!(Trace::recorded(parent.as_bytes(), None), None, "{parent}");
        }
    }

    #[test]
    fn a_state_that_cannot_be_passed_on_is_left_out_and_the_span_is_not() {
        for state in [None, Some(&b"\xff"[..]), Some(&[b'x'; LONGEST_STATE + 1])] {
            assert_eq!(&*Trace::recorded(NAMED.as_bytes(), state).unwrap().state, "");
        }
        let longest = [b'x'; LONGEST_STATE];
        assert_eq!(Trace::recorded(NAMED.as_bytes(), Some(&longest)).unwrap().state.as_bytes(), longest);
    }
}
