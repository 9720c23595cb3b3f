//! Connect's own conformance suite against the port: Connect, gRPC and gRPC-Web, over HTTP/1.1 and HTTP/2, in protobuf and
//! JSON, plain and compressed, without TLS, by TLS, and by TLS with certificates of clients, by a client that knows nothing of
//! Murmur: 3,832 cases.

use std::process::Command;

use murmur_tests::process::{example, target};
use murmur_tests::{tools, workspace};

#[test]
fn every_case_of_the_suite_passes() {
    let (suite, descriptor) = tools::conformance();
    let log = target().join("tmp/conformance.log");
    let output = Command::new(suite)
        .args(["--mode", "server", "--conf"])
        .arg(workspace().join("tests/examples/conformance/suite.yaml"))
        .arg("--")
        .arg(example("conformance"))
        .arg(descriptor)
        .output()
        .unwrap();
    let said = [output.stdout, output.stderr].concat();
    std::fs::write(&log, &said).unwrap();
    let said = String::from_utf8_lossy(&said);
    let failed: Vec<&str> = said.lines().filter(|line| line.starts_with("FAILED")).take(20).collect();
    assert!(output.status.success(), "{failed:#?}; the rest is in {}", log.display());
    // Not fewer cases than there were, for another reason than that they passed.
    assert!(said.contains("3832 passed, 0 failed"), "{said}");
}
