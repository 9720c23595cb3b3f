use clap::ValueEnum;

/// A defect that the simulation can switch on, and must then find. Each is a way in which streaming counters have really
/// been built.
///
/// | name | what it is like | what was seen |
/// |---|---|---|
/// | `commit-at-maximum` | acknowledgements out of order mark the largest offset | W-D4; W-D18: an old owner's marks are committed |
/// | `source-commit-trusted` | reading goes on at the group's commit where that is ahead of the store | |
/// | `commit-on-shutdown` | what was cancelled by SIGTERM is acknowledged | W-D2, W-D3 |
/// | `ack-before-durable` | a write that has to wait counts as done, and is carried out when it can be | |
/// | `ack-with-first-tile` | an event of several keys is acknowledged with the first one | W-D5 |
/// | `end-too-early` | a finite source is drained for a while, and what is left is dropped | W-D6 |
/// | `end-without-flush` | the end of the source is reached and nobody flushes | W-D7 |
/// | `claim-before-apply` | the event's id is claimed first, and the claim outlives a failed write | W-D1 |
/// | `retry-without-condition` | an addition whose answer was lost is sent again as it is | W-D8 |
/// | `unconditional` | what was read again is merged again, also the keys that were done | W-D9 |
/// | `conflict-as-success` | an owner that lost its partitions goes on, and commits | W-D18 |
/// | `filtered-holds-commit` | events that concern no key are never acknowledged | W-D17 |
/// | `identities-forgotten` | the ids of events that were sent twice live as long as the process | |
/// | `closed-in-memory` | which tiles are full is known to their worker alone | |
/// | `rolled-too-early` | a tile is rolled while one of the partitions may still add to it | |
/// | `new-partition-unseen` | a partition that is new does not look at what was rolled before it came | |
/// | `retired-unmarked` | what a retired partition adds to a tile is not marked above it | |
/// | `retirement-unseen` | an owner does not see that its partition was retired | |
/// | `refusals-in-memory` | which events a sum did not take is known to their worker alone | |
/// | `letters-of-one-worker` | each worker knows which dead letters it has put, and not those of the others of its process | |
/// | `letters-cut-again` | whoever takes a partition removes the letters beyond the commit that others of its process have put | |
/// | `letters-synced-by-one` | each worker makes the letters durable that it has put itself | |
/// | `stale-base` | state is read eventually consistent, and written back | |
///
/// A source's commit does no harm where reading goes on by the store alone. So the defects of commits come with the trust
/// in them.
///
/// The numbers are those of the rows about delivery in the study of the predecessor in Go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Defect {
    /// The source's commit follows what was delivered, not what is durable, and reading goes on there.
    CommitAtMaximum,
    /// Reading goes on at the source's commit where that is beyond the position in the store, which may have been restored.
    SourceCommitTrusted,
    /// A worker that is asked to stop commits what was delivered, whatever became of its last flush, and
    /// reading goes on there.
    CommitOnShutdown,
    /// A write that was not carried out at once counts as done, and is sent again later: the commit and the next write of its
    /// tile go ahead of it.
    AckBeforeDurable,
    /// A flush counts as durable when its first write is.
    AckWithFirstTile,
    /// The end is reported before everything was delivered.
    EndTooEarly,
    /// At the end nothing is written any more, and it is said to be.
    EndWithoutFlush,
    /// The offset is claimed in a first write, and the numbers are added in a second one.
    ClaimBeforeApply,
    /// A write that is sent again goes without its condition.
    RetryWithoutCondition,
    /// No write has a condition.
    Unconditional,
    /// A failed condition is taken for "already applied", whatever the item says.
    ConflictAsSuccess,
    /// The commit stays below events that no pipeline wants.
    FilteredHoldsCommit,
    /// Whoever takes a partition knows no identities of the events before.
    IdentitiesForgotten,
    /// That a tile is closed is not written down.
    ClosedInMemory,
    /// The roller takes every partition for finished.
    RolledTooEarly,
    /// Whoever takes a partition for the first time finds no frontier.
    NewPartitionUnseen,
    /// What was rolled without an event of a retired partition is not marked.
    RetiredUnmarked,
    /// Whoever has a partition takes it for one that rolling waits for.
    RetirementUnseen,
    /// That an event was refused is not written down.
    RefusalsInMemory,
    /// What another worker of the process has put into the folder of the dead letters is put again.
    LettersOfOneWorker,
    /// What another worker of the process has put beyond the commit is removed with the partition.
    LettersCutAgain,
    /// Letters that another worker has put are left out, and left to it to be made durable.
    LettersSyncedByOne,
    /// What should be read strongly is read from a stale copy.
    StaleBase,
}

impl Defect {
    /// Whether reading goes on at the source's commit.
    pub(super) fn trusts_the_source(self) -> bool {
        matches!(self, Self::CommitAtMaximum | Self::SourceCommitTrusted | Self::CommitOnShutdown)
    }

    /// Whether it is about what rolling makes.
    #[cfg(test)]
    pub(super) fn is_about_rolling(self) -> bool {
        matches!(self, Self::RolledTooEarly | Self::NewPartitionUnseen | Self::RetiredUnmarked | Self::RetirementUnseen)
    }

    /// Whether it is about the folder of dead letters that workers of a process share.
    pub(super) fn is_about_letters(self) -> bool {
        matches!(self, Self::LettersOfOneWorker | Self::LettersCutAgain | Self::LettersSyncedByOne)
    }
}
