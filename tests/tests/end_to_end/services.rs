//! The services of the tests are the real ones, and for this machine only.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use murmur_tests::{process, services};
use serde_json::json;

/// Sends bytes to `host:port`, and gives the first ones of the answer.
fn exchange(address: &str, request: &[u8], length: usize) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).unwrap_or_else(|error| panic!("{address}: {error}"));
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    stream.write_all(request).unwrap();
    let mut answer = vec![0; length];
    stream.read_exact(&mut answer).unwrap_or_else(|error| panic!("{address} gives no answer: {error}"));
    answer
}

#[test]
fn kafka_names_the_address_it_was_asked_at() {
    let address = services::kafka();
    // Metadata (3), version 1, correlation 7, no client name, no topics. The answer, after its length: the correlation,
    // how many brokers, and of the first one its number, host, port. A client goes on to that host and port.
    let request = [&14_u32.to_be_bytes()[..], &[0, 3, 0, 1, 0, 0, 0, 7, 0xff, 0xff, 0, 0, 0, 0]].concat();
    let (host, port) = address.rsplit_once(':').unwrap();
    let expected = [
        &[0, 0, 0, 7, 0, 0, 0, 1, 0, 0, 0, 1, 0, host.len() as u8],
        host.as_bytes(),
        &port.parse::<u32>().unwrap().to_be_bytes(),
    ]
    .concat();
    let answer = exchange(address, &request, 4 + expected.len());
    assert_eq!(answer[4..], expected);
}

#[test]
fn dynamodb_lists_tables() {
    let body = json!({ "Limit": 1 }).to_string();
    // There must be a signature; the local one does not verify it.
    let signature = "authorization: AWS4-HMAC-SHA256 Credential=local/20200101/local/dynamodb/aws4_request, \
                     SignedHeaders=host, Signature=0";
    let arguments = [
        ["-sS", "--fail-with-body"],
        ["-H", "content-type: application/x-amz-json-1.0"],
        ["-H", "x-amz-target: DynamoDB_20120810.ListTables"],
        ["-H", signature],
        ["-d", &body],
    ];
    let answer = process::json("curl", &[arguments.as_flattened(), &[services::dynamodb()]].concat());
    assert!(answer["TableNames"].is_array(), "{answer}");
}

#[test]
fn valkey_answers_a_ping() {
    let address = services::valkey().strip_prefix("redis://").unwrap();
    assert_eq!(exchange(address, b"PING\r\n", 7), b"+PONG\r\n");
}

/// Every address of 127.0.0.0/8 is this machine, so a server that listens on all addresses is there at 127.0.0.2 too.
#[test]
fn no_service_listens_beyond_the_loopback_address() {
    for address in [services::kafka(), services::dynamodb(), services::valkey()] {
        let (_, port) = address.rsplit_once(':').unwrap();
        let elsewhere = TcpStream::connect(("127.0.0.2", port.parse().unwrap()));
        assert!(elsewhere.is_err(), "{address} is reachable at 127.0.0.2 too");
    }
}
