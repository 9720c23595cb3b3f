//! The messages that services of all pipelines share: `murmur/v1/types.proto`.

use std::sync::Arc;

pub use super::enums::{Edges, Presence, SetOperation};
use crate::aggregate as asked;
use crate::time::{Span, Timestamp};

impl From<Question> for asked::Question {
    fn from(Question { quantiles, ranks, texts, integers }: Question) -> Self {
        let texts = texts.into_iter().map(asked::Probe::Text);
        let elements = texts.chain(integers.into_iter().map(asked::Probe::Integer)).collect();
        Self { quantiles, ranks, elements, ..Self::default() }
    }
}

impl From<asked::Question> for Question {
    fn from(asked::Question { as_of: _, quantiles, ranks, elements }: asked::Question) -> Self {
        let mut question = Self { quantiles, ranks, ..Self::default() };
        for element in elements {
            match element {
                asked::Probe::Text(text) => question.texts.push(text),
                asked::Probe::Integer(number) => question.integers.push(number),
            }
        }
        question
    }
}

crate::message! {
    /// How a read is answered.
    pub struct ReadOptions: "murmur.v1.ReadOptions" {
        /// Read the store strongly: everything acknowledged before the call is seen.
        strong: bool = 1,
        /// What to ask of the estimates in the value.
        question: Option<Question> = 2,
        /// Say what was read for the answer.
        explain: bool = 3,
        /// How the sides of the interval are cut.
        edges: Edges = 4,
    }

    /// What is asked of the estimates in a value, beside the value itself; see [`aggregate::Question`](asked::Question).
    pub struct Question: "murmur.v1.Question" {
        /// Quantiles, each a share from 0 to 1.
        quantiles: Vec<f64> = 1,
        /// Values whose rank to tell.
        ranks: Vec<f64> = 2,
        /// Elements to look up that are texts.
        texts: Vec<String> = 3,
        /// Elements to look up that are whole numbers.
        integers: Vec<i64> = 4,
    }

    /// The last days, weeks or months of a time zone. Exactly one of the three is set, from 1 on; the current unit counts
    /// as the last one, up to now.
    pub struct Calendar: "murmur.v1.Calendar" {
        /// From midnight to midnight.
        days: u32 = 1,
        /// From Monday to Monday.
        weeks: u32 = 2,
        /// From the first to the first.
        months: u32 = 3,
        /// A name of the IANA database; UTC when empty.
        zone: String = 4,
        /// Only units that are over.
        whole: bool = 5,
    }

    /// The steps of a series by the calendar of a time zone. Exactly one of days, weeks and months is set, from 1 on.
    pub struct CalendarStep: "murmur.v1.CalendarStep" {
        /// From midnight to midnight.
        days: u32 = 1,
        /// From Monday to Monday.
        weeks: u32 = 2,
        /// From the first to the first.
        months: u32 = 3,
        /// A name of the IANA database; when empty that of the calendar of the request, or UTC.
        zone: String = 4,
    }

    /// The truth about a reply.
    pub struct Answer: "murmur.v1.Answer" {
        /// What the answer is about.
        presence: Presence = 1,
        /// First instant of the interval that was really answered; unset without a bound.
        start: Option<Timestamp> = 2,
        /// First instant after it; unset without a bound.
        end: Option<Timestamp> = 3,
        /// The start lies where the request asked; otherwise at the edge of a slot or hop, or of
        /// retention.
        start_exact: bool = 4,
        /// The same of the end.
        end_exact: bool = 5,
        /// How much of the stream the reply contains; unset where one of several answers in a message says nothing of it.
        as_of: Option<AsOf> = 6,
        /// Why there is no value although events were counted, with the name of the field; empty otherwise.
        problem: String = 7,
        /// What it took, when the request asked for it; of a Many call what all entries took together, in the first one.
        explanation: Option<Explanation> = 8,
    }

    /// What was read for an answer; see [`query::Explanation`](crate::query::Explanation).
    pub struct Explanation: "murmur.v1.Explanation" {
        /// What was read, by level.
        levels: Vec<LevelReads> = 1,
        /// Read units by DynamoDB's rule, whatever the store is.
        read_units: f64 = 2,
        /// What the store's server says that the reads cost; unset where it says nothing.
        consumed_units: Option<f64> = 3,
        /// Requests that the store's server has answered.
        requests: u64 = 4,
        /// How often the request had to wait for the store.
        round_trips: u64 = 5,
        /// Finished slots that are not rolled yet, and were read from the levels below.
        not_rolled: Vec<NotRolled> = 6,
    }

    /// What was read of one level.
    pub struct LevelReads: "murmur.v1.LevelReads" {
        /// Its name; `records` for those of the partitions.
        level: String = 1,
        /// Tiles that were asked for by their names, and pages of ranges.
        reads: u64 = 2,
        /// Items that were found.
        items: u64 = 3,
        /// Their size, as DynamoDB counts it.
        bytes: u64 = 4,
        /// Tiles beside them that the server had kept, and did not read.
        kept: u64 = 5,
    }

    /// Slots of a level that are not rolled yet.
    pub struct NotRolled: "murmur.v1.NotRolled" {
        /// The name of the level.
        level: String = 1,
        /// First instant inside.
        start: Option<Timestamp> = 2,
        /// First instant after it.
        end: Option<Timestamp> = 3,
    }

    /// How much of the stream a reply contains, at least: how far the workers are is read before the values are.
    pub struct AsOf: "murmur.v1.AsOf" {
        /// The newest event time that every partition has reached: the minimum of their watermarks; unset while one of them
        /// has none. Events that are older than this can still come.
        watermark: Option<Timestamp> = 1,
        /// Now minus the newest event time that is visible.
        freshness: Option<Span> = 2,
        /// Each source partition, in the order of their names. A message with several answers names them once: of one that names
        /// none, they are those that were named last before it. [`Client`](crate::grpc::Client) puts them into each.
        partitions: Arc<Vec<PartitionProgress>> = 3,
    }

    /// One source partition.
    pub struct PartitionProgress: "murmur.v1.PartitionProgress" {
        /// Its name.
        partition: String = 1,
        /// The newest event time seen up to the offset.
        watermark: Option<Timestamp> = 2,
        /// Everything up to and including this offset is contained; see [`query::AsOf`](crate::query::AsOf) for stores whose
        /// reads run behind.
        offset: String = 3,
    }

    /// An estimate with its bounds.
    pub struct Estimate: "murmur.v1.Estimate" {
        /// The most likely value.
        value: f64 = 1,
        /// The true value lies above this and below `upper` with 95 % confidence (two standard deviations).
        lower: f64 = 2,
        /// See `lower`.
        upper: f64 = 3,
    }

    /// A mean.
    pub struct Average: "murmur.v1.Average" {
        /// Sum divided by count; unset when nothing was counted.
        mean: Option<f64> = 1,
        /// How many values.
        count: u64 = 2,
        /// Their sum.
        sum: f64 = 3,
    }

    /// Mean and spread of numbers.
    pub struct Moments: "murmur.v1.Moments" {
        /// How many numbers.
        count: u64 = 1,
        /// Their sum.
        sum: f64 = 2,
        /// Sum divided by count; unset when nothing was counted.
        mean: Option<f64> = 3,
        /// Of a sample: the sum of squared distances from the mean, divided by count - 1; unset below two numbers.
        variance: Option<f64> = 4,
        /// The same, divided by count; unset when nothing was counted.
        population_variance: Option<f64> = 5,
        /// The root of `variance`.
        standard_deviation: Option<f64> = 6,
    }

    /// Different texts.
    pub struct StringSet: "murmur.v1.StringSet" {
        /// In the order of their bytes.
        values: Vec<String> = 1,
        /// There were more; these are the smallest.
        truncated: bool = 2,
    }

    /// Different whole numbers that are not negative.
    pub struct Uint64Set: "murmur.v1.Uint64Set" {
        /// In order.
        values: Vec<u64> = 1,
        /// There were more; these are the smallest.
        truncated: bool = 2,
    }

    /// Different whole numbers.
    pub struct Int64Set: "murmur.v1.Int64Set" {
        /// In order.
        values: Vec<i64> = 1,
        /// There were more; these are the smallest.
        truncated: bool = 2,
    }

    /// Different times.
    pub struct TimestampSet: "murmur.v1.TimestampSet" {
        /// In order.
        values: Vec<Timestamp> = 1,
        /// There were more; these are the earliest.
        truncated: bool = 2,
    }

    /// Quantiles and ranks of numbers.
    pub struct Quantiles: "murmur.v1.Quantiles" {
        /// How many numbers.
        count: u64 = 1,
        /// The smallest, exactly; unset when there was none.
        min: Option<f64> = 2,
        /// The largest, exactly; unset when there was none.
        max: Option<f64> = 3,
        /// How far a rank may be off, as a share of all numbers, with 99 % confidence; 0 while everything is exact.
        rank_error: f64 = 4,
        /// Those that were asked for, in that order; 0.5, 0.9, 0.95 and 0.99 without. None of no numbers.
        quantiles: Vec<QuantilePoint> = 5,
        /// Those that were asked for, in that order.
        ranks: Vec<RankPoint> = 6,
    }

    /// A quantile.
    pub struct QuantilePoint: "murmur.v1.QuantilePoint" {
        /// The share that was asked about.
        quantile: f64 = 1,
        /// The smallest number that so large a share of all numbers does not exceed.
        value: f64 = 2,
        /// The true one lies between this and `upper` with 99 % confidence.
        lower: f64 = 3,
        /// See `lower`.
        upper: f64 = 4,
    }

    /// A rank.
    pub struct RankPoint: "murmur.v1.RankPoint" {
        /// The value that was asked about.
        value: f64 = 1,
        /// The share of all numbers that do not exceed it.
        rank: f64 = 2,
        /// The true share lies between this and `upper` with 99 % confidence.
        lower: f64 = 3,
        /// See `lower`.
        upper: f64 = 4,
    }

    /// The most frequent items, most frequent first.
    pub struct TopItems: "murmur.v1.TopItems" {
        /// The items.
        items: Vec<TopItem> = 1,
        /// Any item that is not listed occurred at most this often, or less than the last one listed.
        maximum_error: u64 = 2,
        /// Occurrences of all items together.
        total: u64 = 3,
    }

    /// One frequent item.
    pub struct TopItem: "murmur.v1.TopItem" {
        /// The item.
        item: String = 1,
        /// The estimate, equal to `upper`.
        count: u64 = 2,
        /// The true count is never below this.
        lower: u64 = 3,
        /// The true count is never above this.
        upper: u64 = 4,
    }

    /// A sum that fades.
    pub struct Decayed: "murmur.v1.Decayed" {
        /// Every amount with the weight that it has at `as_of`.
        value: f64 = 1,
        /// The instant that `value` is told for: the end of the interval or now, but no earlier than the beginning of
        /// the half-life, counted from 1970, in which the newest amount lies.
        as_of: Option<Timestamp> = 2,
        /// After it, half of an amount is left.
        half_life: Option<Span> = 3,
    }

    /// What is known of who was there.
    pub struct Membership: "murmur.v1.Membership" {
        /// Every element that was asked for: texts in their order, then whole numbers in theirs.
        members: Vec<Member> = 1,
        /// The share of those that were never there and are `contained` nevertheless.
        false_positive_rate: f64 = 2,
        /// How many bits of the filter are set.
        bits_set: u64 = 3,
        /// How many it has.
        bits: u64 = 4,
    }

    /// Whether one element was there.
    pub struct Member: "murmur.v1.Member" {
        /// The element, when it is a text.
        text: Option<String> = 1,
        /// The element, when it is a whole number.
        integer: Option<i64> = 2,
        /// `false`: it certainly was not there. `true`: it was, but for the false alarms that `false_positive_rate` says.
        contained: bool = 3,
    }

    /// How often elements occurred.
    pub struct Frequencies: "murmur.v1.Frequencies" {
        /// Every element that was asked for: texts in their order, then whole numbers in theirs.
        frequencies: Vec<Frequency> = 1,
        /// How much higher than the truth a count may be: 1 % of the total, with 99.3 % confidence for each element.
        maximum_error: u64 = 2,
        /// Occurrences of all elements together.
        total: u64 = 3,
    }

    /// How often one element occurred.
    pub struct Frequency: "murmur.v1.Frequency" {
        /// The element, when it is a text.
        text: Option<String> = 1,
        /// The element, when it is a whole number.
        integer: Option<i64> = 2,
        /// The estimate, equal to `upper`.
        count: u64 = 3,
        /// The true count is not below this, with 99.3 % confidence.
        lower: u64 = 4,
        /// The true count is never above this.
        upper: u64 = 5,
    }

    /// A text with the time of its event.
    pub struct TimedString: "murmur.v1.TimedString" {
        /// When.
        at: Option<Timestamp> = 1,
        /// What.
        value: String = 2,
    }

    /// A whole number that is not negative, with the time of its event.
    pub struct TimedUint64: "murmur.v1.TimedUint64" {
        /// When.
        at: Option<Timestamp> = 1,
        /// What.
        value: u64 = 2,
    }

    /// A whole number with the time of its event.
    pub struct TimedInt64: "murmur.v1.TimedInt64" {
        /// When.
        at: Option<Timestamp> = 1,
        /// What.
        value: i64 = 2,
    }

    /// A float with the time of its event.
    pub struct TimedDouble: "murmur.v1.TimedDouble" {
        /// When.
        at: Option<Timestamp> = 1,
        /// What.
        value: f64 = 2,
    }

    /// A truth value with the time of its event.
    pub struct TimedBool: "murmur.v1.TimedBool" {
        /// When.
        at: Option<Timestamp> = 1,
        /// What.
        value: bool = 2,
    }

    /// A time with the time of its event.
    pub struct TimedTimestamp: "murmur.v1.TimedTimestamp" {
        /// When.
        at: Option<Timestamp> = 1,
        /// What.
        value: Option<Timestamp> = 2,
    }
}
