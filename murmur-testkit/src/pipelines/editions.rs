//! One pipeline, in versions of a program.

use murmur::aggregate::{Count, Membership};
use murmur::pipeline::{Emissions, Pipeline, Spec};

use super::{Tick, TickKey, spec};

const SPEC: Spec = spec("editions");

/// The first version.
#[derive(Debug, Clone)]
pub(crate) struct First {
    count: Count,
    members: Membership<500>,
}

murmur::aggregate_struct! {
    impl First;
    /// The replies.
    pub(crate) struct FirstReply: "testkit.v1.First" {
        /// Events.
        count: Count = 1,
        /// Which amounts there were.
        members: Membership<500> = 2,
    }
    retired [];
}

/// The next one, with a field more.
#[derive(Debug, Clone)]
pub(crate) struct Next {
    count: Count,
    members: Membership<500>,
    since: Count,
}

murmur::aggregate_struct! {
    impl Next;
    /// The replies.
    pub(crate) struct NextReply: "testkit.v1.Next" {
        /// Events.
        count: Count = 1,
        /// Which amounts there were.
        members: Membership<500> = 2,
        /// Events since there is this field.
        since: Count = 3,
    }
    retired [];
}

impl Next {
    /// Events that this version has counted.
    pub(crate) fn since(&self) -> u64 {
        self.since.get()
    }
}

/// One in which a field has another size.
#[derive(Debug, Clone)]
pub(crate) struct Other {
    count: Count,
    members: Membership<5_000>,
}

murmur::aggregate_struct! {
    impl Other;
    /// The replies.
    pub(crate) struct OtherReply: "testkit.v1.Other" {
        /// Events.
        count: Count = 1,
        /// Which amounts there were.
        members: Membership<5_000> = 2,
    }
    retired [];
}

/// What all versions have counted, whichever they are.
#[derive(Debug, Clone)]
pub(crate) struct Common {
    count: Count,
    members: Membership<500>,
}

murmur::aggregate_struct! {
    impl Common;
    /// The replies.
    pub(crate) struct CommonReply: "testkit.v1.Common" {
        /// Events.
        count: Count = 1,
        /// Which amounts there were.
        members: Membership<500> = 2,
    }
    retired [3];
}

murmur::key! {
    /// The same key, with another name for its field.
    pub(crate) struct RenamedKey: "testkit.v1.TickKey" {
        /// Which counter.
        counter: String = 1,
    }
}

/// The first version.
pub(crate) struct Editions;

impl Pipeline for Editions {
    type Event = Tick;
    type Key = TickKey;
    type Aggregate = First;
    const SPEC: Spec = SPEC;

    fn apply(event: &Tick, out: &mut Emissions<First>) {
        out.begin("").field(&event.key);
        out.emit(First { count: Count::one(), members: Membership::of(event.amount) });
    }
}

/// The next one: a field more, and a key whose field has another name.
pub(crate) struct EditionsNext;

impl Pipeline for EditionsNext {
    type Event = Tick;
    type Key = RenamedKey;
    type Aggregate = Next;
    const SPEC: Spec = SPEC;

    fn apply(event: &Tick, out: &mut Emissions<Next>) {
        out.begin("").field(&event.key);
        out.emit(Next { count: Count::one(), members: Membership::of(event.amount), since: Count::one() });
    }
}

/// One in which a field has another size.
pub(crate) struct EditionsOther;

impl Pipeline for EditionsOther {
    type Event = Tick;
    type Key = TickKey;
    type Aggregate = Other;
    const SPEC: Spec = SPEC;

    fn apply(event: &Tick, out: &mut Emissions<Other>) {
        out.begin("").field(&event.key);
        out.emit(Other { count: Count::one(), members: Membership::of(event.amount) });
    }
}

/// What is compared: the fields that the first two versions have both.
pub(crate) struct Edited;

impl Pipeline for Edited {
    type Event = Tick;
    type Key = TickKey;
    type Aggregate = Common;
    const SPEC: Spec = SPEC;

    fn apply(event: &Tick, out: &mut Emissions<Common>) {
        out.begin("").field(&event.key);
        out.emit(Common { count: Count::one(), members: Membership::of(event.amount) });
    }
}
