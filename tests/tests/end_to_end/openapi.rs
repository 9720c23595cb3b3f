//! The emitted OpenAPI is a document by its specification, and what a server answers is what it says.

use std::path::PathBuf;

use murmur_tests::process::{self, Server, example, success, target};
use murmur_tests::{http, tools, workspace};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::access::{TOKEN, hashed};
use crate::estimates::World;
use crate::foreign_clients::{SERVICE, Served, requests, served, stream};

fn checker() -> String {
    workspace().join("tests/clients/openapi/check.py").display().to_string()
}

fn document(example: &str) -> String {
    workspace().join("examples").join(example).join("schema/openapi.json").display().to_string()
}

/// The document of a pipeline with every kind of field, as the tests of `murmur-spec` keep it.
fn everything() -> PathBuf {
    let kept = "murmur-spec/src/emit/snapshots/murmur_spec__emit__tests__everything-schema-openapi.json.snap";
    let kept = std::fs::read_to_string(workspace().join(kept)).unwrap();
    let folder = target().join("tmp");
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("everything.openapi.json");
    std::fs::write(&path, kept.splitn(3, "---\n").nth(2).unwrap()).unwrap();
    path
}

#[test]
fn the_documents_are_valid() {
    let [first, second, third] = ["page-traffic", "git-activity", "service-health"].map(document);
    let everything = everything();
    let arguments = [&*checker(), &*first, &*second, &*third, everything.to_str().unwrap()];
    let said = success(tools::openapi(), &arguments);
    assert_eq!(said.trim(), "4 documents");
}

