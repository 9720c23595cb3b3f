//! Values as they change: told by a worker that serves too, and by a server elsewhere, which looks.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use murmur_tests::process::{self, Server, example, success};
use serde_json::json;
use tempfile::TempDir;
use tonic::Streaming;

use crate::rust_client::page_traffic::v1::page_traffic_service_client::PageTrafficServiceClient;
use crate::rust_client::page_traffic::v1::*;
use crate::store_dynamodb::{endpoint, prefix};

const PAGES: [&str; 3] = ["/home", "/about", "/never"];

/// Views that are added to a file.
struct Views {
    folder: TempDir,
    file: PathBuf,
}

impl Views {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("views/views.jsonl");
        std::fs::create_dir(folder.path().join("views")).unwrap();
        std::fs::write(&file, "").unwrap();
        Self { folder, file }
    }

    fn add(&self, page: &str) {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_millis() as u64;
        let view = json!({ "page_id": page, "user_id": "somebody", "dwell_ms": 1, "viewed_at": now });
        // At once, so that no half line is read.
        OpenOptions::new().append(true).open(&self.file).unwrap().write_all(format!("{view}\n").as_bytes()).unwrap();
    }

    fn run<'a>(&'a self, store: &'a str, letters: &'a str) -> Vec<&'a str> {
        let source = self.file.parent().and_then(Path::to_str).unwrap();
        vec![
            "run",
            "--create-tables",
            "--source",
            source,
            "--store",
            store,
            "--dead-letters",
            letters,
            "--flush-interval",
            "100ms",
        ]
    }
}

/// The views that a reply tells of, by page.
async fn next(changes: &mut Streaming<PageTrafficServiceWatchManyResponse>) -> (Vec<(String, u64)>, Vec<u8>) {
    let reply = tokio::time::timeout(Duration::from_secs(60), changes.message()).await.unwrap();
    let PageTrafficServiceWatchManyResponse { entries, resume } = reply.unwrap().unwrap();
    let views = |entry: PageTrafficEntry| (entry.key.unwrap().page_id, entry.value.unwrap_or_default().views);
    (entries.into_iter().map(views).collect(), resume)
}

async fn watch(server: &Server, resume: Vec<u8>) -> Streaming<PageTrafficServiceWatchManyResponse> {
    let mut client = PageTrafficServiceClient::connect(server.url()).await.unwrap();
    let keys = PAGES.map(|page| PageTrafficKey { page_id: page.into() }).to_vec();
    let request = PageTrafficServiceWatchManyRequest { keys, resume, ..Default::default() };
    client.watch_many(request).await.unwrap().into_inner()
}

/// Changes of one page after the other come, and nothing else.
async fn changes_come(views: &Views, server: &Server) -> Vec<u8> {
    let mut changes = watch(server, Vec::new()).await;
    let (snapshot, mut token) = next(&mut changes).await;
    assert_eq!(snapshot, PAGES.map(|page| (page.to_owned(), 0)));
    for (page, count) in [("/home", 1), ("/about", 1), ("/home", 2), ("/home", 3)] {
        views.add(page);
        let (changed, resume) = next(&mut changes).await;
        assert_eq!(changed, [(page.to_owned(), count)]);
        token = resume;
    }
    token
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_serves_tells_of_what_it_counts() {
    let views = Views::new();
    let [store, letters] = ["state", "letters"].map(|name| views.folder.path().join(name));
    let (store, letters) = (process::store(&store), letters.display().to_string());
    let arguments = views.run(&store, &letters);
    let worker = Server::start(example("page-traffic"), &arguments);
    let token = changes_come(&views, &worker).await;
    assert!(worker.stop().success());
    // What it told of is resumed at the one that comes after.
    views.add("/about");
    let worker = Server::start(example("page-traffic"), &arguments);
    let mut changes = watch(&worker, token).await;
    assert_eq!(next(&mut changes).await.0, [("/about".to_owned(), 2)]);
}

/// The views that a reply tells of, and where the stream stands then.
async fn next_of_one(changes: &mut Streaming<PageTrafficServiceWatchResponse>) -> (u64, Vec<u8>) {
    let reply = tokio::time::timeout(Duration::from_secs(60), changes.message()).await.unwrap().unwrap().unwrap();
    (reply.value.unwrap_or_default().views, reply.resume)
}

/// Watch one page: as `Get` tells of it, or over the last stretch of time.
async fn watch_one(
    server: &Server,
    window: Option<prost_types::Duration>,
    resume: Vec<u8>,
) -> Streaming<PageTrafficServiceWatchResponse> {
    let mut client = PageTrafficServiceClient::connect(server.url()).await.unwrap();
    let key = Some(PageTrafficKey { page_id: PAGES[0].into() });
    let request = PageTrafficServiceWatchRequest { key, window, resume, ..Default::default() };
    client.watch(request).await.unwrap().into_inner()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_elsewhere_tells_of_a_key_and_of_a_window_and_goes_on_where_it_stood_before_its_restart() {
    let views = Views::new();
    let store = format!("dynamodb://{}?endpoint={}", prefix(), endpoint());
    let letters = views.folder.path().join("letters").display().to_string();
    success(example("page-traffic"), &["table", "ensure", "--store", &store]);
    let serve = || Server::start(example("page-traffic"), &["serve", "--store", &store, "--watch-interval", "200ms"]);
    let arguments = [&views.run(&store, &letters)[..], &["--metrics-listen", "127.0.0.1:0"]].concat();
    let _worker = Server::listening(example("page-traffic"), &arguments);
    let hour = Some(prost_types::Duration { seconds: 3_600, nanos: 0 });
    let mut tokens = [Vec::new(), Vec::new()];
    let server = serve();
    for (window, token) in [None, hour].into_iter().zip(&mut tokens) {
        let mut changes = watch_one(&server, window, Vec::new()).await;
        let (before, _) = next_of_one(&mut changes).await;
        views.add(PAGES[0]);
        let (after, resume) = next_of_one(&mut changes).await;
        assert_eq!(after, before + 1, "{window:?}");
        *token = resume;
    }
    assert!(server.stop().success());

    // What was told before is not told again: the first that comes is what was counted since.
    let server = serve();
    let mut key = watch_one(&server, None, Vec::new()).await;
    assert_eq!(next_of_one(&mut key).await.0, 2, "without a place it is told");
    let mut hour = watch_one(&server, hour, tokens[1].clone()).await;
    views.add(PAGES[0]);
    assert_eq!((next_of_one(&mut key).await.0, next_of_one(&mut hour).await.0), (3, 3));
    let mut key = watch_one(&server, None, tokens[0].clone()).await;
    assert_eq!(next_of_one(&mut key).await.0, 3, "it has changed since that place");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_elsewhere_tells_of_what_workers_count() {
    let views = Views::new();
    let store = format!("dynamodb://{}?endpoint={}", prefix(), endpoint());
    let letters = views.folder.path().join("letters").display().to_string();
    success(example("page-traffic"), &["table", "ensure", "--store", &store]);
    let serve = || Server::start(example("page-traffic"), &["serve", "--store", &store]);
    let arguments = [&views.run(&store, &letters)[..], &["--metrics-listen", "127.0.0.1:0"]].concat();
    let _worker = Server::listening(example("page-traffic"), &arguments);
    let (first, second) = (serve(), serve());
    let token = changes_come(&views, &first).await;
    drop(first);
    // Another server goes on where that one stood.
    let mut changes = watch(&second, token).await;
    views.add("/about");
    assert_eq!(next(&mut changes).await.0, [("/about".to_owned(), 2)]);
}
