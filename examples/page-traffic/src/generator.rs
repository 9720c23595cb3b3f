//! Made-up page views: a few pages get most of them, some come late or at the same instant, one in a thousand is broken.
//!
//! | out of | events |
//! |---|---|
//! | 1,000 | 1 is malformed, in one of four ways |
//! | 100 | 1 is up to two days late, 5 are up to ten minutes late |
//! | 10 | 1 has the time of the event before it |
//! | 4 | 1 has no referrer |

use std::io::Write;

use murmur::app::Generate;
use murmur::time::{Span, Timestamp};

/// Visitors per page, on average.
const VISITORS: u64 = 20;

const REFERRERS: [&str; 12] = [
    "https://search.example/",
    "https://news.example/front",
    "https://social.example/feed",
    "https://mail.example/inbox",
    "https://blog.example/weekly",
    "https://wiki.example/Streams",
    "https://video.example/watch",
    "https://forum.example/t/4711",
    "https://shop.example/deals",
    "https://maps.example/near",
    "https://podcast.example/12",
    "https://ads.example/c?id=99",
];

/// What each random choice is for; the numbers only have to differ.
#[derive(Clone, Copy)]
enum Choice {
    Page,
    Visitor,
    Dwell,
    Referrer,
    Lateness,
    LateBy,
    SameTime,
    Malformed,
    Session,
}

/// The page view of this index, as a line of JSON of about 238 bytes.
pub fn line(stream: &Generate, index: u64, line: &mut Vec<u8>) {
    let random = |choice: Choice| stream.random(index, choice as u64);
    let page = page_name(stream.zipf(index, Choice::Page as u64, stream.keys));
    let visitor = random(Choice::Visitor) % (stream.keys * VISITORS).max(1);
    // Most people leave soon: the square makes short stays the common ones.
    let dwell = stream.fraction(index, Choice::Dwell as u64).powi(2) * 300_000.0;
    let referrer = match random(Choice::Referrer) % 4 {
        0 => "null".to_owned(),
        _ => format!("\"{}\"", REFERRERS[stream.zipf(index, Choice::Referrer as u64, REFERRERS.len() as u64) as usize]),
    };
    // `write!` into a vector cannot fail.
    let _ = write!(
        line,
        r#"{{"page_id":"{page}","user_id":"visitor-{visitor:08}","dwell_ms":{},"referrer":{referrer},"viewed_at":"{}","session":"{:016x}","agent":"Mozilla/5.0 (X11; Linux x86_64) Murmur/1","sequence":{index}}}"#,
        dwell as u64,
        time(stream, index),
        random(Choice::Session),
    );
    if random(Choice::Malformed).is_multiple_of(1_000) {
        spoil(line, random(Choice::Malformed) / 1_000);
    }
}

/// The page of this rank; the one that everybody opens is `/home`.
fn page_name(rank: u64) -> String {
    if rank == 0 { "/home".to_owned() } else { format!("/articles/{rank}") }
}

fn time(stream: &Generate, index: u64) -> Timestamp {
    let same = index > 0 && stream.random(index, Choice::SameTime as u64).is_multiple_of(10);
    let on_time = stream.time(index - u64::from(same));
    let most = match stream.random(index, Choice::Lateness as u64) % 100 {
        0 => Span::from_seconds(2 * 86_400),
        1..=5 => Span::from_seconds(600),
        _ => return on_time,
    };
    let late = stream.fraction(index, Choice::LateBy as u64) * most.as_micros() as f64;
    on_time.saturating_sub(Span::from_millis(late as u64 / 1_000))
}

/// Make a line that cannot be read as a page view.
fn spoil(line: &mut Vec<u8>, how: u64) {
    let text = String::from_utf8_lossy(line).into_owned();
    *line = match how % 4 {
        // Cut off, as by a full disk.
        0 => text[..text.len() / 2].into(),
        // A field is missing.
        1 => text.replacen("\"page_id\"", "\"page\"", 1).into(),
        // A field has another type.
        2 => text.replacen("\"dwell_ms\":", "\"dwell_ms\":\"soon\",\"dwell\":", 1).into(),
        // Not JSON at all.
        _ => format!("WARN slow consumer, dropped {text}").into(),
    };
}
