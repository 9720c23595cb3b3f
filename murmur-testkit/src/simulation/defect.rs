use clap::ValueEnum;

/// A defect that the simulation can switch on, and must then find. Each is a way in which streaming counters have
/// really been built.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Defect {
    /// The source's commit follows what was delivered, not what is durable.
    CommitAtMaximum,
    /// The offset is claimed in a first write, and the numbers are added in a second one.
    ClaimBeforeApply,
    /// A write that is sent again goes without its condition.
    RetryWithoutCondition,
    /// No write has a condition.
    Unconditional,
    /// A failed condition is taken for "already applied", whatever the item says.
    ConflictAsSuccess,
    /// What should be read strongly is read from a stale copy.
    StaleBase,
}
