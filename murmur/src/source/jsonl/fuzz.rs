//! What [`fuzzing`](crate::fuzzing) gives the readers of this source.

use super::head::Head;
use super::lines::Lines;
use super::manifest::Manifest;
use crate::fuzzing::{bounded, must};

/// Number, bytes, and whether it is whole.
type Line = (u64, Vec<u8>, bool);

/// The lines of a text that arrives in pieces of `size` bytes.
fn cut(text: &[u8], size: usize, skip: u64, longest: usize) -> Vec<Line> {
    let mut lines = Lines::new(1, skip, longest);
    let mut found = Vec::new();
    let pieces = text.chunks(size).map(|piece| (piece, false)).chain([(&b""[..], true)]);
    for (piece, end) in pieces {
        let mut buffer = lines.begin(piece.len());
        buffer.extend_from_slice(piece);
        let cut = lines.cut(buffer, end);
        for payload in cut.payloads {
            let [.., number] = payload.offset.words();
            found.push((number, cut.buffer[payload.bytes].to_vec(), payload.broken.is_none()));
        }
    }
    found
}

/// The first three bytes say how long lines may be, how many were read before, and how the text arrives.
pub(crate) fn lines(bytes: &[u8]) {
    let Some((&[longest, skip, size], text)) = bytes.split_first_chunk() else { return };
    let (longest, size) = (usize::from(longest).max(1), usize::from(size).max(1));
    let whole = cut(text, text.len().max(1), skip.into(), longest);
    assert_eq!(cut(text, size, skip.into(), longest), whole, "in pieces of {size} bytes");
    assert!(whole.iter().all(|(number, line, _)| *number > u64::from(skip) && line.len() <= longest));
}

pub(crate) fn texts() -> Vec<Vec<u8>> {
    [&b"\x08\x00\x03{}\n\n long line\r\n{\"a\":1}"[..], b"\xff\x01\x01one\ntwo\nthree\n", b"\x02\x00\xff\r\n \nab\nabc"]
        .map(<[u8]>::to_vec)
        .to_vec()
}

/// Bytes that a manifest may take for each byte of its JSON.
const PER_BYTE: usize = 64;

pub(crate) fn manifest(bytes: &[u8]) {
    let Some(manifest) = bounded(bytes, PER_BYTE, || Manifest::read(bytes)) else { return };
    let again = must(serde_json::to_vec(&manifest), "a manifest");
    assert_eq!(Manifest::read(&again).as_ref(), Some(&manifest));
    for (number, piece) in manifest.pieces_of(0, 1) {
        assert_eq!(manifest.piece(number), Some(piece));
        let file = manifest.file(piece);
        let _ = (file.was_packed(), file.ending());
    }
}

pub(crate) fn manifests() -> Vec<Vec<u8>> {
    let text = r#"{"format":2,"root":"views","segments":2,"files":[{"path":"a.json","head":{"length":3,"crc":7},"size":3,"segment":0},{"path":"b.json.gz","head":{"length":9,"crc":1},"size":9,"tail":{"length":9,"crc":1},"segment":1,"content":{"length":20,"crc":2},"packed":{"size":9,"head":{"length":9,"crc":1}},"gone":true}],"pieces":[{"file":0,"from":0,"to":3,"sealed":false},{"file":1,"from":0,"to":9,"sealed":true}]}"#;
    vec![text.as_bytes().to_vec()]
}

/// How standard input began.
pub(crate) fn head(bytes: &[u8]) {
    let Ok(head) = bounded(bytes, PER_BYTE, || serde_json::from_slice::<Head>(bytes)) else { return };
    let again = must(serde_json::to_vec(&head), "a head");
    assert_eq!(serde_json::from_slice::<Head>(&again).ok(), Some(head));
    head.fits(bytes);
}

pub(crate) fn heads() -> Vec<Vec<u8>> {
    vec![must(serde_json::to_vec(&Head::of(b"{}\n")), "a head")]
}
