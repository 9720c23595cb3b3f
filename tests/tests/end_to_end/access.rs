//! A server that knows its callers: by tokens, and by what an issuer has signed.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use murmur_tests::process::{self, Server, example};
use murmur_tests::tools;
use serde_json::{Value, json};

use crate::place::Place;

pub(crate) const TOKEN: &str = "5d0c1f7e-example-token";

/// A server that knows its callers.
fn serve(place: &Place, access: &str) -> Server {
    let file = place.write("access.toml", access);
    place.serve(&["--access", &file])
}

/// Ask for a page, with this token in the environment.
fn ask(place: &Place, server: &Server, token: Option<&str>) -> Output {
    let mut command = place.query(&format!("http://{}", server.address), &[]);
    if let Some(token) = token {
        command.env("MURMUR_TOKEN", token);
    }
    command.output().unwrap()
}

pub(crate) fn refused(answer: &Output, why: &str) {
    let said = String::from_utf8_lossy(&answer.stderr);
    assert!(answer.status.code() == Some(1) && said.contains(why), "{said}");
}

/// What `curl` is answered: the HTTP status, and the body.
pub(crate) fn curl(url: &str, more: &[&str]) -> (String, Value) {
    let arguments = ["-sS", "-w", "\n%{http_code}", "--json", r#"{"key": {"page_id": "/home"}}"#, url];
    let said = process::success("curl", &[&arguments, more].concat());
    let (body, status) = said.rsplit_once('\n').unwrap();
    (status.to_owned(), serde_json::from_str(body).unwrap())
}

/// As a file of access writes a token.
pub(crate) fn hashed(token: &str) -> String {
    let mut child = Command::new("sha256sum").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(token.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    format!("sha256:{}", String::from_utf8_lossy(&output.stdout).split(' ').next().unwrap())
}

#[test]
fn a_token_of_the_file_opens_its_pipelines_to_query_curl_and_grpcurl() {
    let place = Place::new();
    let other = "another-token";
    let server = serve(
        &place,
        &format!(
            "[caller.dashboards]\ntokens = [\"{}\"]\npipelines = [\"page_traffic\"]\n\
         [caller.others]\ntokens = [\"{}\"]\npipelines = [\"likes\"]\n",
            hashed(TOKEN),
            hashed(other)
        ),
    );
    place.assert_right(&ask(&place, &server, Some(TOKEN)));
    refused(&ask(&place, &server, None), "send a token");
    refused(&ask(&place, &server, Some("wrong-token")), "not one that this server knows");
    refused(&ask(&place, &server, Some(other)), "`others` may not read `page_traffic`");
    let (at, file) = (format!("http://{}", server.address), place.write("token", &format!("{TOKEN}\n")));
    let by_file = ["query", "page_traffic", "/home", "--at", &at, "-o", "json", "--token-file", &file];
    place.assert_right(&process::output(example("page-traffic"), &by_file));

    let url = format!("{at}/page_traffic.v1.PageTrafficService/Get");
    let bearer = format!("authorization: Bearer {TOKEN}");
    let (status, reply) = curl(&url, &["-H", &bearer]);
    assert_eq!((status.as_str(), &reply["present"]), ("200", &json!(true)));
    let (status, error) = curl(&url, &[]);
    assert_eq!((status.as_str(), &error["code"]), ("401", &json!("unauthenticated")));
    assert_eq!(error["details"][0]["debug"]["reason"], "CREDENTIALS_MISSING");
    let listed = ["-plaintext", "-H", &bearer, &server.address, "list"];
    assert!(process::success(tools::grpcurl(), &listed).contains("page_traffic.v1.PageTrafficService"));
    let strange = process::output(tools::grpcurl(), &["-plaintext", &server.address, "list"]);
    assert!(!strange.status.success() && String::from_utf8_lossy(&strange.stderr).contains("send a token"));
    assert_eq!(process::success("curl", &["-sS", &format!("{at}/healthz")]), r#"{"live":true}"#);
}

#[test]
fn a_name_that_is_led_to_this_machine_opens_nothing() {
    let place = Place::new();
    let server = place.serve(&[]);
    let url = format!("http://{}/page_traffic.v1.PageTrafficService/Get", server.address);
    assert_eq!(curl(&url, &[]).0, "200");
    let (status, error) = curl(&url, &["-H", "host: evil.example"]);
    assert_eq!((status.as_str(), &error["details"][0]["debug"]["reason"]), ("403", &json!("HOST_FORBIDDEN")));
}

#[test]
fn a_stream_ends_when_its_token_is_taken_out_of_the_file() {
    let place = Place::new();
    let caller = |token: &str| format!("[caller.a]\ntokens = [\"{}\"]\npipelines = [\"*\"]\n", hashed(token));
    let server = serve(&place, &caller(TOKEN));
    let request = r#"{"key": {"page_id": "/home"}}"#;
    let request = place.write("request", &format!("\0\0\0\0{}{request}", char::from(request.len() as u8)));
    let url = format!("http://{}/page_traffic.v1.PageTrafficService/Watch", server.address);
    let (bearer, data) = (format!("authorization: Bearer {TOKEN}"), format!("@{request}"));
    let asked = ["-sS", "--no-buffer", "-H", "content-type: application/connect+json", "-H", &bearer];
    let mut watching = process::command("curl", &[&asked[..], &["--data-binary", &data, &url]].concat());
    let mut watching = watching.stdout(Stdio::piped()).spawn().unwrap();
    let mut frames = watching.stdout.take().unwrap();
    let mut next = || {
        let mut head = [0; 5];
        frames.read_exact(&mut head).unwrap();
        let mut content = vec![0; u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize];
        frames.read_exact(&mut content).unwrap();
        (head[0], serde_json::from_slice::<Value>(&content).unwrap())
    };
    let (flags, first) = next();
    assert_eq!((flags, &first["present"]), (0, &json!(true)));
    place.write("access.toml", &caller("another-token"));
    let (flags, end) = next();
    assert_eq!((flags, &end["error"]["code"]), (2, &json!("unauthenticated")), "{end}");
    assert!(watching.wait().unwrap().success());
}

#[test]
fn other_machines_may_ask_where_a_file_says_who() {
    let place = Place::new();
    let file =
        place.write("access.toml", &format!("[caller.a]\ntokens = [\"{}\"]\npipelines = [\"*\"]\n", hashed(TOKEN)));
    let everywhere = ["serve", "--store", &place.store, "--listen", "0.0.0.0:0", "--access"];
    drop(Server::listening(example("page-traffic"), &[&everywhere[..], &[&file]].concat()));
    let broken = place.write("broken.toml", "[caller.a]\ntokens = [\"5d0c1f7e\"]\npipelines = [\"*\"]\n");
    let answer = process::output(example("page-traffic"), &[&everywhere[..], &[&broken]].concat());
    let said = String::from_utf8_lossy(&answer.stderr);
    assert!(answer.status.code() == Some(2) && said.contains("broken.toml") && said.contains("sha256sum"), "{said}");
    assert!(!said.contains("5d0c1f7e"), "{said}");
}

/// Makes tokens as an issuer does, by `openssl`.
struct Issuer<'a>(&'a Path);

impl Issuer<'_> {
    fn openssl(&self, arguments: &str, input: &[u8]) -> Vec<u8> {
        let mut command = Command::new("openssl");
        command.args(arguments.split(' ')).current_dir(self.0);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(input).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "openssl {arguments}");
        output.stdout
    }

    /// The set of its one key.
    fn keys(&self) -> String {
        self.openssl("genrsa -out key.pem 2048", b"");
        let said = self.openssl("rsa -in key.pem -noout -modulus", b"");
        let digits = String::from_utf8(said).unwrap().trim().trim_start_matches("Modulus=").to_owned();
        let modulus: Vec<u8> =
            (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap()).collect();
        let n = URL_SAFE_NO_PAD.encode(modulus);
        json!({"keys": [{"kty": "RSA", "use": "sig", "kid": "k1", "alg": "RS256", "n": n, "e": "AQAB"}]}).to_string()
    }

    fn token(&self, claims: &Value) -> String {
        let part = |part: &Value| URL_SAFE_NO_PAD.encode(part.to_string());
        let signed = format!("{}.{}", part(&json!({"alg": "RS256", "typ": "JWT", "kid": "k1"})), part(claims));
        let signature = self.openssl("dgst -sha256 -sign key.pem -binary", signed.as_bytes());
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

/// Gives one body to whoever asks.
fn publish(body: String) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for socket in listener.incoming() {
            let Ok(mut socket) = socket else { return };
            // The head of a request fits into one packet here.
            let _ = socket.read(&mut [0; 4_096]);
            let length = body.len();
            let _ = write!(socket, "HTTP/1.1 200 OK\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}");
        }
    });
    format!("http://{address}/keys")
}

