use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// The name of a source partition, unique and stable over the life of a pipeline's state.
///
/// It is stored in every tile that the partition contributed to, so it is short, and it carries whatever makes a
/// re-created partition a different one (the Kafka topic id, the run of a backfill).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PartitionId(Arc<str>);

impl PartitionId {
    /// A partition by its name.
    pub fn new(name: impl Into<Arc<str>>) -> Self {
        Self(name.into())
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A map of partitions can be asked by name.
impl Borrow<str> for PartitionId {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PartitionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for PartitionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A position in a partition. Offsets of one partition are totally ordered; nothing else about them is promised.
///
/// 256 bits, most significant word first, so that every source fits: a Kafka offset, a (file, line) pair, a
/// Kinesis sequence number of up to 56 digits with its sub-sequence.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Offset([u64; 4]);

/// How the largest minor number is shown: behind everything of its major one, as at the end of a file.
const END: &str = ":end";

/// The bit of the first word that no source needs: the longest position there is, of Kinesis, has 250 bits.
const CLOSED: u64 = 1 << 63;
/// The same in the byte of length of the stored form.
const CLOSED_MARK: u8 = 0x80;

impl Offset {
    /// The smallest offset.
    pub const ZERO: Self = Self([0; 4]);

    /// From its four words, most significant first.
    pub const fn from_words(words: [u64; 4]) -> Self {
        Self(words)
    }

    /// From one number.
    pub const fn from_u64(number: u64) -> Self {
        Self([0, 0, 0, number])
    }

    /// From a major and a minor number, ordered by the major one first: (file, line).
    pub const fn from_pair(major: u64, minor: u64) -> Self {
        Self([0, 0, major, minor])
    }

    /// The four words, most significant first.
    pub const fn words(&self) -> [u64; 4] {
        self.0
    }

    /// An offset that is `count` further in the last word, or the word's end: an upper bound, not a position.
    pub const fn ahead(&self, count: u64) -> Self {
        let [a, b, c, d] = self.0;
        Self([a, b, c, d.saturating_add(count)])
    }

    /// What a tile says of a partition that it is closed to: everything before this offset is in it, and nothing from
    /// here on ever will be. It lies above every offset of an event, so that every condition on it fails.
    #[must_use]
    pub const fn closed(self) -> Self {
        let [a, b, c, d] = self.0;
        Self([a | CLOSED, b, c, d])
    }

    /// From where on it is closed, if this is what [`closed`](Self::closed) gave.
    pub const fn closed_from(&self) -> Option<Self> {
        let [a, b, c, d] = self.0;
        if a & CLOSED == 0 { None } else { Some(Self([a & !CLOSED, b, c, d])) }
    }

    /// Append the order-preserving form: one byte of length, then the significant bytes, big-endian. Comparing the
    /// bytes compares the offsets. What is [`closed`](Self::closed) takes as much room as what it is closed from.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let (plain, mark) = match self.closed_from() {
            Some(from) => (from, CLOSED_MARK),
            None => (*self, 0),
        };
        let mut bytes = [0u8; 32];
        for (chunk, word) in bytes.chunks_exact_mut(8).zip(plain.0) {
            chunk.copy_from_slice(&word.to_be_bytes());
        }
        let significant = bytes.iter().skip_while(|b| **b == 0).count();
        out.push(mark | significant as u8);
        out.extend_from_slice(&bytes[32 - significant..]);
    }

    /// Read what [`encode`](Self::encode) wrote, and how many bytes that took; `None` when it is not an offset.
    pub fn decode(bytes: &[u8]) -> Option<(Self, usize)> {
        let length = *bytes.first()?;
        let significant = usize::from(length & !CLOSED_MARK);
        // Without a zero in front: the bytes are compared in place of the offsets.
        let body = bytes.get(1..1 + significant).filter(|body| significant <= 32 && body.first() != Some(&0))?;
        let mut padded = [0u8; 32];
        padded[32 - significant..].copy_from_slice(body);
        let mut words = [0u64; 4];
        for (word, chunk) in words.iter_mut().zip(padded.chunks_exact(8)) {
            let mut eight = [0u8; 8];
            eight.copy_from_slice(chunk);
            *word = u64::from_be_bytes(eight);
        }
        let plain = Self(words);
        let is_closed = length & CLOSED_MARK != 0;
        // A closed offset has one form only.
        (plain.closed_from().is_none()).then_some((if is_closed { plain.closed() } else { plain }, 1 + significant))
    }
}

/// Reads what [`Display`](fmt::Display) wrote.
impl FromStr for Offset {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bad = || format!("`{text}` is not an offset");
        let word = |text: &str, radix| u64::from_str_radix(text, radix).map_err(|_| bad());
        let digits = text.strip_suffix(END).unwrap_or(text);
        if digits.contains(|c: char| !c.is_ascii_hexdigit() && c != ':') {
            return Err(bad());
        }
        if digits.len() < text.len() {
            return Ok(Self::from_pair(word(digits, 10)?, u64::MAX));
        }
        if let Some((major, minor)) = text.split_once(':') {
            return Ok(Self::from_pair(word(major, 10)?, word(minor, 10)?));
        }
        if text.len() < 64 {
            return Ok(Self::from_u64(word(text, 10)?));
        }
        let mut words = [0; 4];
        for (n, target) in words.iter_mut().enumerate() {
            *target = word(&text[n * 16..][..16], 16)?;
        }
        if text.len() == 64 { Ok(Self(words)) } else { Err(bad()) }
    }
}

