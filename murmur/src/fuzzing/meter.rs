//! How much decoding allocates.

use std::sync::OnceLock;

/// What counts allocations: the program's allocator, where it can.
#[derive(Debug, Clone, Copy)]
pub struct Meter {
    /// Begin to look for a peak.
    pub begin: fn(),
    /// The most bytes that were allocated at once since, above those at the beginning.
    pub peak: fn() -> usize,
}

static METER: OnceLock<Meter> = OnceLock::new();

/// Have allocations counted by `meter`. Without one, nothing is counted.
pub fn measure_by(meter: Meter) {
    // A second one is as good as the first.
    let _ = METER.set(meter);
}

/// What anything may allocate: the registers of a sketch, a message of an error.
const CONSTANT: usize = 16 << 10;

/// Decode `input`; panics when that takes more than a constant and `per_byte` bytes for each byte of it.
pub(crate) fn bounded<T>(input: &[u8], per_byte: usize, decode: impl FnOnce() -> T) -> T {
    at_most(CONSTANT + per_byte * input.len(), input, decode)
}

/// Do something with `input`; panics when that takes more than so many bytes.
pub(crate) fn at_most<T>(most: usize, input: &[u8], work: impl FnOnce() -> T) -> T {
    let Some(meter) = METER.get() else { return work() };
    (meter.begin)();
    let done = work();
    let peak = (meter.peak)();
    assert!(peak <= most, "{} bytes had {peak} allocated, more than {most}", input.len());
    done
}
