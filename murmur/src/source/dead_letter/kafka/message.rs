//! A letter as a message that fits.

use rdkafka::message::{Header, OwnedHeaders};

use super::super::Letter;
use crate::source::kafka::Place;

/// At most what a batch with one message has beside payload, key and headers: 61 bytes for the batch, the rest for
/// attributes and lengths of the message (`DefaultRecordBatch` and `DefaultRecord` of Kafka).
const FRAME: usize = 128;
/// At most what a header has beside name and value.
const HEADER: usize = 10;
/// Room for the headers that say what was cut.
const NOTES: usize = 3 * (HEADER + "murmur-headers-left-out".len() + "18446744073709551615".len());

/// What is sent.
pub(super) struct Message<'a> {
    pub(super) payload: &'a [u8],
    pub(super) key: Option<&'a [u8]>,
    pub(super) headers: OwnedHeaders,
    /// Bytes that it takes in a topic, at most.
    pub(super) size: usize,
}

/// How much of a letter is sent. The payload is worth the most: what stands beside it has half of the room at most.
struct Cut {
    payload: usize,
    key: usize,
    reason: usize,
    /// Which headers of the original stay.
    headers: Vec<bool>,
}

impl<'a> Message<'a> {
    /// The letter with where and why, of at most so many bytes. What does not fit is cut, and headers say so.
    pub(super) fn of(letter: &'a Letter, app: &str, room: usize) -> Self {
        let own = own_headers(letter, app);
        let own_size = own.iter().map(|(name, value)| header_size(name, value.as_bytes())).sum();
        let Cut { payload, key, reason, headers } = Cut::to(letter, own_size, room);

        let mut all = Headers { headers: OwnedHeaders::new(), size: FRAME };
        for ((name, value), _) in letter.metadata.headers.iter().zip(&headers).filter(|(_, stays)| **stays) {
            all.add(name, value.as_deref());
        }
        for (name, value) in &own {
            let end = if *name == "murmur-reason" { reason } else { value.len() };
            all.add(name, Some(&value.as_bytes()[..end]));
        }
        let left_out = headers.iter().filter(|stays| !**stays).count();
        let whole_key = letter.metadata.key.as_deref();
        for (name, value, is_so) in [
            ("murmur-payload-bytes", letter.payload.len(), payload < letter.payload.len()),
            ("murmur-key-bytes", whole_key.map_or(0, <[u8]>::len), whole_key.is_some_and(|whole| key < whole.len())),
            ("murmur-headers-left-out", left_out, left_out > 0),
        ] {
            if is_so {
                all.add(name, Some(value.to_string().as_bytes()));
            }
        }
        let Headers { headers, size } = all;
        Self {
            payload: &letter.payload[..payload],
            key: whole_key.map(|whole| &whole[..key]),
            headers,
            size: size + payload + key,
        }
    }
}

impl Cut {
    fn to(letter: &Letter, own_size: usize, room: usize) -> Self {
        let sizes: Vec<usize> = letter
            .metadata
            .headers
            .iter()
            .map(|(name, value)| header_size(name, value.as_deref().unwrap_or_default()))
            .collect();
        let mut cut = Self {
            payload: letter.payload.len(),
            key: letter.metadata.key.as_ref().map_or(0, Vec::len),
            reason: letter.reason.len(),
            headers: vec![true; sizes.len()],
        };
        let mut beside = sizes.iter().sum::<usize>();
        if FRAME + own_size + beside + cut.key + cut.payload <= room {
            return cut;
        }
        let room = room.saturating_sub(FRAME + NOTES);
        cut.reason = floor_char_boundary(&letter.reason, room / 8);
        let room = room.saturating_sub(own_size - letter.reason.len() + cut.reason);
        // The largest first, so that as many as can be stay.
        let mut largest: Vec<usize> = (0..sizes.len()).collect();
        largest.sort_by_key(|at| sizes[*at]);
        while beside + cut.key > room / 2
            && let Some(at) = largest.pop()
        {
            cut.headers[at] = false;
            beside -= sizes[at];
        }
        cut.key = cut.key.min(room / 2);
        cut.payload = cut.payload.min(room - beside - cut.key);
        cut
    }
}

/// Where and why.
fn own_headers(letter: &Letter, app: &str) -> Vec<(&'static str, String)> {
    let pipelines = letter.pipelines.join(",");
    let mut own: Vec<(&str, String)> = vec![
        ("murmur-id", format!("{}@{}/{pipelines}", letter.partition, letter.offset)),
        ("murmur-pipelines", pipelines),
        ("murmur-partition", letter.partition.to_string()),
        ("murmur-offset", letter.offset.to_string()),
        ("murmur-reason", letter.reason.clone()),
        ("murmur-class", letter.class.as_str().to_owned()),
        ("murmur-app", app.to_owned()),
    ];
    own.extend(letter.place.clone().map(|place| ("murmur-place", place)));
    own.extend(letter.at.map(|at| ("murmur-at", at.to_string())));
    own.extend(letter.metadata.stamped.map(|at| ("murmur-stamped", at.to_string())));
    if let Some(Ok(place)) = letter.place.as_deref().map(str::parse::<Place>) {
        own.push(("murmur-source-topic", place.topic));
        own.push(("murmur-source-partition", place.partition.to_string()));
        own.push(("murmur-source-offset", place.offset.to_string()));
    }
    own
}

