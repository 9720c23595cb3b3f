use murmur::prelude::*;
use std::time::SystemTime;

#[murmur::value]
pub struct UserId(String);

#[murmur::event]
pub struct Types {
    #[murmur(header = "a")]
    pub a: Vec<String>,
    #[murmur(header = "b")]
    pub b: UserId,
    #[murmur(header = "c", as = "string")]
    pub c: u64,
    #[murmur(record_key)]
    pub d: u64,
    #[murmur(broker_time)]
    pub e: String,
}

#[murmur::event]
pub struct Times {
    #[murmur(broker_time, time)]
    pub at: SystemTime,
}

#[murmur::event]
pub struct Forms {
    #[murmur(header)]
    pub a: String,
    #[murmur(header = "")]
    pub b: String,
    #[murmur(header = trace)]
    pub c: String,
    #[murmur(record_key = "d")]
    pub d: String,
    #[murmur(broker_tme)]
    pub e: Timestamp,
    #[murmur(header = "f", number = 3)]
    pub f: String,
}

#[murmur::event]
pub struct Places {
    #[murmur(header = "a", record_key)]
    pub a: String,
    #[murmur(header = "b", header = "c")]
    pub b: String,
    #[murmur(broker_time)]
    pub c: Timestamp,
    #[murmur(time, broker_time)]
    pub d: Timestamp,
    #[murmur(header = "e")]
    pub e: String,
    #[murmur(header = "e")]
    pub f: Vec<u8>,
}

#[murmur::event]
pub struct Absent {
    #[murmur(time, broker_time)]
    pub at: Option<Timestamp>,
}

#[murmur::value]
pub struct Inner {
    #[murmur(header = "a")]
    pub a: String,
}
