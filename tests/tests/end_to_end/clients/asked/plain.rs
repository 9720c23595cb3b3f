//! Whoever has no client: `curl` with JSON, and `grpcurl` with nothing but reflection.

use std::io::{BufReader, Read};
use std::path::Path;
use std::process::{Child, Stdio};

use murmur_tests::process::{self, command};
use murmur_tests::tools;
use serde_json::{Value, json};
use tonic::Code;

use super::assert_answers;
use crate::clients::Made;
use crate::foreign_clients::connect_frame;

/// A program that is killed when no more is wanted of it.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Killed {
    fn start(program: impl AsRef<std::ffi::OsStr>, arguments: &[&str]) -> Self {
        Self(command(program, arguments).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap())
    }

    fn said(&mut self) -> BufReader<impl Read> {
        BufReader::new(self.0.stdout.take().unwrap())
    }
}

/// Ask each question of a file by itself.
fn each(made: Made, file: &Path, ask: impl Fn(&str, &Value) -> Value) -> Value {
    let questions: Vec<Value> = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    let asked = |question: &Value| {
        ask(&format!("{}/{}", made.service(), question["method"].as_str().unwrap()), &question["request"])
    };
    questions.iter().map(asked).collect()
}

/// An answer of the Connect protocol, or what stands at the end of a stream that failed.
fn ended(reply: Value) -> Value {
    match reply.get("code").and_then(Value::as_str) {
        Some(name) => {
            let code = (0..=16).find(|number| {
                let code = format!("{:?}", Code::from_i32(*number));
                code.to_lowercase() == name.replace('_', "")
            });
            json!({ "error": { "code": code, "message": reply["message"] } })
        }
        None => json!({ "reply": reply }),
    }
}

fn curl(url: &str, request: &Value) -> Value {
    // However slow the machine is.
    let headers = ["content-type: application/json", "connect-timeout-ms: 300000"];
    let arguments = ["-sS", "-H", headers[0], "-H", headers[1], "--data-binary", &request.to_string(), url];
    ended(process::json("curl", &arguments))
}

/// The first reply of a stream, which does not end by itself.
fn curl_stream(url: &str, request: &Value) -> Value {
    let (file, content) = (connect_frame(request), "content-type: application/connect+json");
    let data = format!("@{}", file.path().display());
    let mut curl = Killed::start("curl", &["-sS", "--no-buffer", "-H", content, "--data-binary", &data, url]);
    let mut said = curl.said();
    let mut head = [0; 5];
    said.read_exact(&mut head).unwrap_or_else(|error| panic!("{url} {request}: {error}"));
    let [flags, a, b, c, d] = head;
    let mut message = vec![0; u32::from_be_bytes([a, b, c, d]) as usize];
    said.read_exact(&mut message).unwrap();
    let mut message: Value = serde_json::from_slice(&message).unwrap();
    // The last frame of a stream has its own form.
    if flags & 2 == 0 { json!({ "reply": message }) } else { ended(message["error"].take()) }
}

pub(super) fn grpcurl(address: &str, method: &str, request: &Value) -> Value {
    let (tool, request) = (tools::grpcurl(), request.to_string());
    let arguments = ["-plaintext", "-format-error", "-max-time", "300", "-d", &request, address, method];
    if method.contains("/Watch") {
        let mut grpcurl = Killed::start(&tool, &arguments);
        let mut replies = serde_json::Deserializer::from_reader(grpcurl.said()).into_iter::<Value>();
        if let Some(reply) = replies.next() {
            return json!({ "reply": reply.unwrap() });
        }
    }
    let output = process::output(&tool, &arguments);
    if output.status.success() {
        return json!({ "reply": serde_json::from_slice::<Value>(&output.stdout).unwrap() });
    }
    let error: Value = serde_json::from_slice(&output.stderr)
        .unwrap_or_else(|_| panic!("{method} {request}: {}", String::from_utf8_lossy(&output.stderr)));
    json!({ "error": { "code": error["code"], "message": error["message"], "details": error["details"] } })
}

#[test]
fn curl_with_json_answers_every_question() {
    assert_answers(|made, url, file| {
        each(made, file, |method, request| {
            let url = format!("{url}/{method}");
            if method.contains("/Watch") { curl_stream(&url, request) } else { curl(&url, request) }
        })
    });
}

#[test]
fn grpcurl_with_nothing_but_reflection_answers_every_question() {
    assert_answers(|made, url, file| {
        let address = url.trim_start_matches("http://");
        let listed = process::success(tools::grpcurl(), &["-plaintext", address, "list"]);
        for service in [made.service(), "murmur.v1.QueryService", "grpc.health.v1.Health"] {
            assert!(listed.lines().any(|line| line == service), "`{service}` is not among\n{listed}");
        }
        each(made, file, |method, request| grpcurl(address, method, request))
    });
}
