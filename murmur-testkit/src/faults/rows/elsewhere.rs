//! The numbers of the fault matrix that have no row, and why.

use std::fmt;

/// A fault that this command does not have. It is shown without its number.
#[derive(Debug)]
pub struct Elsewhere {
    /// As in `F19`.
    pub number: &'static str,
    /// The fault.
    pub about: &'static str,
    /// What there is instead.
    pub instead: Instead,
}

/// What there is in place of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Instead {
    /// What would be harmed is not built yet: which it is.
    NotBuilt(&'static str),
    /// A test of this name, within one process.
    Test(&'static str),
}

impl fmt::Display for Elsewhere {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { about, instead, .. } = self;
        match instead {
            Instead::NotBuilt(why) => write!(f, "{about}: not tested, as {why} yet"),
            Instead::Test(test) => {
                write!(f, "{about}: `{test}` tests it, as far as docs/faults.md says")
            }
        }
    }
}

const fn not_built(number: &'static str, about: &'static str, why: &'static str) -> Elsewhere {
    Elsewhere { number, about, instead: Instead::NotBuilt(why) }
}

const fn test(number: &'static str, about: &'static str, name: &'static str) -> Elsewhere {
    Elsewhere { number, about, instead: Instead::Test(name) }
}

/// All of them, in their order.
pub(super) static ELSEWHERE: &[Elsewhere] = &[
    not_built("F19", "the cache is down, flushed or slow", "there is no cache"),
    not_built("F20", "the cache holds wrong bytes", "there is no cache"),
    test(
        "F28",
        "a slow reader of a stream of answers",
        "who_has_stopped_reading_delays_nobody_and_finds_the_newest_later",
    ),
    not_built("F29", "memory pressure in a backfill", "there is no backfill"),
    not_built("F30", "a backfill is killed", "there is no backfill"),
    not_built("F31", "from backfill to live", "there is no backfill"),
    not_built("F32", "a swap while queries run", "there is no swap"),
    not_built("F34", "a Lambda runs out of time", "there is no Lambda"),
    not_built("F36", "a change stream loses its place", "there is no such source"),
    not_built("F37", "objects are cut off or change", "there is no such source"),
    test("F41", "a hundred watchers of the service", "streams_of_one_question_share_a_look"),
];
