//! A server by TLS, with certificates of its own and of those who ask, and new ones in place of old ones.

use std::fs;
use std::path::Path;
use std::process::Output;
use std::time::{Duration, Instant};

use murmur_tests::process::{Server, example, output, success};
use murmur_tests::{certificates, tools};
use tempfile::TempDir;

use crate::access::{curl, refused};
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
fn what_a_certificate_says_of_its_client_is_what_it_may_read() {
    let place = place();
    let names = [
        ("dashboards", "URI:spiffe://shop.example/dashboards"),
        ("others", "DNS:others.shop.example"),
        ("stranger", "URI:spiffe://shop.example/stranger"),
    ];
    for (client, name) in names {
        certificates::named(place.folder(), "other", client, name);
    }
    let access = place.write(
        "access.toml",
        "[caller.dashboards]\ncertificates = [\"uri:spiffe://shop.example/dashboards\"]\npipelines = [\"page_traffic\"]\n\
         [caller.others]\ncertificates = [\"dns:others.shop.example\"]\npipelines = [\"likes\"]\n",
    );
    let server = serve(&place, &["--tls-client-ca", &place.file("other.pem"), "--access", &access]);
    let ca = place.file("ca.pem");
    let own = |client: &str| (place.file(&format!("{client}.crt")), place.file(&format!("{client}.key")));

    let by_query = |client: &str| {
        let (certificate, key) = own(client);
        ask(&place, &server, &["--tls-ca", &ca, "--client-cert", &certificate, "--client-key", &key])
    };
    place.assert_right(&by_query("dashboards"));
    refused(&by_query("others"), "`others` may not read `page_traffic`");
    refused(&by_query("stranger"), "no name that this server knows");

    let url = format!("https://{}/page_traffic.v1.PageTrafficService/Get", server.address);
    let by_curl = |client: &str| {
        let (certificate, key) = own(client);
        curl(&url, &["--cacert", &ca, "--cert", &certificate, "--key", &key])
    };
    let (status, reply) = by_curl("dashboards");
    assert_eq!((status.as_str(), &reply["value"]["views"]), ("200", &place.views().to_string().into()));
    for (client, status, reason) in [("others", "403", "PIPELINE_FORBIDDEN"), ("stranger", "401", "CALLER_UNKNOWN")] {
        let (said, error) = by_curl(client);
        assert_eq!((said.as_str(), &error["details"][0]["debug"]["reason"]), (status, &reason.into()), "{error}");
        assert!(error.get("value").is_none(), "{error}");
    }

    let by_grpcurl = |client: &str| {
        let (certificate, key) = own(client);
        let call = ["-d", r#"{"key": {"page_id": "/home"}}"#, &server.address];
        let method = ["page_traffic.v1.PageTrafficService/Get"];
        let secured = ["-cacert", &ca, "-cert", &certificate, "-key", &key];
        output(tools::grpcurl(), &[&secured[..], &call, &method].concat())
    };
    let answer = by_grpcurl("dashboards");
    let reply: serde_json::Value = serde_json::from_slice(&answer.stdout).unwrap();
    assert_eq!(reply["value"]["views"], place.views().to_string(), "{answer:?}");
    for (client, code) in [("others", "PermissionDenied"), ("stranger", "Unauthenticated")] {
        let answer = by_grpcurl(client);
        let said = String::from_utf8_lossy(&answer.stderr);
        assert!(!answer.status.success() && answer.stdout.is_empty() && said.contains(code), "{client}: {said}");
    }
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
