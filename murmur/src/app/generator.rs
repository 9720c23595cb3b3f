use std::io::{self, BufWriter, Write};

use super::cli::GenerateArgs;
use super::exit::Exit;
use super::{App, print};
use crate::time::{Span, Timestamp};
use crate::{Error, ErrorKind, Result};

/// Writes the JSON line (without its end) of the event with this index, counted from 0.
///
/// A pure function of its arguments, so that any stretch of the stream can be made again: that is what lets a worker
/// that failed take up in the middle.
pub type Line = fn(&Generate, index: u64, line: &mut Vec<u8>);

/// What decides a made-up stream of events. The same values give the same events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Generate {
    /// Where the random choices start.
    pub seed: u64,
    /// How many keys there are.
    pub keys: u64,
    /// Time of the first event.
    pub start: Timestamp,
    /// Time from one event to the next, before any are made late.
    pub step: Span,
}

impl Generate {
    /// Time of the event with this index, if it is on time.
    pub fn time(&self, index: u64) -> Timestamp {
        self.start.saturating_add(Span::from_micros((self.step.as_micros() as u64).saturating_mul(index)))
    }

    /// A random number that depends on the seed, the index and `purpose` alone (SplitMix64's finalizer).
    pub fn random(&self, index: u64, purpose: u64) -> u64 {
        let mut x = self.seed ^ index.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ purpose.wrapping_mul(0xd1b5_4a32_d192_ed03);
        for _ in 0..2 {
            x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
            x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            x ^= x >> 31;
        }
        x
    }

    /// As [`random`](Self::random), in `[0, 1)`.
    pub fn fraction(&self, index: u64, purpose: u64) -> f64 {
        (self.random(index, purpose) >> 11) as f64 / (1u64 << 53) as f64
    }

    /// One of `count` things, the first ones often: rank `k` (from 0) has the probability
    /// `ln((k + 2) / (k + 1)) / ln(count + 1)`, which is Zipf's law with exponent 1 but for the first few.
    pub fn zipf(&self, index: u64, purpose: u64, count: u64) -> u64 {
        let rank = ((count as f64 + 1.0).ln() * self.fraction(index, purpose)).exp() as u64;
        rank.clamp(1, count.max(1)) - 1
    }
}

/// `generate`: the lines to standard output.
pub(super) fn generate(app: &App, args: &GenerateArgs) -> Result<Exit> {
    let Some(line) = app.generator else {
        let context = format!("`{}` has no generator; give `murmur::main!` one with `generator = ...`", app.name);
        return Err(Error::new(ErrorKind::InvalidArgument, context));
    };
    let what = args.stream();
    print::note(format_args!(
        "{} events; for the same again: --seed {} --keys {} --start {}",
        args.events, what.seed, what.keys, what.start
    ));
    let mut out = BufWriter::with_capacity(1 << 16, io::stdout().lock());
    let mut buffer = Vec::with_capacity(512);
    for index in 0..args.events {
        buffer.clear();
        line(&what, index, &mut buffer);
        buffer.push(b'\n');
        out.write_all(&buffer)?;
    }
    out.flush()?;
    Ok(Exit::Done)
}
