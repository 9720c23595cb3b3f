use super::partition::{Ledger, Owned};
use super::progress::{Contact, PartitionStatus, Progress, Summary};