/// A tester that makes requests up from a document; whether it found nothing wrong, and what it said. `MURMUR_TEST_OPENAPI_EXAMPLES`
/// says how many of each method at most, beside those at the edges of its schema.
fn schemathesis(name: &str, document: &str, url: &str, more: &[&str]) -> (bool, String) {
    let folder = target().join("tmp/schemathesis").join(name);
    std::fs::create_dir_all(&folder).unwrap();
    let checks =
        "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance,streams";
    let asked = ["run", document, "--url", url, "--checks", checks];
    // One worker, as it is by default: several make hypothesis stumble over itself. The same requests each time.
    let most = std::env::var("MURMUR_TEST_OPENAPI_EXAMPLES").unwrap_or_else(|_| "10".to_owned());
    let how = ["--seed", "7", "--max-examples", &most, "--request-timeout", "300", "--no-color"];
    let program = tools::openapi().with_file_name("schemathesis");
    let mut command = process::command(program, &[&asked[..], &how, more].concat());
    command.env("SCHEMATHESIS_HOOKS", workspace().join("tests/clients/openapi/hooks.py"));
    command.env("PYTHONDONTWRITEBYTECODE", "1");
    let output = command.current_dir(&folder).output().unwrap();
    (output.status.success(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
}

/// No made up request is answered with a failure of the server, or otherwise than the document says.
fn make_requests_up(example: &str, url: &str) {
    let path = document(example);
    let (is_right, said) = schemathesis(example, &path, url, &["--phases", "coverage,fuzzing"]);
    assert!(is_right, "{said}");
    // All there is was tried.
    let document: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    let paths = document["paths"].as_object().unwrap();
    let verbs = |path: &Value| ["get", "post"].iter().filter(|verb| !path[**verb].is_null()).count();
    let methods: usize = paths.values().map(verbs).sum();
    assert!(said.contains(&format!("Tested: {methods}")), "{said}");
    // Streams have begun, with replies that were looked at.
    for path in paths.keys().filter(|path| path.contains("/Watch")) {
        let line = said.lines().find(|line| line.contains(&format!(" of {path} with ")));
        let line = line.unwrap_or_else(|| panic!("nothing is said of {path}: {said}"));
        assert!(!line.contains(" with 0 "), "{line}");
    }
}

#[test]
fn made_up_requests_are_answered_as_the_document_says() {
    make_requests_up("page-traffic", &served().server.url());
}

/// Estimates, whose answers depend on what is asked of them, and an aggregate of the user's own.
#[test]
fn made_up_questions_to_estimates_are_answered_as_the_document_says() {
    let world = World::new();
    let server = Server::start(example("service-health"), &["serve", "--store", &world.store]);
    make_requests_up("service-health", &server.url());
}

/// What the tester says of frames that the document has otherwise: of a reply, and of the end of a stream.
#[test]
fn a_stream_that_is_not_as_the_document_says_is_found() {
    let served = served();
    let document: Value = serde_json::from_slice(&std::fs::read(document("page-traffic")).unwrap()).unwrap();
    let folder = target().join("tmp");
    std::fs::create_dir_all(&folder).unwrap();
    for (schema, field, wrong) in [
        ("page_traffic.v1.PageTrafficServiceWatchResponse", "present", "a reply is wrong"),
        ("connect.EndOfStream", "error", "the end is wrong"),
    ] {
        let mut other = document.clone();
        other["components"]["schemas"][schema]["properties"][field] = json!({ "type": "integer" });
        let file = folder.join(format!("other-{field}.openapi.json"));
        std::fs::write(&file, other.to_string()).unwrap();
        let only = ["--phases", "fuzzing", "--include-path", &format!("/{SERVICE}/Watch")];
        let (is_right, said) = schemathesis(field, file.to_str().unwrap(), &served.server.url(), &only);
        assert!(!is_right && said.contains(wrong), "{said}");
    }
}

/// Several pipelines in one document.
#[test]
fn made_up_requests_to_several_pipelines_are_answered_as_the_document_says() {
    let (_folder, store) = crate::git_activity::counted();
    let server = Server::start(example("git-activity"), &["serve", "--store", &store]);
    make_requests_up("git-activity", &server.url());
}

/// What came of a call, as the checker reads it.
fn call(verb: &str, path: &str, request: Option<&Value>, more: &[&str], served: &Served) -> Value {
    let url = format!("{}{path}", served.server.url());
    // The longest deadline there is: a machine that is busy has nothing to do with schemas.
    let common = ["-sS", "-w", "\n%{http_code} %{content_type}", "-H", "connect-timeout-ms: 30000"];
    let output = process::output("curl", &[&common, more, &[&*url]].concat());
    let said = String::from_utf8(output.stdout).unwrap();
    let (body, end) = said.rsplit_once('\n').unwrap();
    let (status, kind) = end.split_once(' ').unwrap();
    let body = serde_json::from_str(body).unwrap_or_else(|_| Value::from(body));
    let mut answer = json!({ "path": path, "verb": verb, "status": status, "kind": kind, "body": body });
    if let Some(request) = request {
        answer["request"] = request.clone();
    }
    answer
}

fn post(path: &str, request: &Value, served: &Served) -> Value {
    let body = request.to_string();
    call("post", path, Some(request), &["-H", "content-type: application/json", "-d", &body], served)
}

fn get(path: &str, request: &Value, served: &Served) -> Value {
    let message = format!("message={request}");
    let asked = ["-G", "-d", "connect=v1", "-d", "encoding=json", "--data-urlencode", &message];
    call("get", path, Some(request), &asked, served)
}

/// Whether the document describes them all; what is wrong otherwise.
fn check(answers: &[Value], name: &str) -> Result<String, String> {
    let lines: Vec<String> = answers.iter().map(Value::to_string).collect();
    let file = target().join("tmp").join(name);
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(&file, lines.join("\n")).unwrap();
    let arguments = [&*checker(), "--answers", &*document("page-traffic"), file.to_str().unwrap()];
    let output = process::output(tools::openapi(), &arguments);
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    if output.status.success() { Ok(said) } else { Err(said) }
}

/// What a stream has in it, each part with the schema that it is said to have.
fn watch(request: &Value, more: &[&str], served: &Served) -> Vec<Value> {
    let frames = stream(&format!("{}/{SERVICE}/Watch", served.server.url()), request, more);
    let named = |(flags, body)| match flags {
        0 => json!({ "schema": "page_traffic.v1.PageTrafficServiceWatchResponse", "body": body }),
        2 => json!({ "schema": "connect.EndOfStream", "body": body }),
        _ => panic!("a frame has the flags {flags}"),
    };
    frames.into_iter().map(named).collect()
}

#[test]
fn a_stream_and_its_end_are_as_the_document_says() {
    let served = served();
    // The longest part of it is the time that a busy machine takes to begin.
    let mut answers = watch(&json!({ "key": { "pageId": "/home" } }), &["-H", "connect-timeout-ms: 1500"], &served);
    let last = answers.last().unwrap();
    assert_eq!(last["body"]["error"]["code"], "deadline_exceeded", "{answers:?}");
    answers.extend(watch(&json!({}), &[], &served));
    let last = answers.last().unwrap();
    assert_eq!(last["body"]["error"]["details"][0]["debug"]["reason"], "FIELD_MISSING", "{answers:?}");
    answers.push(call(
        "post",
        &format!("/{SERVICE}/Watch"),
        None,
        &["-H", "content-type: text/xml", "-d", ""],
        &served,
    ));
    assert_eq!(answers.last().unwrap()["status"], "415");
    check(&answers, "stream.jsonl").unwrap();
}

#[test]
fn those_who_may_not_ask_are_answered_as_the_document_says() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("access.toml");
    let callers = [("reader", TOKEN, "page_traffic"), ("other", "another-token", "likes")];
    let callers = callers.map(|(name, token, pipeline)| {
        format!("[caller.{name}]\ntokens = [\"{}\"]\npipelines = [\"{pipeline}\"]\n", hashed(token))
    });
    std::fs::write(&file, format!("calls_per_second = 1\n{}", callers.concat())).unwrap();
    let served = Served::start(&["--access", file.to_str().unwrap()]);
    let (path, request) = (format!("/{SERVICE}/Get"), json!({ "key": { "pageId": "/home" } }));
    let mut answers =
        vec![call("get", "/", None, &[], &served), post(&path, &request, &served), get(&path, &request, &served)];
    answers.extend(watch(&request, &[], &served));
    assert_eq!(answers[3]["body"]["error"]["code"], "unauthenticated", "{answers:?}");
    let json_kind = "content-type: application/json";
    let other = ["-H", "authorization: Bearer another-token", "-H", json_kind, "-d", &request.to_string()];
    answers.push(call("post", &path, Some(&request), &other, &served));
    answers.extend(["/healthz", "/readyz"].map(|page| call("get", page, None, &[], &served)));
    let statuses = [0, 1, 2, 4, 5, 6].map(|at: usize| answers[at]["status"].as_str().unwrap_or_default());
    assert_eq!(statuses, ["401", "401", "401", "403", "200", "200"], "{answers:#?}");
    // Of two calls within a second one is too many.
    let bearer = format!("Bearer {TOKEN}");
    let ask = || http::get_with(&served.server.address, "/", &[("authorization", &bearer)]);
    let refused = std::iter::repeat_with(ask).find(|(status, _)| *status != 200).unwrap();
    let body: Value = serde_json::from_str(&refused.1).unwrap();
    assert_eq!((refused.0, &body["code"]), (429, &json!("resource_exhausted")));
    answers.push(json!({ "path": "/", "verb": "get", "status": "429", "kind": "application/json", "body": body }));
    // Over the limit as HTTP/2 counts it; much longer ones are refused before there are words for it.
    let long = format!("x-long: {}", "x".repeat(16_000));
    answers.push(call(
        "post",
        &path,
        Some(&request),
        &["-H", json_kind, "-H", &long, "-d", &request.to_string()],
        &served,
    ));
    assert_eq!(answers.last().unwrap()["status"], "431", "{answers:#?}");
    check(&answers, "refused.jsonl").unwrap();
}

#[test]
fn answers_of_the_server_are_as_the_document_says() {
    let served = served();
    let path = |method: &str| format!("/{SERVICE}/{method}");
    let statuses = |answers: &[Value]| answers.iter().map(|answer| answer["status"].clone()).collect::<Vec<_>>();
    let mut answers = Vec::new();
    let requests = requests(&served);
    for (method, request) in requests.iter().filter(|(method, _)| !method.starts_with("Watch")) {
        // The server reads `page_id` too; the document has the one way to write it that replies have.
        let mut request: Value = serde_json::from_str(&request.to_string().replace("page_id", "pageId")).unwrap();
        request["options"] = json!({ "explain": true });
        answers.push(post(&path(method), &request, &served));
        answers.push(get(&path(method), &request, &served));
    }
    for page in &served.pages {
        let query = json!({ "pipeline": "page_traffic", "key": [page] });
        answers.push(post("/murmur.v1.QueryService/Query", &query, &served));
        answers.push(get("/murmur.v1.QueryService/Query", &query, &served));
    }
    answers.push(post("/murmur.v1.QueryService/ListPipelines", &json!({}), &served));
    for page in ["/", "/healthz", "/readyz"] {
        answers.push(call("get", page, None, &[], &served));
    }
    assert!(statuses(&answers).iter().all(|status| status == "200"), "{answers:#?}");

    let sets = [json!({ "key": { "pageId": "/home" } }), json!({ "key": { "pageId": "/about" } })];
    let mut refused = vec![
        // No field of the example is a DistinctSet.
        post(&path("CombineSets"), &json!({ "sets": sets, "operation": "SET_OPERATION_UNION" }), &served),
        call("post", &path("Get"), None, &["-H", "content-type: application/json", "-d", "{}"], &served),
        get(&path("GetWindow"), &json!({ "key": { "pageId": "/home" } }), &served),
        post(&path("GetWindow"), &json!({ "key": { "pageId": "/home" }, "window": "-5s" }), &served),
        post("/murmur.v1.QueryService/Query", &json!({ "pipeline": "none" }), &served),
    ];
    let json_kind = "content-type: application/json";
    refused.push(call("post", &path("Get"), None, &["-H", json_kind, "-d", r#"{"kee": 1}"#], &served));
    refused.push(call("post", &path("Get"), None, &["-H", "content-type: text/xml", "-d", "<key/>"], &served));
    let other = ["-H", json_kind, "-H", "murmur-contract: 1-0123456789abcdef", "-d", r#"{"key": {"pageId": "/home"}}"#];
    refused.push(call("post", &path("Get"), None, &other, &served));
    assert_eq!(statuses(&refused), ["400", "400", "400", "400", "404", "400", "415", "400"], "{refused:#?}");
    assert_eq!(refused[7]["body"]["code"], "failed_precondition", "{refused:#?}");
    answers.extend(refused);

    let said = check(&answers, "answers.jsonl").unwrap();
    assert_eq!(said.trim(), format!("{} answers", answers.len()));

    // The check sees what is wrong.
    let mut wrong = answers[..1].to_vec();
    assert!(wrong[0]["body"]["value"]["views"].is_string(), "{wrong:?}");
    wrong[0]["body"]["value"]["views"] = json!(7);
    wrong[0]["body"]["answer"].as_object_mut().unwrap().remove("presence");
    wrong[0]["body"]["answer"]["more"] = json!(1);
    wrong[0]["request"]["kee"] = json!(1);
    let said = check(&wrong, "wrong-answers.jsonl").unwrap_err();
    let presence = "'presence' is a required";
    for part in
        ["value/views: 7 is not of type 'string'", presence, "('kee' was unexpected)", "('more' was unexpected)"]
    {
        assert!(said.contains(part), "{said}");
    }
}
