//! What a definition needs: `use murmur::prelude::*;`.

pub use crate::aggregate::{
    Average, Count, Decayed, Decimal, Distinct, DistinctSet, First, Frequency, Last, Latest, Map, Max, Membership, Min,
    Moments, Monoid, Quantiles, Question, Set, Sum, TopK,
};
pub use crate::pipeline::Pipeline;
pub use crate::time::{Span, Timestamp};
pub use murmur_macros::{aggregate, event, pipeline, value};
