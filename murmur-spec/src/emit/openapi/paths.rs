//! Methods and pages as paths.

use super::super::file::{File, Method, Service};
use super::{Json, content, errors, prose, reference, schema};

/// A service and its file.
pub(super) type Served<'a> = (&'a File, &'a Service);

const TIMEOUT: &str = "Timeout";
const CONTRACT: &str = "Contract";

/// All paths, those of the package's own services first.
pub(super) fn paths(services: &[Served<'_>]) -> Json {
    let methods = services.iter().flat_map(|(file, service)| {
        service.methods.iter().map(move |method| {
            let name = format!("{}.{}", file.package, service.name);
            let of = Called { file, service: &service.name, full: &name, method };
            let mut verbs = vec![("post", of.post())];
            if method.reads && !method.streams {
                verbs.push(("get", of.get()));
            }
            (format!("/{name}/{}", method.name), Json::object(verbs))
        })
    });
    Json::object(methods.chain(PAGES.iter().map(|page| (page.path.to_owned(), page.get()))))
}

/// Parameters that all methods have.
pub(super) fn parameters() -> Json {
    let header = |name: &str, about: &str, of: Json| {
        Json::object([
            ("name", Json::from(name)),
            ("in", "header".into()),
            ("description", about.into()),
            ("schema", of),
        ])
    };
    let pattern = |pattern: &str| Json::object([("type", Json::from("string")), ("pattern", Json::from(pattern))]);
    let timeout = "Milliseconds that the call may take; 5 seconds without, and 30 at most where there is one reply.";
    let contract = "The contract that the client was made from. A server of another one refuses the call with \
                    `failed_precondition`, instead of answering with fields that mean something else.";
    Json::object([
        (TIMEOUT, header("Connect-Timeout-Ms", timeout, pattern("^[0-9]{1,10}$"))),
        (CONTRACT, header("Murmur-Contract", contract, pattern("^[0-9]{1,9}-[0-9a-f]{16}$"))),
    ])
}

/// A method and where it stands.
struct Called<'a> {
    file: &'a File,
    service: &'a str,
    full: &'a str,
    method: &'a Method,
}

impl Called<'_> {
    fn message(&self, name: &str) -> String {
        format!("{}.{name}", self.file.package)
    }

    /// What both verbs say of themselves.
    fn head(&self, verb: &str) -> Vec<(&'static str, Json)> {
        let docs = &self.method.docs;
        let whole = docs.join(" ");
        let end = [". ", ": "].iter().filter_map(|end| whole.find(end)).min().unwrap_or(whole.len());
        let summary = whole[..end].trim_end_matches('.');
        vec![
            ("tags", Json::List(vec![self.full.into()])),
            ("operationId", format!("{}_{}{verb}", self.service, self.method.name).into()),
            ("summary", summary.into()),
            ("description", prose(docs).into()),
        ]
    }

    fn post(&self) -> Json {
        if self.method.streams {
            return self.stream();
        }
        let body = content("application/json", schema(&self.message(&self.method.request)));
        let mut operation = self.head("");
        operation.push(("parameters", Json::List(vec![shared(TIMEOUT), shared(CONTRACT)])));
        operation.push(("requestBody", Json::object([("required", Json::from(true)), ("content", body)])));
        operation.push(("responses", self.responses()));
        Json::object(operation)
    }

    fn get(&self) -> Json {
        let constant = |name: &str, value: &str| {
            let of = Json::object([("type", Json::from("string")), ("const", value.into())]);
            Json::object([
                ("name", Json::from(name)),
                ("in", "query".into()),
                ("required", true.into()),
                ("schema", of),
            ])
        };
        let message = Json::object([
            ("name", Json::from("message")),
            ("in", "query".into()),
            ("required", true.into()),
            ("description", "The request's message in JSON.".into()),
            ("content", content("application/json", schema(&self.message(&self.method.request)))),
        ]);
        let asked = vec![constant("connect", "v1"), constant("encoding", "json"), message];
        let mut operation = self.head("_get");
        operation.push(("parameters", Json::List([asked, vec![shared(TIMEOUT), shared(CONTRACT)]].concat())));
        operation.push(("responses", self.responses()));
        Json::object(operation)
    }

    fn responses(&self) -> Json {
        let reply = Json::object([
            ("description", Json::from("The reply.")),
            ("content", content("application/json", schema(&self.message(&self.method.response)))),
        ]);
        Json::object([("200", reply)].into_iter().chain(errors::of_a_method()))
    }

    /// Messages of a stream stand in frames, which no schema describes.
    fn stream(&self) -> Json {
        const KIND: &str = "application/connect+json";
        let [request, response] = [&self.method.request, &self.method.response].map(|name| self.message(name));
        let framed = |what: String| {
            Json::object([
                ("description", Json::from(what)),
                ("content", Json::object([(KIND, Json::object::<&str>([]))])),
            ])
        };
        let frame = "stands behind a byte of flags, 0, and its length in four bytes, the highest first";
        let body = framed(format!("The JSON of `{request}`; it {frame}."));
        let reply = framed(format!(
            "The JSON of one `{response}` after another; each {frame}. The last frame has the flag 2, and says how the stream \
             ended: it is the JSON of `{}`. All that a call with one reply has a status for, such as a caller who is not \
             known or a store that cannot be reached, is an `error` there, first or after replies.",
            errors::END
        ));
        let Json::Object(mut body) = body else { unreachable!("it is built as an object") };
        body.push(("required".into(), true.into()));
        let mut operation = self.head("");
        operation.push(("parameters", Json::List(vec![shared(TIMEOUT), shared(CONTRACT)])));
        operation.push(("requestBody", Json::Object(body)));
        operation.push(("responses", Json::object([("200", reply)].into_iter().chain(errors::of_a_stream()))));
        Json::object(operation)
    }
}