/// Headers, and what they take.
struct Headers {
    headers: OwnedHeaders,
    size: usize,
}

impl Headers {
    fn add(&mut self, key: &str, value: Option<&[u8]>) {
        self.size += header_size(key, value.unwrap_or_default());
        self.headers =
            std::mem::replace(&mut self.headers, OwnedHeaders::new_with_capacity(0)).insert(Header { key, value });
    }
}

fn header_size(name: &str, value: &[u8]) -> usize {
    HEADER + name.len() + value.len()
}

/// The end of the last whole character within so many bytes.
fn floor_char_boundary(text: &str, most: usize) -> usize {
    (0..=most.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use rdkafka::message::Headers as _;

    use super::*;
    use crate::source::{LetterClass, Metadata, Offset, PartitionId};

    fn letter(payload: usize, key: usize, headers: &[usize], reason: usize) -> Letter {
        let header = |length: &usize| (format!("h{length}"), Some(vec![b'h'; *length]));
        Letter {
            partition: PartitionId::new("k:0123456789:7"),
            offset: Offset::from_u64(123_456),
            pipelines: vec!["words"],
            place: Some("views[7]@123456".to_owned()),
            reason: "é".repeat(reason / 2),
            class: LetterClass::Undecodable,
            at: None,
            payload: vec![b'p'; payload],
            metadata: Metadata {
                key: (key > 0).then(|| vec![b'k'; key]),
                headers: headers.iter().map(header).collect(),
                stamped: None,
            },
        }
    }

    fn header(message: &Message<'_>, name: &str) -> Option<String> {
        let all = message.headers.iter().filter(|header| header.key == name);
        all.last().map(|header| String::from_utf8(header.value.unwrap().to_vec()).unwrap())
    }

    #[test]
    fn a_letter_that_fits_is_whole_and_says_nothing_of_cuts() {
        let letter = letter(1_000, 10, &[20, 30], 40);
        let size = Message::of(&letter, "app", usize::MAX).size;
        let message = Message::of(&letter, "app", size);
        assert_eq!((message.payload, message.key), (&letter.payload[..], letter.metadata.key.as_deref()));
        for name in ["murmur-payload-bytes", "murmur-key-bytes", "murmur-headers-left-out"] {
            assert_eq!(header(&message, name), None);
        }
        let smaller = Message::of(&letter, "app", size - 1);
        assert!(smaller.payload.len() < 1_000);
        assert_eq!(header(&smaller, "murmur-payload-bytes").as_deref(), Some("1000"));
    }

    #[test]
    fn the_payload_is_cut_first_and_has_half_of_the_room_at_least() {
        let payload_alone = letter(50_000, 10, &[20, 30], 40);
        let message = Message::of(&payload_alone, "app", 10_000);
        assert!((9_000..10_000).contains(&message.payload.len()), "{}", message.payload.len());
        assert_eq!(message.key, payload_alone.metadata.key.as_deref());
        assert!(header(&message, "h30").is_some());

        let all = letter(50_000, 20_000, &[30, 20_000, 20], 40_000);
        let message = Message::of(&all, "app", 10_000);
        assert!((3_500..4_500).contains(&message.payload.len()), "{}", message.payload.len());
        assert_eq!(header(&message, "murmur-payload-bytes").as_deref(), Some("50000"));
        assert_eq!(header(&message, "murmur-key-bytes").as_deref(), Some("20000"));
        assert_eq!(header(&message, "murmur-headers-left-out").as_deref(), Some("3"));
        assert!(header(&message, "murmur-reason").unwrap().starts_with("é"));
    }

    #[test]
    fn the_largest_header_goes_first() {
        let letter = letter(100, 10, &[30, 20_000, 20], 40);
        let message = Message::of(&letter, "app", 10_000);
        assert_eq!((message.payload.len(), message.key.unwrap().len()), (100, 10));
        assert!(header(&message, "h30").is_some() && header(&message, "h20").is_some());
        assert_eq!(header(&message, "murmur-headers-left-out").as_deref(), Some("1"));
        assert_eq!(header(&message, "murmur-payload-bytes"), None);
    }

    #[test]
    fn nothing_is_larger_than_its_room() {
        for room in [2_000, 4_096, 10_000, 1_048_588] {
            for payload in [0, 100, 3_000, 2_000_000] {
                for (key, headers, reason) in [
                    (0, &[][..], 10),
                    (9_000, &[10, 9_000], 10),
                    (10, &[2_000_000, 4_000], 5_000),
                    (2_000_000, &[], 2_000_000),
                ] {
                    let letter = letter(payload, key, headers, reason);
                    let size = Message::of(&letter, "app", room).size;
                    assert!(size <= room, "{payload} {key} {headers:?} {reason}: {size} > {room}");
                }
            }
        }
    }
}
