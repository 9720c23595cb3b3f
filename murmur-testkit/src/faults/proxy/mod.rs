//! What stands between a worker and what it talks to.

pub mod dynamodb;
pub mod tcp;