fn shared(parameter: &str) -> Json {
    reference("parameters", parameter)
}

/// A page that a plain `GET` reads.
struct Page {
    path: &'static str,
    id: &'static str,
    about: &'static str,
    schema: &'static str,
    /// Whether it is for everybody, strangers too.
    open: bool,
    /// What it answers where something is in the way.
    hindered: Option<&'static str>,
}

const PAGES: [Page; 3] = [
    Page {
        path: "/",
        id: "listing",
        about: "The pipelines of the server, with the paths of their methods.",
        schema: "murmur.Listing",
        open: false,
        hindered: None,
    },
    Page {
        path: "/healthz",
        id: "healthz",
        about: "The process lives.",
        schema: "murmur.Health",
        open: true,
        hindered: None,
    },
    Page {
        path: "/readyz",
        id: "readyz",
        about: "Whether the server serves, with the reasons when it does not.",
        schema: "murmur.Readiness",
        open: true,
        hindered: Some("It does not serve now."),
    },
];

impl Page {
    fn get(&self) -> Json {
        let response = |about: &str| {
            Json::object([
                ("description", Json::from(about)),
                ("content", content("application/json", schema(self.schema))),
            ])
        };
        let answers = [("200", response("The page."))].into_iter();
        let answers = answers.chain(self.hindered.map(|about| ("503", response(about))));
        let mut operation =
            vec![("operationId", Json::from(self.id)), ("summary", self.about.trim_end_matches('.').into())];
        if self.open {
            operation.push(("security", Json::List(Vec::new())));
        }
        operation.push(("responses", Json::object(answers.chain(errors::of_a_page(self.open)))));
        Json::object([("get", Json::object(operation))])
    }
}

/// The schemas of the pages.
pub(super) fn pages() -> [(String, Json); 3] {
    let of = |kind: &str| Json::object([("type", Json::from(kind))]);
    let list = |items: Json| Json::object([("type", Json::from("array")), ("items", items)]);
    let object = |properties: Vec<(&str, Json)>, optional: &[&str]| {
        let required = properties.iter().map(|(name, _)| *name).filter(|name| !optional.contains(name));
        let required = Json::List(required.map(Json::from).collect());
        Json::object([("type", Json::from("object")), ("properties", Json::object(properties)), ("required", required)])
    };
    let pipeline = object(
        vec![
            ("name", of("string")),
            ("about", of("string")),
            ("service", of("string")),
            ("key", list(of("string"))),
            ("value", of("string")),
            ("methods", list(of("string"))),
        ],
        &[],
    );
    let listing = object(vec![("pipelines", list(pipeline)), ("generic", list(of("string")))], &[]);
    let reason = object(vec![("service", of("string")), ("reason", of("string"))], &["service"]);
    let readiness = object(vec![("ready", of("boolean")), ("reasons", list(reason))], &[]);
    let health = object(vec![("live", of("boolean"))], &[]);
    [("murmur.Listing", listing), ("murmur.Health", health), ("murmur.Readiness", readiness)]
        .map(|(name, schema)| (name.to_owned(), schema))
}
