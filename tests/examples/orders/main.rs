//! Counts orders: what `end_to_end/own_worker.rs` kills under load, as a user would.

pub mod order;

murmur::main!(order::shop_turnover);
