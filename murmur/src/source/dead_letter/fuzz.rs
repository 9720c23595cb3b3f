//! What [`fuzzing`](crate::fuzzing) gives the folder of dead letters: a line of a file, as a rewind reads it.

use super::file::{Stay, stays};
use crate::fuzzing::{bounded, must};
use crate::source::Offset;

/// A line may be a list, which takes two bytes for each element.
const PER_BYTE: usize = 200;

pub(crate) fn line(bytes: &[u8]) {
    let commits = [("a", Some(Offset::from_pair(3, 17))), ("b", None)];
    let line = [bytes, b"\n"].concat();
    match bounded(bytes, PER_BYTE, || stays(&line, &commits)) {
        Stay::For(letter) => {
            // Looked at again, there is nothing left to do.
            let again = [must(serde_json::to_vec(&letter), "a letter"), b"\n".to_vec()].concat();
            assert_eq!(stays(&again, &commits), Stay::Whole);
        }
        Stay::Whole | Stay::No => {}
    }
}

pub(crate) fn lines() -> Vec<Vec<u8>> {
    let line = |offset, pipelines| {
        format!(r#"{{"partition":"f:v:1","offset":"{offset}","pipelines":{pipelines},"payload":"x"}}"#).into_bytes()
    };
    vec![line("3:17", r#"["a","b"]"#), line("3:18", r#"["a","b","c"]"#), line("9", r#"["b"]"#), b"no letter".to_vec()]
}
