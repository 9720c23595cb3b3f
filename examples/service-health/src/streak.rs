//! An aggregate of one's own: how often something happened in a row, at most.

use murmur::aggregate::{DecodeError, Form};
use murmur::prelude::*;

/// The longest run of failures, in the order of the events of a partition; behind those of one hour come those of the
/// next.
///
/// What a part of a stream has to keep of itself is the run that it begins with and the one that it ends with: a run may
/// go on in the part before or behind it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Streak {
    /// All events.
    events: u64,
    /// How many failures it begins with.
    front: u64,
    /// How many it ends with.
    back: u64,
    longest: u64,
}

/// The version of the encoding. Other bytes get another one, and `decode` goes on to read what was stored before.
const VERSION: u8 = 1;

impl Streak {
    /// One event, which has failed or not.
    pub fn of(failed: bool) -> Self {
        let run = u64::from(failed);
        Self { events: 1, front: run, back: run, longest: run }
    }
}

impl Monoid for Streak {
    const FORM: Form = Form::Put;
    const MAX_BYTES: usize = 1 + 4 * 8;
    type Reply = u64;

    fn identity() -> Self {
        Self::default()
    }

    fn combine(&mut self, later: Self) {
        // Only bytes that nobody has counted can hold more than fits.
        let across = self.back.saturating_add(later.front);
        *self = Self {
            events: self.events.saturating_add(later.events),
            front: if self.front == self.events { across } else { self.front },
            back: if later.back == later.events { across } else { later.back },
            longest: self.longest.max(later.longest).max(across),
        };
    }

    /// The version, and four numbers of 8 bytes.
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(VERSION);
        for number in [self.events, self.front, self.back, self.longest] {
            out.extend_from_slice(&number.to_le_bytes());
        }
    }

    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let wrong = || DecodeError(format!("not a streak of version {VERSION}: {} bytes", bytes.len()));
        let Some((&VERSION, mut rest)) = bytes.split_first() else { return Err(wrong()) };
        let mut number = || {
            let (number, behind) = rest.split_first_chunk().ok_or_else(wrong)?;
            rest = behind;
            Ok(u64::from_le_bytes(*number))
        };
        let read = Self { events: number()?, front: number()?, back: number()?, longest: number()? };
        if !rest.is_empty() {
            return Err(wrong());
        }
        if read.front.max(read.back) > read.longest || read.longest > read.events {
            return Err(DecodeError(format!("runs that are longer than what they are part of: {read:?}")));
        }
        Ok(read)
    }

    /// Whoever finds stored bytes can tell by it what they are: another name or version is another aggregate.
    fn kept(field: u32, visit: &mut dyn FnMut(u32, Option<String>)) {
        visit(field, Some("Streak 1".into()));
    }

    fn reply(&self, _: &Question) -> murmur::Result<u64> {
        Ok(self.longest)
    }
}

#[cfg(test)]
mod tests {
    use murmur::aggregate::laws;

    use super::*;

    fn of(events: &str) -> Streak {
        let mut whole = Streak::identity();
        events.chars().for_each(|event| whole.combine(Streak::of(event == 'x')));
        whole
    }

    #[test]
    fn it_keeps_the_laws() {
        laws::check(&["x", ".", "xx", "x.", ".x", "x.x", "xx.xxx.x", "..xxxx.."].map(of));
    }

    #[test]
    fn runs_go_on_from_part_to_part() {
        let mut whole = of(".xx");
        whole.combine(of("xxx"));
        whole.combine(of("x.xx"));
        assert_eq!(whole.longest, 6);
        assert_eq!(of(".xx..x").longest, 2);
        assert_eq!(of("...").longest, 0);
    }

    #[test]
    fn bytes_that_are_no_streak_are_refused() {
        let mut bytes = Vec::new();
        of("xx.x").encode(&mut bytes);
        assert_eq!(Streak::decode(&bytes), Ok(of("xx.x")));
        assert!(Streak::decode(&bytes[1..]).is_err());
        bytes[0] = 2;
        assert!(Streak::decode(&bytes).unwrap_err().to_string().contains("version 1"));
        let longer = [[VERSION].as_slice(), &[1, 0, 0, 0, 0, 0, 0, 0].repeat(3), &[9, 0, 0, 0, 0, 0, 0, 0]].concat();
        assert!(Streak::decode(&longer).unwrap_err().to_string().contains("longer"));
    }
}
