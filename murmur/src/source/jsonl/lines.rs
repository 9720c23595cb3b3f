use crate::source::{Offset, Payload};

/// Cuts a stream of bytes into lines, in buffers that become batches as they are.
///
/// Where one buffer ends and the next begins never shows: which lines there are, their numbers, and which of them are
/// too long depends on the bytes alone. Memory is bounded by the longest line and one buffer.
#[derive(Debug)]
pub(super) struct Lines {
    /// Major word of the offsets.
    piece: u64,
    /// Lines finished so far.
    line: u64,
    /// Lines up to this one are not delivered.
    skip: u64,
    longest: usize,
    /// The unfinished line at the end of the last buffer, as much of it as is kept.
    carry: Vec<u8>,
    /// Bytes of that line that are not kept, as it is too long.
    dropped: u64,
}

/// A buffer with the places of its lines.
#[derive(Debug, Default)]
pub(super) struct Cut {
    pub(super) buffer: Vec<u8>,
    pub(super) payloads: Vec<Payload>,
}

impl Lines {
    pub(super) fn new(piece: u64, skip: u64, longest: usize) -> Self {
        Self { piece, line: 0, skip, longest, carry: Vec::new(), dropped: 0 }
    }

    /// Deliver what follows this line.
    pub(super) fn skip_to(&mut self, line: u64) {
        self.skip = line;
    }

    /// The last line that is finished.
    pub(super) fn position(&self) -> Offset {
        Offset::from_pair(self.piece, self.line)
    }

    /// How many lines are finished.
    pub(super) fn line(&self) -> u64 {
        self.line
    }

    /// How many lines that were to be skipped have not come yet.
    pub(super) fn missing(&self) -> u64 {
        self.skip.saturating_sub(self.line)
    }

    /// A buffer to read `room` more bytes into: it begins with the unfinished line.
    pub(super) fn begin(&mut self, room: usize) -> Vec<u8> {
        let mut buffer = Vec::with_capacity(self.carry.len() + room);
        buffer.append(&mut self.carry);
        buffer
    }

    /// How much to read at a time: a long unfinished line is not to be copied again and again.
    pub(super) fn room(&self, least: usize) -> usize {
        least.max(self.carry.len())
    }

    /// Cut what [`begin`](Self::begin) gave and was read into. `end` says that nothing follows.
    pub(super) fn cut(&mut self, buffer: Vec<u8>, end: bool) -> Cut {
        let mut payloads = Vec::with_capacity(buffer.len() / 128);
        let mut start = 0;
        for newline in memchr::memchr_iter(b'\n', &buffer) {
            self.finish(&buffer, start..newline, &mut payloads);
            start = newline + 1;
        }
        let rest = start..buffer.len();
        if end {
            if !rest.is_empty() || self.dropped > 0 {
                self.finish(&buffer, rest, &mut payloads);
            }
        } else {
            let kept = rest.len().min(self.longest);
            self.dropped += (rest.len() - kept) as u64;
            self.carry.extend_from_slice(&buffer[start..start + kept]);
        }
        Cut { buffer, payloads }
    }

    /// The bytes of the line that broken input ended in, as a payload that cannot be read.
    pub(super) fn break_off(&mut self, reason: String) -> Cut {
        let buffer = std::mem::take(&mut self.carry);
        self.dropped = 0;
        self.line += 1;
        let payload = Payload { offset: self.position(), bytes: 0..buffer.len(), broken: Some(reason.into()) };
        let payloads = if self.line > self.skip { vec![payload] } else { Vec::new() };
        Cut { buffer, payloads }
    }

    fn finish(&mut self, buffer: &[u8], mut bytes: std::ops::Range<usize>, payloads: &mut Vec<Payload>) {
        let length = std::mem::take(&mut self.dropped) + bytes.len() as u64;
        self.line += 1;
        if self.line <= self.skip {
            return;
        }
        let mut broken = None;
        if length > self.longest as u64 {
            let kept = bytes.len().min(self.longest);
            bytes.end = bytes.start + kept;
            let reason =
                format!("truncated: the line has {length} bytes, and {kept} are kept; `max_line` sets the limit");
            broken = Some(reason.into());
        } else if buffer[bytes.clone()].iter().all(u8::is_ascii_whitespace) {
            return;
        } else if buffer[bytes.end - 1] == b'\r' {
            bytes.end -= 1;
        }
        payloads.push(Payload { offset: self.position(), bytes, broken });
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Number, bytes, and whether it is whole.
    type Line = (u64, Vec<u8>, bool);

    fn cut(chunks: &[&[u8]], skip: u64, longest: usize) -> Vec<Line> {
        let mut lines = Lines::new(1, skip, longest);
        let mut found = Vec::new();
        let mut keep = |cut: Cut| {
            for payload in cut.payloads {
                let [.., piece, line] = payload.offset.words();
                assert_eq!(piece, 1);
                found.push((line, cut.buffer[payload.bytes].to_vec(), payload.broken.is_none()));
            }
        };
        for chunk in chunks {
            let mut buffer = lines.begin(chunk.len());
            buffer.extend_from_slice(chunk);
            assert!(lines.carry.len() <= longest);
            keep(lines.cut(buffer, false));
        }
        let buffer = lines.begin(0);
        keep(lines.cut(buffer, true));
        found
    }

    /// The same in the plainest way.
    fn naive(bytes: &[u8], skip: u64, longest: usize) -> Vec<Line> {
        let text = bytes.strip_suffix(b"\n").unwrap_or(bytes);
        let lines = text.split(|b| *b == b'\n').zip(1..).filter(|(_, n)| *n > skip);
        let lines = lines.filter(|(line, _)| line.len() > longest || !line.trim_ascii().is_empty());
        let lines = lines.map(|(line, n)| match line {
            line if line.len() > longest => (n, line[..longest].to_vec(), false),
            line => (n, line.strip_suffix(b"\r").unwrap_or(line).to_vec(), true),
        });
        lines.collect()
    }

    proptest! {
        #[test]
        fn the_same_lines_come_out_however_they_are_cut(
            text in "[ab \\r\\n]{0,60}",
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
            skip in 0u64..5,
            longest in 1usize..12,
        ) {
            let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(text.len() + 1)).collect();
            at.extend([0, text.len()]);
            at.sort_unstable();
            let chunks: Vec<&[u8]> = at.windows(2).map(|pair| &text.as_bytes()[pair[0]..pair[1]]).collect();
            prop_assert_eq!(cut(&chunks, skip, longest), naive(text.as_bytes(), skip, longest));
        }
    }

    #[test]
    fn a_line_without_end_takes_no_memory_beyond_the_limit() {
        let mut lines = Lines::new(1, 0, 100);
        for _ in 0..1_000 {
            let mut buffer = lines.begin(1_000);
            buffer.resize(buffer.len() + 1_000, b'x');
            assert!(lines.cut(buffer, false).payloads.is_empty(), "its length is not known yet");
            assert_eq!(lines.carry.len(), 100);
        }
        let mut buffer = lines.begin(6);
        buffer.extend_from_slice(b"\nnext\n");
        let payloads = lines.cut(buffer, false).payloads;
        assert_eq!(payloads[0].bytes.len(), 100);
        assert!(payloads[0].broken.as_deref().is_some_and(|why| why.contains("1000000 bytes, and 100 are kept")));
        assert_eq!((payloads[1].offset, payloads[1].bytes.len()), (Offset::from_pair(1, 2), 4));
    }
}
