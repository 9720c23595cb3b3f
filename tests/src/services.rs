//! The real services that the tests talk to, at the addresses that `scripts/services.sh env` prints.
//!
//! A test that needs one fails without it: a check that is left out silently looks as if it had passed.

use std::sync::OnceLock;

/// The bootstrap server of Kafka, as `host:port`.
pub fn kafka() -> &'static str {
    static ADDRESS: OnceLock<String> = OnceLock::new();
    ADDRESS.get_or_init(|| address("MURMUR_TEST_KAFKA"))
}

/// The endpoint of DynamoDB, as `http://host:port`. It takes any region and any credentials.
pub fn dynamodb() -> &'static str {
    static ADDRESS: OnceLock<String> = OnceLock::new();
    ADDRESS.get_or_init(|| address("MURMUR_TEST_DYNAMODB"))
}

/// Valkey, or Redis where that is what the machine has, as `redis://host:port`.
pub fn valkey() -> &'static str {
    static ADDRESS: OnceLock<String> = OnceLock::new();
    ADDRESS.get_or_init(|| address("MURMUR_TEST_VALKEY"))
}

fn address(variable: &str) -> String {
    match std::env::var(variable) {
        Ok(address) if !address.is_empty() => address,
        _ => panic!(
            "this test needs a real service, and `{variable}` does not say where it is: \
             run `scripts/services.sh start`, and `export $(scripts/services.sh env)`"
        ),
    }
}