impl fmt::Display for Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            [0, 0, 0, number] => write!(f, "{number}"),
            [0, 0, major, u64::MAX] => write!(f, "{major}{END}"),
            [0, 0, major, minor] => write!(f, "{major}:{minor}"),
            [a, b, c, d] => write!(f, "{a:016x}{b:016x}{c:016x}{d:016x}"),
        }
    }
}

impl fmt::Debug for Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn offsets_read_back_from_text_and_bytes(words in any::<[u64; 4]>(), zeros in 0usize..=4) {
            let mut words = words;
            words[..zeros].fill(0);
            let offset = Offset::from_words(words);
            prop_assert_eq!(offset.to_string().parse(), Ok(offset));
            let mut bytes = Vec::new();
            offset.encode(&mut bytes);
            prop_assert_eq!(Offset::decode(&bytes), Some((offset, bytes.len())));
        }

        #[test]
        fn encoded_offsets_compare_as_offsets_do(a in any::<[u64; 4]>(), b in any::<[u64; 4]>(), zeros in 0usize..4) {
            let [mut a, mut b] = [a, b];
            a[..zeros].fill(0);
            b[..zeros.saturating_sub(1)].fill(0);
            let [a, b] = [a, b].map(Offset::from_words);
            let bytes = |offset: Offset| {
                let mut bytes = Vec::new();
                offset.encode(&mut bytes);
                bytes
            };
            prop_assert_eq!(bytes(a).cmp(&bytes(b)), a.cmp(&b));
        }
    }

    #[test]
    fn an_offset_has_one_form_in_bytes() {
        assert_eq!(Offset::decode(&[1, 7]), Some((Offset::from_u64(7), 2)));
        assert_eq!(Offset::decode(&[2, 0, 7]), None);
        assert_eq!(Offset::decode(&[CLOSED_MARK | 1, 0]), None);
    }

    #[test]
    fn the_end_of_a_file_is_said_in_words() {
        let end = Offset::from_pair(3, u64::MAX);
        assert_eq!(end.to_string(), "3:end");
        assert_eq!("3:end".parse(), Ok(end));
        assert!(Offset::from_pair(3, 9) < end);
    }

    #[test]
    fn nonsense_is_not_an_offset() {
        for text in [
            "",
            ":",
            ":end",
            "end",
            "1:2:end",
            "1:",
            "-1",
            "+1",
            "1:2:3",
            "1:+2",
            "99999999999999999999999",
            "x",
            "\u{e4}",
        ] {
            assert!(text.parse::<Offset>().is_err(), "{text}");
        }
        assert!("0".repeat(65).parse::<Offset>().is_err());
    }
}
