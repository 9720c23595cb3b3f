//! What a definition needs: `use murmur::prelude::*;`.

pub use crate::aggregate::{Average, Count, Distinct, First, Last, Max, Min, Monoid, Question, Sum, TopK};
pub use crate::pipeline::Pipeline;
pub use crate::time::{Span, Timestamp};
pub use murmur_macros::{aggregate, event, pipeline, value};
