use std::marker::PhantomData;

use super::decode::{Decoder, Format};
use super::unreadable::Unreadable;
use crate::Result;
use crate::event::Event;

/// A format behind the prefix that Confluent's serializers write; the prefix is passed over.
///
/// ```text
/// 1 byte   0
/// 4 bytes  the number of the schema in the registry, big-endian
/// protobuf: which message of the schema, as zigzag varints: how many indexes, and these; 0 alone for the first message
/// ```
///
/// No registry is asked: the payload is read as the format says, whatever the number of its schema. A topic with
/// messages of several types has to be split first.
#[derive(Debug)]
pub struct Confluent<F>(PhantomData<F>);

#[diagnostic::do_not_recommend]
impl<E: Event, F: Format<E>> Format<E> for Confluent<F> {
    fn decoder() -> Result<Decoder<E>> {
        let decode = F::decoder()?;
        Ok(Box::new(move |payload| {
            let rest = after_prefix(payload, F::HAS_INDEXES);
            decode(
                rest.map_err(|why| {
                    Unreadable::plain(format!("not a `{}` behind a prefix of Confluent: {why}", E::NAME))
                })?,
            )
        }))
    }
}

fn after_prefix(payload: &[u8], has_indexes: bool) -> Result<&[u8], &'static str> {
    let mut rest = match payload.split_at_checked(5) {
        Some(([0, ..], rest)) => rest,
        Some(_) => return Err("it does not begin with a zero byte"),
        None => return Err("it is shorter than one"),
    };
    if has_indexes {
        let count = varint(&mut rest)?;
        // Zigzag: an even number is twice what is meant, an odd one is negative.
        if count % 2 != 0 {
            return Err("it says a negative number of indexes");
        }
        for _ in 0..count / 2 {
            varint(&mut rest)?;
        }
    }
    Ok(rest)
}

fn varint(rest: &mut &[u8]) -> Result<u64, &'static str> {
    prost::encoding::decode_varint(rest).map_err(|_| "the indexes of its message are torn")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_prefix_is_passed_over() {
        let schema = [0, 0, 0, 1, 2];
        let with = |more: &[u8]| [&schema, more].concat();
        assert_eq!(after_prefix(&with(b"{}"), false), Ok(&b"{}"[..]));
        assert_eq!(after_prefix(&with(b""), false), Ok(&b""[..]));
        assert_eq!(after_prefix(&with(b"\x00xy"), true), Ok(&b"xy"[..]));
        // [1, 0], and an index of two bytes.
        assert_eq!(after_prefix(&with(b"\x04\x02\x00xy"), true), Ok(&b"xy"[..]));
        assert_eq!(after_prefix(&with(b"\x02\x80\x01xy"), true), Ok(&b"xy"[..]));
    }

    #[test]
    fn what_has_no_prefix_is_told() {
        for (payload, why) in [
            (&b""[..], "shorter"),
            (b"\0\0\0\0", "shorter"),
            (b"{\"a\":1}", "zero byte"),
            (b"\0\0\0\0\x01", "torn"),
            (b"\0\0\0\0\x01\x04\x02", "torn"),
            (b"\0\0\0\0\x01\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01", "torn"),
            (b"\0\0\0\0\x01\x01", "negative"),
        ] {
            let error = after_prefix(payload, true).unwrap_err();
            assert!(error.contains(why), "{payload:?}: {error}");
        }
    }
}
