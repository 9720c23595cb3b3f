//! How the endpoints of a service are doing: each kind of estimate, and an aggregate of one's own.
//!
//! ```text
//! service-health run   --source calls/ --store embedded://state --until-end
//! service-health query service_health /login --window 1h --quantile 0.99 --rank 250 --element ada
//! service-health query service_health /login --intersect /pay       # clients that called both
//! ```

mod streak;

use murmur::prelude::*;

use crate::streak::Streak;

/// One call of one endpoint.
#[murmur::event]
#[derive(serde::Deserialize)]
pub struct Call {
    pub endpoint: String,
    pub client: String,
    pub took_ms: f64,
    pub failed: bool,
    #[murmur(time)]
    pub at: Timestamp,
}

/// What is known about an endpoint.
#[murmur::aggregate]
pub struct Health {
    /// How long calls took: quantiles, and ranks of the values that are asked for.
    pub took_ms: Quantiles,
    /// Different clients; those of several endpoints and stretches of time can be combined.
    pub clients: DistinctSet,
    /// Whether the clients that are asked for have called.
    pub callers: Membership<10_000>,
    /// How often the clients that are asked for have called.
    pub calls: Frequency,
    /// Who calls most.
    pub busiest: TopK<10>,
    /// Failures that fade: one counts half after an hour.
    pub trouble: Decayed<3600>,
    /// The most failures in a row.
    #[murmur(as = "uint64")]
    pub outage: Streak,
}

/// Health per endpoint, over any stretch of a month.
#[murmur::pipeline(key = endpoint, window = sliding("30d", slot = "1h"))]
pub fn service_health(call: &Call) -> Health {
    Health {
        took_ms: Quantiles::of(call.took_ms),
        clients: DistinctSet::of(&call.client),
        callers: Membership::of(&call.client),
        calls: Frequency::of(&call.client),
        busiest: TopK::of(&call.client),
        trouble: Decayed::of(call.failed.then_some(1.0), call.at),
        outage: Streak::of(call.failed),
    }
}

murmur::main!(service_health);