#[test]
fn a_token_that_an_issuer_signed_says_who_asks_and_what_it_may_read() {
    let place = Place::new();
    let issuer = Issuer(place.folder());
    let server = serve(
        &place,
        &format!(
            "[jwt]\nissuer = \"https://login.example\"\naudience = \"counts\"\nkeys = \"{}\"\n",
            publish(issuer.keys())
        ),
    );
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let claims = json!({
        "iss": "https://login.example", "aud": "counts", "sub": "dashboards", "exp": now + 3_600,
        "scope": "openid query:page_traffic",
    });
    place.assert_right(&ask(&place, &server, Some(&issuer.token(&claims))));
    let with = |name: &str, value: Value| {
        let mut other = claims.clone();
        other[name] = value;
        issuer.token(&other)
    };
    refused(&ask(&place, &server, Some(&with("exp", json!(now - 3_600)))), "it has expired");
    refused(&ask(&place, &server, Some(&with("aud", json!("others")))), "another audience");
    let url = format!("http://{}/page_traffic.v1.PageTrafficService/Get", server.address);
    for (token, reason) in [
        (with("exp", json!(now - 3_600)), "TOKEN_EXPIRED"),
        (with("aud", json!("others")), "TOKEN_UNFIT"),
        ("5d0c1f7e".to_owned(), "CALLER_UNKNOWN"),
    ] {
        let (status, error) = curl(&url, &["-H", &format!("authorization: Bearer {token}")]);
        assert_eq!((status.as_str(), &error["details"][0]["debug"]["reason"]), ("401", &json!(reason)));
    }
    refused(
        &ask(&place, &server, Some(&with("scope", json!("query:likes")))),
        "`jwt:dashboards` may not read `page_traffic`",
    );
    let forged = issuer.token(&claims).replace(&URL_SAFE_NO_PAD.encode(claims.to_string()), &{
        let mut other = claims.clone();
        other["sub"] = json!("root");
        URL_SAFE_NO_PAD.encode(other.to_string())
    });
    refused(&ask(&place, &server, Some(&forged)), "its signature is wrong");
}
