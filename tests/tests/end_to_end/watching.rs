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
