//! Timestamps, spans, windows, slots and tiles.
//!
//! A **slot** is the finest unit of time that a pipeline keeps apart. A **tile** is one stored item: one key, one
//! interval, holding the slots of the next unit up. All intervals are half-open `[start, end)`, all boundaries are
//! UTC, and everything floors towards the past, before 1970 too. Days, weeks and months of a time zone are intervals
//! like any other: [`CalendarUnits`] says which.

mod calendar;
mod range;
mod span;
#[cfg(test)]
mod tests;
mod tile;
mod timestamp;
mod window;
mod zone;

pub use calendar::{CalendarUnit, CalendarUnits};
pub use range::TimeRange;
pub use span::Span;
pub use tile::{Level, Slot, Tile, Tiling};
pub use timestamp::Timestamp;
pub use window::Window;
pub use zone::Zone;
