//! A server by TLS, with certificates of its own and of those who ask, and new ones in place of old ones.

use std::fs;
use std::path::Path;
use std::process::Output;
use std::time::{Duration, Instant};

use murmur_tests::process::{Server, example, output, success};
use murmur_tests::{certificates, tools};
use tempfile::TempDir;

use crate::place::Place;

/// A place with certificates: of the server by `ca.pem`, and of a client by `other.pem`.
fn place() -> Place {
    let place = Place::new();
    certificates::make(place.folder());
    certificates::by(place.folder(), "other", "client");
    place
}

fn serve(place: &Place, more: &[&str]) -> Server {
    let (certificate, key) = (place.file("server.crt"), place.file("server.key"));
    place.serve(&[&["--tls-cert", &certificate, "--tls-key", &key], more].concat())
}

/// Ask for a page.
fn ask(place: &Place, server: &Server, more: &[&str]) -> Output {
    place.query(&format!("https://{}", server.address), more).output().unwrap()
}

/// How a program failed: its exit code and what it said.
fn failed(output: &Output) -> (Option<i32>, String) {
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn a_server_is_asked_by_tls_by_our_client_by_curl_and_by_grpcurl() {
    let place = place();
    let server = serve(&place, &[]);
    let ca = place.file("ca.pem");
    place.assert_right(&ask(&place, &server, &["--tls-ca", &ca]));
    let (code, said) = failed(&ask(&place, &server, &["--tls-ca", &place.file("other.pem")]));
    assert!(code == Some(1) && said.contains("(`--tls-ca`)"), "{said}");

    let url = format!("https://{}/page_traffic.v1.PageTrafficService/Get", server.address);
    let views = place.views().to_string();
    for version in ["--http1.1", "--http2"] {
        let arguments = ["-sS", version, "--cacert", &ca, "--json", r#"{"key": {"page_id": "/home"}}"#, &url];
        let reply: serde_json::Value = serde_json::from_str(&success("curl", &arguments)).unwrap();
        assert_eq!(reply["value"]["views"], views, "{version}");
    }
    let listed = success(tools::grpcurl(), &["-cacert", &ca, &server.address, "list"]);
    assert!(listed.contains("page_traffic.v1.PageTrafficService"), "{listed}");
}

#[test]
fn a_server_that_asks_for_certificates_answers_nobody_without_one() {
    let place = place();
    let clients = place.file("other.pem");
    let server = serve(&place, &["--tls-client-ca", &clients]);
    let ca = place.file("ca.pem");
    let own = |name: &str| (place.file(&format!("{name}.crt")), place.file(&format!("{name}.key")));
    let (certificate, key) = own("client");
    place.assert_right(&ask(&place, &server, &["--tls-ca", &ca, "--client-cert", &certificate, "--client-key", &key]));
    let (code, said) = failed(&ask(&place, &server, &["--tls-ca", &ca]));
    // The server may be gone before its reason is read.
    assert!(matches!(code, Some(1 | 4)), "{code:?} {said}");
    assert!(said.contains("`--client-cert`") || said.contains("the connection to the server broke"), "{said}");
    let (certificate, key) = own("server");
    let by_another = ask(&place, &server, &["--tls-ca", &ca, "--client-cert", &certificate, "--client-key", &key]);
    assert!(matches!(by_another.status.code(), Some(1 | 4)), "{by_another:?}");

    // It may be reached by other machines: none of them is let in without a certificate.
    drop(server);
    let (certificate, key) = own("server");
    let arguments = ["serve", "--store", &place.store, "--tls-cert", &certificate, "--tls-key", &key];
    let everywhere = ["--listen", "0.0.0.0:0"];
    let open = output(example("page-traffic"), &[&arguments[..], &everywhere].concat());
    let (code, said) = failed(&open);
    assert!(code == Some(2) && said.contains("`--tls-client-ca`"), "{said}");
    let asking = [&arguments[..], &everywhere, &["--tls-client-ca", &clients]].concat();
    drop(Server::listening(example("page-traffic"), &asking));
}

#[test]
fn new_certificates_are_taken_while_it_serves() {
    let place = place();
    let server = serve(&place, &[]);
    let known_by = |authority: &str| ask(&place, &server, &["--tls-ca", &place.file(authority)]);
    place.assert_right(&known_by("ca.pem"));
    assert!(!known_by("other.pem").status.success());
    // Made elsewhere, and moved into their places.
    let made = TempDir::new().unwrap();
    for name in ["other.pem", "other.key"] {
        fs::copy(place.folder().join(name), made.path().join(name)).unwrap();
    }
    certificates::by(made.path(), "other", "server");
    for name in ["server.crt", "server.key"] {
        moved(&made.path().join(name), &place.folder().join(name));
    }
    let begun = Instant::now();
    let mut answer = known_by("other.pem");
    while !answer.status.success() {
        assert!(begun.elapsed() < Duration::from_secs(120), "{answer:?}");
        answer = known_by("other.pem");
    }
    place.assert_right(&answer);
}

/// It may be on another disk.
fn moved(from: &Path, to: &Path) {
    let beside = to.with_extension("new");
    fs::copy(from, &beside).unwrap();
    fs::rename(beside, to).unwrap();
}

#[test]
fn certificates_that_cannot_be_used_are_errors_at_the_start() {
    let place = place();
    let (certificate, key, client) = (place.file("server.crt"), place.file("server.key"), place.file("client.key"));
    let serve = |more: &[&str]| {
        let arguments = ["serve", "--store", &place.store, "--listen", "127.0.0.1:0"];
        failed(&output(example("page-traffic"), &[&arguments, more].concat()))
    };
    for (more, words) in [
        (&["--tls-cert", &certificate][..], "--tls-key"),
        (&["--tls-client-ca", &certificate], "--tls-cert"),
        (&["--tls-cert", "/nowhere.crt", "--tls-key", &key], "(`/nowhere.crt`) is not there"),
        (&["--tls-cert", &certificate, "--tls-key", &client], "does not belong to the first certificate"),
        (&["--tls-cert", &certificate, "--tls-key", &certificate], "has no private key in PEM"),
    ] {
        let (code, said) = serve(more);
        assert!(code == Some(2) && said.contains(words), "{more:?}: {said}");
    }
    // A certificate without a port that has it would be served in the open, or not at all.
    let run = ["run", "--source", "-", "--store", &place.store, "--tls-cert", &certificate, "--tls-key", &key];
    let (code, said) = failed(&output(example("page-traffic"), &run));
    assert!(code == Some(2) && said.contains("`--listen`"), "{said}");
}
