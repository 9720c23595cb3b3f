//! What [`fuzzing`](crate::fuzzing) gives the records of a table that are read by the engine alone.

use super::frontier::Frontier;
use super::ownership::Ownership;
use crate::fuzzing::{bounded, must, summed};
use crate::source::{Record, Version};
use crate::store::Table;
use crate::time::Timestamp;

/// With its checksum, and with one that fits.
pub(crate) fn frontier(bytes: &[u8]) {
    for stored in [bytes.to_vec(), summed(bytes)] {
        let Ok(at) = bounded(&stored, 0, || Frontier::decode(&stored)) else { continue };
        assert_eq!(Frontier::encode(at), stored, "{at} has two spellings");
    }
}

pub(crate) fn frontiers() -> Vec<Vec<u8>> {
    let stored = [Timestamp::EPOCH, Timestamp::MIN, Timestamp::MAX].map(Frontier::encode);
    let bodies = stored.iter().map(|stored| stored[..stored.len() - 4].to_vec());
    bodies.chain(stored.clone()).collect()
}

/// A list of numbers takes two bytes for each, and a list of lists three.
const PER_BYTE: usize = 64;

fn read(bytes: &[u8]) -> Option<Ownership> {
    Ownership::decode(&Record { bytes: bytes.to_vec(), version: Version(1) }, &Table::new("places", 1)).ok()
}

pub(crate) fn owner(bytes: &[u8]) {
    let Some(owner) = bounded(bytes, PER_BYTE, || read(bytes)) else { return };
    let again = must(serde_json::to_vec(&owner), "an owner");
    assert_eq!(read(&again).as_ref(), Some(&owner));
    assert_eq!(owner.joined(&owner), Ok(owner.clone()));
}

pub(crate) fn owners() -> Vec<Vec<u8>> {
    let text = r#"{"format":1,"pipeline":"shop.v1/places","generation":1,"form":"put","tile":"h/1h","key":{"1":"uint64","2":"string"},"rollup":[[1,2],[]],"fields":{"1":"Count","3":"TopK<String>"}}"#;
    vec![text.as_bytes().to_vec()]
}
